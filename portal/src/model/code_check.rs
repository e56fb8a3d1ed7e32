//! Codes accepted once, over all online doors: compare-and-set on the pass's last accepted issue time.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::ids::{DoorId, PassId, PropertyId};
use latchkey_protocol::rules::Reason;

use super::door;
use crate::fault::Fault;
use crate::issue::pass_rows;
use crate::issue::statements::as_i64;
use crate::store::{Tx, Wake, params};

/// How far a code's issue time may be ahead: two minutes against the door's clock, which may itself be off by as much.
const MOST_AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Whether this door may accept the code: none for yes. A yes is repeated to the same door only, and never taken back.
pub(crate) fn check(
    tx: &mut dyn Tx,
    now: DateTime<Utc>,
    property: PropertyId,
    door: DoorId,
    pass: PassId,
    issued: u64,
) -> Result<Option<Reason>, Fault> {
    let known = tx.first(
        "SELECT ended_at IS NOT NULL, last_used, last_door FROM pass WHERE property = ?1 AND id = ?2",
        params![property, pass],
    )?;
    let Some(row) = known else {
        return Ok(Some(Reason::Unknown));
    };
    let (ended, last_used, last_door): (bool, Option<u64>, Option<DoorId>) =
        (row.at(0)?, row.at(1)?, row.at(2)?);
    if last_used == Some(issued) && last_door == Some(door) {
        return Ok(None);
    }
    if ended {
        return Ok(Some(Reason::Revoked));
    }
    let Some(standing) = pass_rows::load(tx, property, pass)? else {
        return Ok(Some(Reason::Revoked));
    };
    // A door that the pass does not name must not use up its codes.
    let number = door::load(tx, property, door)?.map(|door| door.number);
    if number.is_none_or(|number| !standing.opens(number)) {
        return Ok(Some(Reason::WrongDoor));
    }
    // No door that knows the time asks about such a code, and one that was accepted would end all until then.
    let ahead =
        i64::try_from(issued.saturating_mul(10)).unwrap_or(i64::MAX) - now.timestamp_millis();
    if ahead > MOST_AHEAD.num_milliseconds() {
        return Ok(Some(Reason::CodeTooOld));
    }
    let set = tx.execute(
        "UPDATE pass SET last_used = ?3, last_door = ?4
         WHERE property = ?1 AND id = ?2 AND (last_used IS NULL OR last_used < ?3)",
        params![property, pass, as_i64(issued)?, door],
    )?;
    if set == 0 {
        return Ok(Some(Reason::CodeUsedBefore));
    }
    pass_rows::tell_holder(tx, property, &standing)?;
    tx.wake(Wake::Guests(property));
    Ok(None)
}
