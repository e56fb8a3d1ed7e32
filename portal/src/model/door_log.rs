//! Logs that phones bring from doors without a network. Events count once by their ids, whoever brings them; a receipt
//! tells the door what is kept without a gap.

use latchkey_protocol::api::doors::{CarriedLog, LogKept};
use latchkey_protocol::api::sync::{EntityKind, LogReceiptEntity};
use latchkey_protocol::doorlog::{Parcel, Receipt, SignedParcel};
use latchkey_protocol::ids::{DoorId, Generation, PropertyId};
use latchkey_protocol::roles::Action;

use super::change::{self, Audience};
use super::member::Member;
use super::{audit, controller, door, event};
use crate::fault::Fault;
use crate::issue::log_key;
use crate::issue::statements::as_i64;
use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

/// Takes a parcel that a phone has carried, and says what is kept now.
pub(crate) fn take(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    carried: &CarriedLog,
) -> Result<LogKept, Fault> {
    member.must(Action::CarryLockSync)?;
    let property = member.property;
    let parcel = open(tx, tools, property, &carried.parcel.0)?;
    let Parcel {
        door,
        generation,
        kept: kept_at_door,
        after,
        up_to,
        ..
    } = parcel;
    let events = parcel.events.iter().map(|one| (door, generation, one));
    event::keep(tx, tools, property, &events.collect::<Vec<_>>())?;
    let subject = format!("{door} {} {after}-{up_to} {}", generation.0, member.device);
    audit::write(
        tx,
        tools,
        property,
        Some(member.person),
        "log.carry",
        &subject,
    )?;
    let before = kept(tx, property, door, generation)?;
    if up_to > before.max(reach(tx, property, door, generation)?) {
        let standing = controller::standing(tx, property, door)?;
        if standing.is_some_and(|standing| standing.generation == generation) {
            door::had_contact(tx, property, door, tools.now())?;
        }
    }
    note(tx, property, door, generation, after, up_to)?;
    // What the door does not have any more, or hands out no more, nobody will bring.
    let from = before.max(kept_at_door);
    let now = without_a_gap(tx, property, door, generation, from)?;
    if now > before {
        kept_up_to(tx, property, door, generation, now)?;
        sign_receipt(tx, tools, property, door, generation, now)?;
    }
    Ok(LogKept { door, up_to: now })
}

fn open(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    sealed: &[u8],
) -> Result<Parcel, Fault> {
    let bad = |why: &dyn std::fmt::Display| Fault::invalid(format!("`parcel`: {why}"));
    let key = log_key::of(tx, tools, property)?;
    let signed = SignedParcel::open(sealed, property, &key).map_err(|error| bad(&error))?;
    let (claimed, door, generation) = signed.claimed().map_err(|error| bad(&error))?;
    if claimed != property {
        return Err(bad(&"of another property"));
    }
    // One that was replaced may still have happened to be asked.
    let controller = controller::of_generation(tx, property, door, generation)?
        .ok_or_else(|| bad(&"of no controller of this property"))?;
    signed
        .verify(&controller.reader_key)
        .map_err(|error| bad(&error))
}

/// Keeps in mind which entries a parcel has brought.
fn note(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
    generation: Generation,
    after: u64,
    up_to: u64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO log_parcel (property, door, generation, after_entry, up_to)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (property, door, generation, after_entry, up_to) DO NOTHING",
        params![property, door, generation.0, as_i64(after)?, as_i64(up_to)?],
    )?;
    Ok(())
}

/// Up to which entry the parcels reach that wait behind a gap; 0 without any.
fn reach(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
    generation: Generation,
) -> Result<u64, StoreError> {
    let row = tx.first(
        "SELECT MAX(up_to) FROM log_parcel WHERE property = ?1 AND door = ?2 AND generation = ?3",
        params![property, door, generation.0],
    )?;
    let reach: Option<u64> = row.map_or(Ok(None), |row| row.at(0))?;
    Ok(reach.unwrap_or(0))
}

/// How far the parcels reach from `kept` on, whichever came first.
fn without_a_gap(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
    generation: Generation,
    mut kept: u64,
) -> Result<u64, StoreError> {
    loop {
        let row = tx.first(
            "SELECT MAX(up_to) FROM log_parcel WHERE property = ?1 AND door = ?2
               AND generation = ?3 AND after_entry <= ?4",
            params![property, door, generation.0, as_i64(kept)?],
        )?;
        let reach: Option<u64> = row.map_or(Ok(None), |row| row.at(0))?;
        match reach {
            Some(reach) if reach > kept => kept = reach,
            _ => return Ok(kept),
        }
    }
}

/// Up to which entry a log is kept without a gap.
fn kept(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
    generation: Generation,
) -> Result<u64, StoreError> {
    let row = tx.first(
        "SELECT up_to FROM log_kept WHERE property = ?1 AND door = ?2 AND generation = ?3",
        params![property, door, generation.0],
    )?;
    row.map_or(Ok(0), |row| row.at(0))
}

/// All entries up to this one are kept; what is known of parcels below says nothing any more.
pub(super) fn kept_up_to(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
    generation: Generation,
    up_to: u64,
) -> Result<(), StoreError> {
    let up_to = as_i64(up_to)?;
    tx.execute(
        "INSERT INTO log_kept (property, door, generation, up_to) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (property, door, generation) DO UPDATE SET up_to = excluded.up_to
             WHERE log_kept.up_to < excluded.up_to",
        params![property, door, generation.0, up_to],
    )?;
    tx.execute(
        "DELETE FROM log_parcel
         WHERE property = ?1 AND door = ?2 AND generation = ?3 AND up_to <= ?4",
        params![property, door, generation.0, up_to],
    )?;
    Ok(())
}

fn sign_receipt(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    door: DoorId,
    generation: Generation,
    up_to: u64,
) -> Result<(), Fault> {
    let receipt = tools.signer.log_receipt(&Receipt {
        property,
        door,
        generation,
        up_to,
    })?;
    tx.execute(
        "UPDATE log_kept SET receipt = ?4
         WHERE property = ?1 AND door = ?2 AND generation = ?3",
        params![property, door, generation.0, receipt],
    )?;
    let subject = format!("{door} {} {up_to}", generation.0);
    audit::write(tx, tools, property, None, "sign.log-receipt", &subject)?;
    let id = door.to_string();
    change::tell(
        tx,
        property,
        Audience::Carriers,
        EntityKind::LogReceipt,
        &id,
    )?;
    Ok(())
}

/// The newest receipt for the controller that stands at a door.
pub(crate) fn receipt(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
) -> Result<Option<LogReceiptEntity>, StoreError> {
    tx.first(
        "SELECT k.generation, k.up_to, k.receipt FROM log_kept k
         JOIN door d ON d.property = k.property AND d.id = k.door AND d.generation = k.generation
         WHERE k.property = ?1 AND k.door = ?2 AND k.receipt IS NOT NULL",
        params![property, door],
    )?
    .map(|row| {
        Ok(LogReceiptEntity {
            door,
            generation: Generation(row.at(0)?),
            up_to: row.at(1)?,
            receipt: row.at::<Vec<u8>>(2)?.into(),
        })
    })
    .transpose()
}
