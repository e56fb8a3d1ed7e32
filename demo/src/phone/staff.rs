//! What staff do, from the terminal.

use anyhow::{Context as _, Result};
use clap::{Subcommand, ValueEnum};
use latchkey_core::outbox::OutboxId;
use latchkey_core::phone::Phone;
use latchkey_core::staff::{StaffDesk, Submitted};
use latchkey_core::views::PropertyView;
use latchkey_protocol::api::keys::{Key, KeyDoors, KeyDraft, KeyKind};
use latchkey_protocol::ids::DoorId;
use latchkey_protocol::roles::{Action, Target, may};
use latchkey_protocol::rules::AccessRules;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Answer, named, show};
use crate::estate::reason_in_words;

/// What staff do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Keys of the property
    Keys,
    /// People of the property
    People,
    /// What happened at doors, newest first
    Events,
    /// Issue a key
    Issue {
        /// The key's name; for a guest's key, what the guest sees
        #[arg(long)]
        name: String,
        /// How it is presented
        #[arg(long, value_enum, default_value = "mobile")]
        kind: Kind,
        /// Who gets it; again for more people
        #[arg(long = "to", value_name = "PERSON")]
        to: Vec<String>,
        /// What it opens; again for more doors, all when missing
        #[arg(long = "door", value_name = "DOOR")]
        doors: Vec<String>,
        /// The first day, YYYY-MM-DD
        #[arg(long)]
        from: Option<String>,
        /// The last day, YYYY-MM-DD
        #[arg(long)]
        until: Option<String>,
    },
    /// Make a new link for a guest's key; the one before ends
    Share {
        /// The key's name
        key: String,
    },
    /// Withdraw a key from all its holders
    Withdraw {
        /// The key's name
        key: String,
    },
}

impl Command {
    /// What one has to be allowed to do, and to whom. The portal decides; this says no sooner, and in words.
    const fn needs(&self) -> (Action, Target) {
        let action = match self {
            Self::Keys => Action::ViewKeys,
            Self::People => Action::ViewPeople,
            // Each sees what their role may: the portal picks.
            Self::Events => return (Action::ViewOwnActivity, Target::Oneself),
            Self::Issue { .. } => Action::IssueKey,
            Self::Share { .. } => Action::EditKey,
            Self::Withdraw { .. } => Action::WithdrawKey,
        };
        (action, Target::Property)
    }
}

/// How a key is presented.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// By the phones of its persons
    Mobile,
    /// By rotating codes of whoever opens its link
    Qr,
}

pub(crate) async fn run(phone: &Phone, command: Command) -> Result<Answer> {
    // Lists are the wallet's; news first, where there is a network.
    let _ = phone.sync().await;
    let properties = phone.properties()?;
    let property = properties
        .first()
        .context("sign in first: `phone sign-in EMAIL`")?;
    let (action, target) = command.needs();
    anyhow::ensure!(
        may(property.role, action, target),
        "{} may not do this ({} at {})",
        property.person_name,
        property.role.name(),
        property.name
    );
    let desk = phone.staff(property.id)?;
    match command {
        Command::Keys => {
            let mut keys = desk.keys()?;
            keys.sort_by(|a, b| a.name.cmp(&b.name));
            let lines = keys.iter().map(|key| {
                let holders = match (key.kind, key.persons.len()) {
                    (KeyKind::Qr, _) => "by link".to_owned(),
                    (_, 1) => "1 person".to_owned(),
                    (_, number) => format!("{number} people"),
                };
                format!(
                    "{:<28} {:<10} {holders}",
                    key.name,
                    show::status(key.status)
                )
            });
            Ok(Answer {
                text: lines.collect::<Vec<_>>().join("\n"),
                json: json!(keys),
            })
        }
        Command::People => {
            let mut people = desk.people()?;
            people.sort_by(|a, b| a.name.cmp(&b.name));
            let lines = people.iter().map(|p| {
                format!(
                    "{:<40} {:<14} {}",
                    p.name,
                    p.role.name(),
                    p.email.as_deref().unwrap_or("no address")
                )
            });
            Ok(Answer {
                text: lines.collect::<Vec<_>>().join("\n"),
                json: json!(people),
            })
        }
        Command::Events => events(&desk, property),
        Command::Issue {
            name,
            kind,
            to,
            doors,
            from,
            until,
        } => {
            let draft = draft(&desk, name, kind, &to, &doors, from, until)?;
            let name = draft.name.clone();
            said(desk.issue_key(&draft).await?, |_| {
                format!("Issued {name:?}.")
            })
        }
        Command::Share { key } => {
            let key = key_called(&desk, &key)?;
            said(desk.share_key(key.id).await?, |link| {
                format!("Hand this to the guest; it is shown once:\n{}", link.url)
            })
        }
        Command::Withdraw { key } => {
            let key = key_called(&desk, &key)?;
            let name = key.name;
            said(desk.withdraw_key(key.id).await?, |_| {
                format!(
                    "Withdrew {name:?}. Online doors obey at once, others when a phone has been there."
                )
            })
        }
    }
}

fn events(desk: &StaffDesk, property: &PropertyView) -> Result<Answer> {
    let (doors, people, events) = (desk.doors()?, desk.people()?, desk.events()?);
    let lines = events.iter().map(|event| {
        let door = doors
            .iter()
            .find(|door| door.id == event.door)
            .map_or("a door that is gone", |door| &door.name);
        let who = people
            .iter()
            .find(|person| Some(person.id) == event.person)
            .map(|person| &person.name)
            .or((event.person == Some(property.person)).then_some(&property.person_name))
            .map_or("a guest or a stranger", String::as_str);
        let what = event.denied.map_or_else(
            || "opened".to_owned(),
            |reason| format!("refused: {}", reason_in_words(reason)),
        );
        format!(
            "{}  {who:<32} {door:<24} {what}",
            event.at.format("%Y-%m-%d %H:%M:%S UTC")
        )
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    Ok(Answer {
        text: if text.is_empty() {
            if may(property.role, Action::ViewAudit, Target::Property) {
                "Nothing happened yet."
            } else {
                "Nothing happened yet with a key of yours; managers see everything."
            }
            .to_owned()
        } else {
            text
        },
        json: json!(events),
    })
}

fn draft(
    desk: &StaffDesk,
    name: String,
    kind: Kind,
    to: &[String],
    doors: &[String],
    from: Option<String>,
    until: Option<String>,
) -> Result<KeyDraft> {
    let persons = to
        .iter()
        .map(|name| Ok(named(desk.people()?, name, "person", |person| &person.name)?.id));
    let known = desk.doors()?.into_iter();
    let known = known.map(|door| (door.name, door.id)).collect();
    Ok(KeyDraft {
        name,
        kind: match kind {
            Kind::Mobile => KeyKind::Mobile,
            Kind::Qr => KeyKind::Qr,
        },
        persons: persons.collect::<Result<_>>()?,
        doors: doors_called(known, doors)?,
        rules: rules(from, until)?,
    })
}

/// These doors among those that are known; all when none is named.
pub(super) fn doors_called(known: Vec<(String, DoorId)>, names: &[String]) -> Result<KeyDoors> {
    if names.is_empty() {
        return Ok(KeyDoors::All);
    }
    let doors = names
        .iter()
        .map(|name| Ok(named(known.clone(), name, "door", |(name, _)| name)?.1));
    Ok(KeyDoors::Some(doors.collect::<Result<_>>()?))
}

/// From the first to the last day.
pub(super) fn rules(from: Option<String>, until: Option<String>) -> Result<AccessRules> {
    serde_json::from_value(json!({ "range": { "from": from, "until": until } }))
        .context("--from and --until take dates such as 2026-12-24")
}

fn key_called(desk: &StaffDesk, name: &str) -> Result<Key> {
    let alive = desk
        .keys()?
        .into_iter()
        .filter(|key| key.withdrawal.is_none())
        .collect();
    named(alive, name, "key", |key| &key.name)
}

/// What became of a write.
pub(super) fn said<T: Serialize>(
    submitted: Submitted<T>,
    done: impl FnOnce(&T) -> String,
) -> Result<Answer> {
    Ok(match submitted {
        Submitted::Done(answer) => Answer { text: done(&answer), json: json!({ "done": answer }) },
        Submitted::Waiting(OutboxId(entry)) => Answer {
            text: "No network: it waits in the outbox and is sent later. `phone outbox` says what became of it.".to_owned(),
            json: json!({ "waiting": Value::from(entry) }),
        },
    })
}
