//! Doors' lines to the portal: which instance holds each, and the instances that share the database.

use chrono::{DateTime, Utc};
use latchkey_protocol::ids::{DoorId, PropertyId};

use super::door::tell;
use crate::issue::statements::as_i64;
use crate::store::{Instance, StoreError, Tx, Wake, params};

/// A door's connection to one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) instance: Instance,
    /// One more with each connection of the door, at whichever instance.
    pub(crate) number: u64,
}

/// A door has connected. Whoever holds an older line of it is told to look.
pub(crate) fn begin(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
    instance: Instance,
    now: DateTime<Utc>,
) -> Result<Line, StoreError> {
    tx.execute(
        "UPDATE door SET line = line + 1, connected = 1, instance = ?3, last_contact = ?4
         WHERE property = ?1 AND id = ?2",
        params![property, door, instance, now],
    )?;
    tx.wake(Wake::Line(property, door));
    told(tx, property, door)?;
    let (number, _) = of(tx, property, door)?;
    Ok(Line { instance, number })
}

/// A line is gone. When the door has another by now, nothing changes.
pub(crate) fn end(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
    line: Line,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let was_present = tx.execute(
        "UPDATE door SET connected = 0, instance = NULL, last_contact = ?5
         WHERE property = ?1 AND id = ?2 AND instance = ?3 AND line = ?4",
        params![property, door, line.instance, as_i64(line.number)?, now],
    )?;
    if was_present > 0 {
        told(tx, property, door)?;
    }
    Ok(())
}

/// A line that stands and was taken for gone. When the door has another by now, nothing changes.
pub(crate) fn enter_again(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
    line: Line,
) -> Result<(), StoreError> {
    let entered = tx.execute(
        "UPDATE door SET connected = 1, instance = ?3
         WHERE property = ?1 AND id = ?2 AND instance IS NULL AND line = ?4",
        params![property, door, line.instance, as_i64(line.number)?],
    )?;
    if entered > 0 {
        told(tx, property, door)?;
    }
    Ok(())
}

fn told(tx: &mut dyn Tx, property: PropertyId, door: DoorId) -> Result<(), StoreError> {
    tx.wake(Wake::Guests(property));
    tell(tx, property, door)
}

/// The number of the door's newest line, 0 before the first; and which instance holds it, while it stands.
pub(crate) fn of(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
) -> Result<(u64, Option<Instance>), StoreError> {
    let row = tx.first(
        "SELECT line, instance FROM door WHERE property = ?1 AND id = ?2",
        params![property, door],
    )?;
    row.map_or(Ok((0, None)), |row| Ok((row.at(0)?, row.at(1)?)))
}

/// One more beat of this instance; false when it stands in the list no longer: the others took it for gone.
pub(crate) fn beat(tx: &mut dyn Tx, own: Instance) -> Result<bool, StoreError> {
    let beaten = tx.execute(
        "UPDATE instance SET beat = beat + 1 WHERE id = ?1",
        params![own],
    )?;
    if beaten == 0 {
        tx.execute(
            "INSERT INTO instance (id, beat) VALUES (?1, 1) ON CONFLICT (id) DO NOTHING",
            params![own],
        )?;
    }
    Ok(beaten > 0)
}

/// All instances with their beats; 0 for those that hold lines and stand in no list.
pub(crate) fn instances(tx: &mut dyn Tx) -> Result<Vec<(Instance, i64)>, StoreError> {
    let mut all = tx
        .query("SELECT id, beat FROM instance", &[])?
        .iter()
        .map(|row| Ok((row.at(0)?, row.at(1)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    let holders = tx.query(
        "SELECT DISTINCT instance FROM door WHERE instance IS NOT NULL",
        &[],
    )?;
    for row in holders {
        let holder = row.at(0)?;
        if all.iter().all(|(instance, _)| *instance != holder) {
            all.push((holder, 0));
        }
    }
    Ok(all)
}

/// Where this instance holds lines.
pub(crate) fn properties_of(
    tx: &mut dyn Tx,
    instance: Instance,
) -> Result<Vec<PropertyId>, StoreError> {
    tx.query(
        "SELECT DISTINCT property FROM door WHERE instance = ?1",
        params![instance],
    )?
    .iter()
    .map(|row| row.at(0))
    .collect()
}

/// All lines of an instance at this property are gone with it.
pub(crate) fn all_ended(
    tx: &mut dyn Tx,
    property: PropertyId,
    instance: Instance,
) -> Result<(), StoreError> {
    let doors = tx.query(
        "SELECT id FROM door WHERE property = ?1 AND instance = ?2",
        params![property, instance],
    )?;
    for row in doors {
        let door: DoorId = row.at(0)?;
        tx.execute(
            "UPDATE door SET connected = 0, instance = NULL WHERE property = ?1 AND id = ?2",
            params![property, door],
        )?;
        tell(tx, property, door)?;
    }
    tx.wake(Wake::Guests(property));
    Ok(())
}

/// An instance is gone.
pub(crate) fn forget(tx: &mut dyn Tx, instance: Instance) -> Result<(), StoreError> {
    tx.execute("DELETE FROM instance WHERE id = ?1", params![instance])?;
    Ok(())
}
