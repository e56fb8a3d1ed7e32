//! Views as text and as JSON.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use latchkey_core::error::Error;
use latchkey_core::outbox::{Action, OutboxEntry, Outcome};
use latchkey_core::unlock::UnlockEvent;
use latchkey_core::views::{DoorView, KeyView, PropertyView};
use latchkey_protocol::rules::{Decision, Status};
use serde_json::{Value, json};

use super::{Answer, of_core};
use crate::estate::reason_in_words;

pub(crate) fn keys(keys: &[KeyView], properties: &[PropertyView]) -> Result<Answer> {
    let mut text = String::new();
    for key in keys {
        text += &format!(
            "{}  ({}, {}{})\n",
            key.name,
            key.property_name,
            status(key.status),
            key.uses_left
                .map_or_else(String::new, |left| format!(", {left} uses left"))
        );
        for door in &key.doors {
            text += &format!(
                "    {:<28} {}\n",
                door.name,
                usable(&door.usable, properties)
            );
        }
    }
    if keys.is_empty() {
        text = if properties.is_empty() {
            "No keys: nobody is signed in on this phone. Run `phone sign-in EMAIL`."
        } else {
            "No keys yet. When staff issue you one, `phone sync` brings it."
        }
        .to_owned();
    }
    let json = keys.iter().map(|key| {
        let doors = key.doors.iter().map(|door| json!({ "door": door.at.door, "name": door.name, "usable": door.usable }));
        json!({
            "key": key.at.key, "name": key.name, "property": key.property_name, "kind": key.kind, "status": key.status,
            "rules": key.rules, "uses_left": key.uses_left, "doors": doors.collect::<Vec<_>>(), "shows_codes": key.shows_codes,
        })
    });
    Ok(Answer {
        text,
        json: json.collect(),
    })
}

pub(crate) fn doors(doors: &[DoorView], properties: &[PropertyView]) -> Result<Answer> {
    let mut text = String::new();
    for door in doors {
        let now = door.usable.as_ref().map_or_else(
            || "no key of yours".to_owned(),
            |now| usable(now, properties),
        );
        text += &format!("{:<28} {:<14} {now}\n", door.name, door.place);
    }
    if doors.is_empty() {
        text = if properties.is_empty() {
            "No doors: nobody is signed in on this phone. Run `phone sign-in EMAIL`."
        } else {
            "No doors yet. They come with a key; `phone sync` brings it."
        }
        .to_owned();
    }
    let json = doors.iter().map(|door| {
        json!({
            "door": door.at.door, "name": door.name, "place": door.place, "kind": door.kind, "reach": door.reach,
            "connected": door.connected, "last_contact": door.last_contact, "usable": door.usable,
        })
    });
    Ok(Answer {
        text,
        json: json.collect(),
    })
}

pub(crate) fn outbox(entries: &[OutboxEntry]) -> Result<Answer> {
    let mut text = String::new();
    for entry in entries {
        let outcome = match &entry.outcome {
            Outcome::Waiting => "waits for the network".to_owned(),
            Outcome::Done(_) => "done".to_owned(),
            Outcome::Refused(problem) => format!(
                "refused: {}",
                problem.detail.as_deref().unwrap_or(&problem.title)
            ),
        };
        text += &format!(
            "{}  {:<44} {outcome}\n",
            entry.made_at.format("%Y-%m-%d %H:%M UTC"),
            action(&entry.action)
        );
    }
    if entries.is_empty() {
        text = "Nothing waits.".to_owned();
    }
    let json = entries.iter().map(|entry| {
        let outcome = match &entry.outcome {
            Outcome::Waiting => json!("waiting"),
            Outcome::Done(answer) => json!({ "done": answer }),
            Outcome::Refused(problem) => json!({ "refused": problem }),
        };
        json!({ "entry": entry.id.0, "made_at": entry.made_at, "action": entry.action, "outcome": outcome })
    });
    Ok(Answer {
        text,
        json: json.collect(),
    })
}

fn action(action: &Action) -> String {
    match action {
        Action::IssueKey(name) => format!("issue the key {name:?}"),
        Action::GrantGuestKey(name) => format!("grant the guest key {name:?}"),
        Action::EditKey(_) => "change a key".to_owned(),
        Action::WithdrawKey(_) => "withdraw a key".to_owned(),
        Action::WriteOffUses(_) => "write off uses of a key".to_owned(),
        Action::ShareKey(_) => "share a key".to_owned(),
        Action::AddPerson(name) => format!("enter {name}"),
        Action::AddDoor(name) => format!("add the door {name:?}"),
        Action::InstallController(_) => "put a controller into service".to_owned(),
        Action::CarryDoorState(_) => "hand over a door's signed state".to_owned(),
        Action::CarryList => "hand over the revocation list of before a restore".to_owned(),
        Action::CarryLog { .. } => "hand over a part of a door's log".to_owned(),
        _ => "something newer than this program".to_owned(),
    }
}

/// How far an unlock has come; the end is told with the answer.
pub(crate) fn progress(event: &UnlockEvent) -> Option<String> {
    match event {
        UnlockEvent::Looking { .. } => Some("looking for the door …".to_owned()),
        UnlockEvent::Connecting { carrier } => Some(format!(
            "connecting ({}) …",
            format!("{carrier:?}").to_lowercase()
        )),
        UnlockEvent::Proving { .. } => {
            Some("door and phone prove themselves to each other …".to_owned())
        }
        UnlockEvent::Opened { .. } | UnlockEvent::Denied { .. } => None,
    }
}

fn usable(decision: &Decision, properties: &[PropertyView]) -> String {
    match decision {
        Decision::Allowed { until: Some(until) } => {
            format!("opens now, until {}", at(*until, properties))
        }
        Decision::Allowed { until: None } => "opens now".to_owned(),
        Decision::Denied { reason, next } => {
            let next = next
                .map(|next| format!("; from {}", at(next, properties)))
                .unwrap_or_default();
            format!("{}{next}", reason_in_words(*reason))
        }
    }
}

pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::Upcoming => "upcoming",
        Status::Active => "active",
        Status::Expired => "expired",
        Status::Revoked => "withdrawn",
        Status::UsedUp => "used up",
        Status::Suspended => "paused",
    }
}

/// An instant as the property's clocks read it.
pub(crate) fn at(instant: DateTime<Utc>, properties: &[PropertyView]) -> String {
    let property = properties
        .iter()
        .find(|property| property.utc_offset.is_some());
    let offset = property
        .and_then(|property| property.utc_offset)
        .unwrap_or_default();
    let zone = property
        .and_then(|property| property.zone.as_deref())
        .unwrap_or("UTC");
    format!(
        "{} ({zone})",
        (instant + TimeDelta::seconds(offset.into())).format("%a %-d %b %Y, %H:%M")
    )
}

/// A short name of an error, for programs.
pub(crate) fn kind(error: &anyhow::Error) -> Value {
    match of_core(error) {
        Some(Error::Denied { reason, next }) => json!({ "denied": reason, "next": next }),
        Some(Error::Refused(problem)) => json!({ "refused": problem }),
        Some(Error::Offline(_)) => json!("offline"),
        Some(Error::NotSignedIn) => json!("not_signed_in"),
        Some(Error::DoorNotReached(_)) => json!("door_not_reached"),
        Some(Error::WrongDoor) => json!("wrong_door"),
        Some(Error::KeystoreRefused(_)) => json!("keystore_refused"),
        Some(Error::TooOld { .. }) => json!("too_old"),
        Some(Error::Wallet(_)) => json!("wallet"),
        Some(Error::Cancelled) => json!("cancelled"),
        _ => json!("invalid"),
    }
}

/// What went wrong, and what to do.
pub(crate) fn what(error: &anyhow::Error) -> String {
    match of_core(error) {
        Some(Error::Denied { reason, next }) => {
            let next = next
                .map(|next| format!(" It opens from {}.", next.format("%a %-d %b %Y, %H:%M UTC")))
                .unwrap_or_default();
            format!("Refused: {}.{next}", reason_in_words(*reason))
        }
        Some(Error::NotSignedIn) => {
            "Nobody is signed in on this phone: run `phone sign-in EMAIL`.".to_owned()
        }
        Some(Error::Offline(why)) => {
            format!("The portal cannot be reached ({why}). Keys go on working; try again later.")
        }
        Some(Error::DoorNotReached(why)) => format!("The door was not reached: {why}."),
        Some(Error::WrongDoor) => {
            "What answered is not the door that was chosen. Nothing about you was told to it."
                .to_owned()
        }
        Some(Error::Refused(problem)) => {
            format!(
                "The portal refuses: {}",
                problem.detail.as_deref().unwrap_or(&problem.title)
            )
        }
        _ => format!("{error:#}"),
    }
}
