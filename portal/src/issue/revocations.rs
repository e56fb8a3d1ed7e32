//! The revocation list: whole each time, numbered, for every door and every phone.
//!
//! An entry leaves it by the doors' own word alone. Everything that it ends carries an end of its own, and a door that
//! has shown, by its signature, a list signed after that end has a clock that never goes below it: it refuses what the
//! entry named without being told. `docs/adr/0011-lists-that-shrink.md` has the argument.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::api::sync::{EntityKind, RevocationEntity};
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::ids::{ElementId, PassId, PropertyId};
use latchkey_protocol::revocation::Revocations;

use super::Round;
use super::statements::as_i64;
use crate::fault::Fault;
use crate::model::change::{self, Audience};
use crate::model::{audit, property};
use crate::signer::SignerError;
use crate::store::{StoreError, Tx, Wake, params};

/// How long what an entry names can still say that it is good: grants live 30 days at most, passes too, and a day more
/// is for a portal's clock that is not the signer's.
pub(crate) const LONGEST: TimeDelta = TimeDelta::days(31);

/// The list's one id in the change log.
const ID: &str = "list";

/// Signs a new list of all that stands revoked.
pub(crate) fn publish(round: &Round, tx: &mut dyn Tx) -> Result<(), Fault> {
    let (tools, id) = (&round.tools, round.property.id);
    let now = tools.now();
    if any_over(tx, id, now)?
        && let Some(shown) = shown_by_all(tx, id, now)?
    {
        take_off(tx, id, now, shown)?;
    }
    let last = tx.first(
        "SELECT epoch, version, signed FROM revocation_list WHERE property = ?1",
        params![id],
    )?;
    let epoch = property::epoch(tx, id)?;
    let (mut version, mut signed_after) = (0, None);
    if let Some(row) = last {
        signed_after = Some(row.at(2)?);
        if row.at::<u32>(0)? == epoch {
            version = row.at(1)?;
        }
    }
    let (number, signed, document) = loop {
        let list = standing(tx, id)?;
        let signed = tools
            .signer
            .revocation_list(id, version + 1, list, signed_after);
        match signed {
            // A withdrawal is never refused for the sake of what is over by every clock that runs.
            Err(SignerError::ListTooLong) if make_room(tx, id, now)? => {}
            signed => break signed?,
        }
    };
    tx.execute(
        "INSERT INTO revocation_list (property, epoch, version, signed, document)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (property) DO UPDATE SET epoch = excluded.epoch, version = excluded.version,
             signed = excluded.signed, document = excluded.document",
        params![id, number.epoch, as_i64(number.version)?, signed, document],
    )?;
    tx.execute(
        "UPDATE revoked SET epoch = ?2, version = ?3 WHERE property = ?1 AND version = 0",
        params![id, number.epoch, as_i64(number.version)?],
    )?;
    tx.execute(
        "INSERT INTO list_signed (property, epoch, version, signed) VALUES (?1, ?2, ?3, ?4)",
        params![id, number.epoch, as_i64(number.version)?, signed],
    )?;
    change::tell(tx, id, Audience::Everyone, EntityKind::Revocation, ID)?;
    let subject = format!("{}.{}", number.epoch, number.version);
    audit::write(tx, tools, id, None, "sign.revocations", &subject)?;
    tx.wake(Wake::Issued(id));
    Ok(())
}

/// Lists of so many earlier epochs are named: the doors' format takes no more.
const MOST_EPOCHS: u32 = 60;

/// All that is on the list, and the earlier epochs' lists that it contains.
fn standing(tx: &mut dyn Tx, property: PropertyId) -> Result<Revocations, StoreError> {
    let mut list = Revocations::default();
    let contained = tx.query(
        "SELECT epoch, version FROM list_contained WHERE property = ?1
         ORDER BY epoch DESC LIMIT ?2",
        params![property, MOST_EPOCHS],
    )?;
    for row in contained {
        list.contains.insert(ListNumber {
            epoch: row.at(0)?,
            version: row.at(1)?,
        });
    }
    let rows = tx.query(
        "SELECT what, id, superseded FROM revoked WHERE property = ?1 AND left_at IS NULL",
        params![property],
    )?;
    for row in rows {
        match (row.at::<String>(0)?.as_str(), row.at::<bool>(2)?) {
            ("element", true) => list.superseded.insert(row.at::<ElementId>(1)?),
            ("element", false) => list.elements.insert(row.at::<ElementId>(1)?),
            ("pass", _) => list.passes.insert(row.at::<PassId>(1)?),
            _ => return Err(StoreError::Unreadable("revoked")),
        };
    }
    Ok(list)
}

/// Whether anything on the list names only what has ended by now.
fn any_over(tx: &mut dyn Tx, property: PropertyId, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let row = tx.first(
        "SELECT 1 FROM revoked WHERE property = ?1 AND left_at IS NULL AND until <= ?2 LIMIT 1",
        params![property, now],
    )?;
    Ok(row.is_some())
}

/// The moment below which no controller's clock of this property goes: when the oldest of the lists was signed that they
/// show. None while one of them has shown nothing.
fn shown_by_all(
    tx: &mut dyn Tx,
    property: PropertyId,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let row = tx.first(
        "SELECT COUNT(*), COUNT(l.signed), MIN(l.signed) FROM door d
         JOIN controller c ON c.property = d.property AND c.door = d.id
              AND c.generation = d.generation
         LEFT JOIN door_state s ON s.property = d.property AND s.door = d.id
              AND s.generation = c.generation
         LEFT JOIN list_signed l ON l.property = s.property AND l.epoch = s.list_epoch
              AND l.version = s.list_version
         WHERE d.property = ?1",
        params![property],
    )?;
    let row = row.ok_or(StoreError::Unreadable("door"))?;
    let (controllers, shown): (i64, i64) = (row.at(0)?, row.at(1)?);
    match (controllers, controllers - shown) {
        (0, _) => Ok(Some(now)),
        (_, 0) => row.at(2).map(Some),
        _ => Ok(None),
    }
}

/// Takes off what ended before every door's clock, and forgets the lists that no door shows any more.
fn take_off(
    tx: &mut dyn Tx,
    property: PropertyId,
    now: DateTime<Utc>,
    shown: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE revoked SET left_at = ?2
         WHERE property = ?1 AND left_at IS NULL AND until < ?3",
        params![property, now, shown],
    )?;
    tx.execute(
        "DELETE FROM list_signed WHERE property = ?1 AND signed < ?2",
        params![property, shown],
    )?;
    Ok(())
}

/// Takes off a part of what ended longest ago, although a door that was long out of touch and has lost its clock could
/// still obey it. Says whether there was any.
fn make_room(
    tx: &mut dyn Tx,
    property: PropertyId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let gone = tx.execute(
        "UPDATE revoked SET left_at = ?2 WHERE property = ?1 AND left_at IS NULL AND id IN
             (SELECT id FROM revoked WHERE property = ?1 AND left_at IS NULL AND until <= ?2
              ORDER BY until, id LIMIT 1000)",
        params![property, now],
    )?;
    if gone > 0 {
        tracing::warn!(
            %property, gone,
            "the revocation list is full: entries that are over made room, though some door has not been in touch since"
        );
    }
    Ok(gone > 0)
}

/// The newest list, if there is one.
pub(crate) fn newest(
    tx: &mut dyn Tx,
    property: PropertyId,
) -> Result<Option<RevocationEntity>, StoreError> {
    tx.first(
        "SELECT epoch, version, document FROM revocation_list WHERE property = ?1",
        params![property],
    )?
    .map(|row| {
        Ok(RevocationEntity {
            epoch: row.at(0)?,
            version: row.at(1)?,
            document: row.at::<Vec<u8>>(2)?.into(),
        })
    })
    .transpose()
}

/// The newest list's number.
pub(crate) fn number(tx: &mut dyn Tx, property: PropertyId) -> Result<ListNumber, StoreError> {
    let row = tx.first(
        "SELECT epoch, version FROM revocation_list WHERE property = ?1",
        params![property],
    )?;
    row.map_or(Ok(ListNumber::default()), |row| {
        Ok(ListNumber {
            epoch: row.at(0)?,
            version: row.at(1)?,
        })
    })
}
