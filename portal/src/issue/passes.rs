//! Passes: one for each code key and key that it may show codes for, and one for each bound link. Doors learn of them
//! by statements, phones and pages by sync.

use chrono::TimeDelta;
use latchkey_protocol::api::keys::KeyKind;
use latchkey_protocol::api::sync::EntityKind;
use latchkey_protocol::ids::{CredentialId, DoorNumber, KeyId, LinkId, PassId, PropertyId};
use latchkey_protocol::pass::{DoorSet, MAX_LIFE_SECONDS, Pass, SignedPass};
use latchkey_protocol::statement::{Addressee, Body};

use super::pass_rows::{self, Record, of_credential, of_key, tell_holder};
use super::statements::{self, as_i64};
use super::{Because, Revoked, Round};
use crate::fault::Fault;
use crate::model::change::{self, Audience};
use crate::model::credential::{self, Record as Credential};
use crate::model::key::{self, Record as Key};
use crate::model::property::text;
use crate::model::uses;
use crate::store::{StoreError, Tx, Wake, params};

/// The last second of the year 9999.
const NEVER: i64 = 253_402_300_799;

const LIFE: TimeDelta = TimeDelta::seconds(MAX_LIFE_SECONDS as i64);

/// Makes the passes of a phone's code key: one for each of the person's keys that are alive.
pub(super) fn remake_of_credential(
    round: &mut Round,
    tx: &mut dyn Tx,
    held: &Credential,
) -> Result<Vec<PassId>, Fault> {
    let property = round.property.id;
    let now = round.tools.now();
    let keys = key::held_by(tx, property, held.person)?;
    let (calendar, mut standing) = (
        round.property.clone(),
        of_credential(tx, property, held.id)?,
    );
    let alive = keys
        .into_iter()
        .filter(|key| key.kind == KeyKind::Mobile && key.is_alive(&calendar.calendar(), now));
    let mut ids = Vec::new();
    for key in alive {
        let at = standing.iter().position(|pass| pass.key == key.id);
        let pass = at.map(|at| standing.swap_remove(at));
        let holder = Holder::Credential(held.id);
        ids.push(bring_up_to_date(
            round,
            tx,
            &key,
            holder,
            held.public_key.as_bytes(),
            pass,
        )?);
    }
    for pass in standing {
        end(round, tx, &pass)?;
    }
    Ok(ids)
}

/// Makes the pass of a key's bound link what it must be now, when there is one.
pub(super) fn remake_of_link(round: &mut Round, tx: &mut dyn Tx, key: KeyId) -> Result<(), Fault> {
    let property = round.property.id;
    let Some(key) = key::load(tx, property, key)? else {
        return Ok(());
    };
    if key.kind != KeyKind::Qr {
        return Ok(());
    }
    let alive = key.is_alive(&round.property.clone().calendar(), round.tools.now());
    for pass in of_key(tx, property, key.id)? {
        match pass.link {
            Some(link) if alive => {
                let public_key = pass.public_key.clone();
                bring_up_to_date(round, tx, &key, Holder::Link(link), &public_key, Some(pass))?;
            }
            // Over by its own rules, as its statement says itself. A later end may still come, and finds the guest's page.
            Some(_) if key.withdrawn_at.is_none() && pass.rules == key.rules => {
                rest(tx, property, pass.id)?;
            }
            _ => end(round, tx, &pass)?,
        }
    }
    Ok(())
}

/// Nothing of it is renewed until its key changes.
fn rest(tx: &mut dyn Tx, property: PropertyId, id: PassId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE pass SET renew_at = ?3 WHERE property = ?1 AND id = ?2",
        params![property, id, NEVER],
    )?;
    Ok(())
}

/// Makes the first pass of a link.
pub(crate) fn make_for_link(
    round: &mut Round,
    tx: &mut dyn Tx,
    key: &Key,
    link: LinkId,
    public_key: &[u8; 65],
) -> Result<PassId, Fault> {
    bring_up_to_date(round, tx, key, Holder::Link(link), public_key, None)
}

/// Ends the passes of a key's links: a new link takes their place, or none.
pub(crate) fn end_of_key(round: &mut Round, tx: &mut dyn Tx, key: KeyId) -> Result<(), Fault> {
    for pass in of_key(tx, round.property.id, key)? {
        end(round, tx, &pass)?;
    }
    Ok(())
}

/// Ends the passes of a phone's code key.
pub(super) fn end_of_credential(
    round: &mut Round,
    tx: &mut dyn Tx,
    id: CredentialId,
) -> Result<(), Fault> {
    for pass in of_credential(tx, round.property.id, id)? {
        end(round, tx, &pass)?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Holder {
    Credential(CredentialId),
    Link(LinkId),
}

fn bring_up_to_date(
    round: &mut Round,
    tx: &mut dyn Tx,
    key: &Key,
    holder: Holder,
    public_key: &[u8],
    pass: Option<Record>,
) -> Result<PassId, Fault> {
    let property = round.property.id;
    let doors = door_numbers(tx, property, key)?;
    let Some(pass) = pass else {
        return make(round, tx, key, holder, public_key, doors);
    };
    let loses_doors = match (&pass.doors, &doors) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => old.iter().any(|door| !new.contains(door)),
    };
    if loses_doors || !pass.rules.is_within(&key.rules) {
        // The old statement may be out in long codes: it has to be cut off by its id.
        end(round, tx, &pass)?;
        return make(round, tx, key, holder, public_key, doors);
    }
    let due = pass.renew_at <= round.tools.now();
    if due || pass.doors != doors || pass.rules != key.rules {
        state(round, tx, key, pass.id, public_key, doors)?;
        tell(tx, property, pass.id, holder)?;
    }
    Ok(pass.id)
}

fn make(
    round: &Round,
    tx: &mut dyn Tx,
    key: &Key,
    holder: Holder,
    public_key: &[u8],
    doors: Option<Vec<DoorNumber>>,
) -> Result<PassId, Fault> {
    let property = round.property.id;
    let id = PassId(round.tools.random());
    let (credential, link) = match holder {
        Holder::Credential(id) => (Some(id), None),
        Holder::Link(id) => (None, Some(id)),
    };
    tx.execute(
        "INSERT INTO pass (property, id, key_id, credential, link, public_key, doors, rules,
             statement, statement_until, number, renew_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, 0, 0, ?10)",
        params![
            property,
            id,
            key.id,
            credential,
            link,
            public_key,
            text(&doors, "doors")?,
            text(&key.rules, "rules")?,
            Vec::<u8>::new(),
            round.tools.now()
        ],
    )?;
    state(round, tx, key, id, public_key, doors)?;
    tell(tx, property, id, holder)?;
    Ok(id)
}

/// Signs the pass and states it to all doors.
fn state(
    round: &Round,
    tx: &mut dyn Tx,
    key: &Key,
    id: PassId,
    public_key: &[u8],
    doors: Option<Vec<DoorNumber>>,
) -> Result<(), Fault> {
    let (property, now) = (round.property.id, round.tools.now());
    let mut until = now + LIFE;
    if let Some(end) = key.rules.range().until() {
        // A moment behind its rules, so that *expired* is said before *too old*.
        until = until.min(round.property.offsets.end(end) + TimeDelta::hours(1));
    }
    let pass = Pass {
        id,
        code_key: credential::public_key(public_key)?,
        doors: doors.clone().map_or(DoorSet::All, DoorSet::of),
        rules: key.rules.clone(),
        budget: match key.rules.max_uses() {
            Some(_) => uses::budget_of(tx, property, key.id)?,
            None => None,
        },
        until: u32::try_from(until.timestamp()).unwrap_or(u32::MAX),
    };
    let signed = round.tools.signer.pass(property, &pass)?;
    let statement = SignedPass::from_bytes(&signed)
        .map_err(|error| Fault::Internal(format!("a signed pass: {error}")))?;
    let stated = statements::publish(
        tx,
        &round.tools,
        property,
        Addressee::All,
        Body::Pass(statement),
    )?;
    // Renewed from half of its life on, unless its key ends before.
    let renew_at = if until < now + LIFE {
        until
    } else {
        now + LIFE / 2
    };
    tx.execute(
        "UPDATE pass SET doors = ?3, rules = ?4, statement = ?5, statement_until = ?6, epoch = ?7,
             number = ?8, renew_at = ?9
         WHERE property = ?1 AND id = ?2",
        params![
            property,
            id,
            text(&doors, "doors")?,
            text(&key.rules, "rules")?,
            signed,
            until,
            stated.epoch,
            as_i64(stated.number)?,
            renew_at
        ],
    )?;
    Ok(())
}

fn end(round: &mut Round, tx: &mut dyn Tx, pass: &Record) -> Result<(), Fault> {
    let (property, now) = (round.property.id, round.tools.now());
    tx.execute(
        "UPDATE pass SET ended_at = ?3 WHERE property = ?1 AND id = ?2",
        params![property, pass.id, now],
    )?;
    // What is over by itself needs no place on the list.
    if pass.statement_until > now {
        round.revoke(tx, Revoked::Pass(pass.id), pass.key, Because::Withdrawn)?;
    }
    tell_holder(tx, property, pass)
}

fn tell(tx: &mut dyn Tx, property: PropertyId, id: PassId, holder: Holder) -> Result<(), Fault> {
    match holder {
        Holder::Credential(credential) => {
            if let Some(held) = credential::load(tx, property, credential)? {
                let audience = Audience::Device(held.device);
                change::tell(tx, property, audience, EntityKind::Pass, &id.to_string())?;
            }
        }
        Holder::Link(_) => tx.wake(Wake::Guests(property)),
    }
    Ok(())
}

fn door_numbers(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: &Key,
) -> Result<Option<Vec<DoorNumber>>, StoreError> {
    if key.all_doors {
        return Ok(None);
    }
    let rows = tx.query(
        "SELECT d.number FROM key_door kd
         JOIN door d ON d.property = kd.property AND d.id = kd.door
         WHERE kd.property = ?1 AND kd.key_id = ?2 ORDER BY d.number",
        params![property, key.id],
    )?;
    rows.iter()
        .map(|row| row.at(0).map(DoorNumber))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// States all passes that stand again: doors forget those of the epoch before.
pub(super) fn state_again(round: &mut Round, tx: &mut dyn Tx) -> Result<(), Fault> {
    let property = round.property.id;
    tx.execute(
        "UPDATE pass SET renew_at = 0 WHERE property = ?1 AND ended_at IS NULL AND renew_at < ?2",
        params![property, NEVER],
    )?;
    let due = tx.query(
        "SELECT id FROM pass WHERE property = ?1 AND ended_at IS NULL AND renew_at = 0
         ORDER BY created_at, id",
        params![property],
    )?;
    for row in due {
        renew(round, tx, row.at(0)?)?;
    }
    Ok(())
}

/// Renews a pass that is due, and with it the others of its code key.
pub(super) fn renew(round: &mut Round, tx: &mut dyn Tx, id: PassId) -> Result<(), Fault> {
    let property = round.property.id;
    let due = pass_rows::load(tx, property, id)?.filter(|pass| pass.renew_at <= round.tools.now());
    let Some(pass) = due else {
        return Ok(());
    };
    match pass.credential {
        Some(id) => match credential::load(tx, property, id)? {
            Some(held) => remake_of_credential(round, tx, &held).map(drop),
            None => end(round, tx, &pass),
        },
        None => remake_of_link(round, tx, pass.key),
    }
}
