//! The revocation list: whole each time, numbered, for every door and every phone.

use chrono::TimeDelta;
use latchkey_protocol::api::sync::{EntityKind, RevocationEntity};
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::ids::{ElementId, PassId, PropertyId};
use latchkey_protocol::revocation::Revocations;

use super::Round;
use super::statements::as_i64;
use crate::fault::Fault;
use crate::model::audit;
use crate::model::change::{self, Audience};
use crate::store::{StoreError, Tx, Wake, params};

/// How long an entry stays: far longer than any grant or pass that it ends, for doors whose clocks are lost.
pub(crate) const KEPT: TimeDelta = TimeDelta::days(400);

/// The list's one id in the change log.
const ID: &str = "list";

/// Signs a new list of all that stands revoked.
pub(crate) fn publish(round: &Round, tx: &mut dyn Tx) -> Result<(), Fault> {
    let (tools, property) = (&round.tools, round.property.id);
    let mut list = Revocations::default();
    let rows = tx.query(
        "SELECT what, id, superseded FROM revoked WHERE property = ?1 AND until > ?2",
        params![property, tools.now()],
    )?;
    for row in rows {
        match (row.at::<String>(0)?.as_str(), row.at::<bool>(2)?) {
            ("element", true) => list.superseded.insert(row.at::<ElementId>(1)?),
            ("element", false) => list.elements.insert(row.at::<ElementId>(1)?),
            ("pass", _) => list.passes.insert(row.at::<PassId>(1)?),
            _ => return Err(StoreError::Unreadable("revoked").into()),
        };
    }
    let last = tx.first(
        "SELECT epoch, version, signed FROM revocation_list WHERE property = ?1",
        params![property],
    )?;
    let epoch = tools.signer.epoch(property)?;
    let (mut version, mut signed_after) = (0, None);
    if let Some(row) = last {
        signed_after = Some(row.at(2)?);
        if row.at::<u32>(0)? == epoch {
            version = row.at(1)?;
        }
    }
    let (number, signed, document) =
        tools
            .signer
            .revocation_list(property, version + 1, list, signed_after)?;
    tx.execute(
        "INSERT INTO revocation_list (property, epoch, version, signed, document)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (property) DO UPDATE SET epoch = excluded.epoch, version = excluded.version,
             signed = excluded.signed, document = excluded.document",
        params![
            property,
            number.epoch,
            as_i64(number.version)?,
            signed,
            document
        ],
    )?;
    tx.execute(
        "UPDATE revoked SET epoch = ?2, version = ?3 WHERE property = ?1 AND version = 0",
        params![property, number.epoch, as_i64(number.version)?],
    )?;
    change::tell(tx, property, Audience::Everyone, EntityKind::Revocation, ID)?;
    let subject = format!("{}.{}", number.epoch, number.version);
    audit::write(tx, tools, property, None, "sign.revocations", &subject)?;
    tx.wake(Wake::Issued(property));
    Ok(())
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
