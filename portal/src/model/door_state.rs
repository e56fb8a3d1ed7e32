//! Doors' signed states: how far each has come. Proof of withdrawal and *knows this pass* rest on them alone.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::doorstate::{DoorState, SignedDoorState};
use latchkey_protocol::ids::PropertyId;

use super::{controller, door, key_write, uses};
use crate::fault::Fault;
use crate::issue::statements::as_i64;
use crate::issue::{bundles, pass_rows, revocations};
use crate::store::{Row, StoreError, Tx, Wake, params};
use crate::tools::Tools;

/// Takes a signed state, from the door itself or from a phone that was there. An older one than the last says nothing
/// new.
pub(crate) fn take(
    tx: &mut dyn Tx,
    tools: &Tools,
    id: PropertyId,
    bytes: &[u8],
) -> Result<DoorState, Fault> {
    let bad = |why: &str| Fault::because(ProblemType::InvalidValue, format!("`state`: {why}"));
    let signed = SignedDoorState::from_bytes(bytes).map_err(|error| bad(&error.to_string()))?;
    let (claimed, door, generation) = signed.claimed().map_err(|error| bad(&error.to_string()))?;
    if claimed != id {
        return Err(bad("of another property"));
    }
    let controller = controller::standing(tx, id, door)?
        .filter(|controller| controller.generation == generation)
        .ok_or_else(|| bad("not of the controller that stands there"))?;
    let state = signed
        .verify(&controller.reader_key)
        .map_err(|error| bad(&error.to_string()))?;
    if state.list > revocations::number(tx, id)? {
        // Until a restored database is noticed by its signer, or where the signer's files were restored with it.
        tracing::error!(
            property = %id, %door, list = ?state.list,
            "a door obeys a list that this portal has never made: was it restored from a backup? Begin a new epoch \
             (`latchkey-portal property begin-epoch`)"
        );
    }
    // Totals and ceilings count however late they come.
    let holder = uses::holder(state.door, state.generation);
    uses::reported(tx, tools, id, holder, &state.leases)?;
    keep(tx, tools, &state, bytes)?;
    Ok(state)
}

fn keep(tx: &mut dyn Tx, tools: &Tools, state: &DoorState, bytes: &[u8]) -> Result<(), Fault> {
    let (property, door, now) = (state.property, state.door, tools.now());
    let before = tx.first(
        "SELECT generation, counter, epoch, number_all FROM door_state
         WHERE property = ?1 AND door = ?2",
        params![property, door],
    )?;
    let mut known_up_to = 0;
    if let Some(row) = before {
        let same_controller = row.at::<u32>(0)? == state.generation.0;
        if same_controller && row.at::<u64>(1)? >= state.counter {
            return Ok(());
        }
        if same_controller && row.at::<u32>(2)? == state.statements.epoch {
            known_up_to = row.at(3)?;
        }
    }
    tx.execute(
        "INSERT INTO door_state (property, door, generation, counter, epoch, list_epoch,
             list_version, number_all, number_own, state, received_at, bundle_epoch, bundle_number)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (property, door) DO UPDATE SET generation = excluded.generation,
             counter = excluded.counter, epoch = excluded.epoch,
             list_epoch = excluded.list_epoch, list_version = excluded.list_version,
             number_all = excluded.number_all, number_own = excluded.number_own,
             state = excluded.state, received_at = excluded.received_at,
             bundle_epoch = excluded.bundle_epoch, bundle_number = excluded.bundle_number",
        params![
            property,
            door,
            state.generation.0,
            as_i64(state.counter)?,
            state.statements.epoch,
            state.list.epoch,
            as_i64(state.list.version)?,
            as_i64(state.statements.all)?,
            as_i64(state.statements.own)?,
            bytes,
            now,
            state.bundle.epoch,
            as_i64(state.bundle.number)?
        ],
    )?;
    bundles::shown(tx, state)?;
    let first_seen = tx.execute(
        "INSERT INTO list_seen (property, door, epoch, version, seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (property, door, epoch, version) DO NOTHING",
        params![
            property,
            door,
            state.list.epoch,
            as_i64(state.list.version)?,
            now
        ],
    )?;
    if first_seen > 0 {
        tell_withdrawals(tx, property, state)?;
        forget_needless(tx, property, state)?;
    }
    door::had_contact(tx, property, door, now)?;
    let numbers = state.statements;
    for pass in pass_rows::between(tx, property, numbers.epoch, known_up_to, numbers.all)? {
        pass_rows::tell_holder(tx, property, &pass)?;
    }
    tx.wake(Wake::Guests(property));
    Ok(())
}

/// Keys whose withdrawal this list has brought to one more door look different to staff.
fn tell_withdrawals(
    tx: &mut dyn Tx,
    property: PropertyId,
    state: &DoorState,
) -> Result<(), StoreError> {
    let keys = tx.query(
        "SELECT DISTINCT r.key_id FROM revoked r
         JOIN door_key k ON k.property = r.property AND k.id = r.key_id
         WHERE r.property = ?1 AND r.epoch = ?2 AND r.version <= ?3 AND k.withdrawn_at IS NOT NULL
           AND r.version > COALESCE((SELECT MAX(s.version) FROM list_seen s
               WHERE s.property = ?1 AND s.door = ?4 AND s.epoch = ?2 AND s.version < ?3), 0)",
        params![
            property,
            state.list.epoch,
            as_i64(state.list.version)?,
            state.door
        ],
    )?;
    for row in keys {
        key_write::tell(tx, property, row.at(0)?, &Default::default())?;
    }
    Ok(())
}

/// Forgets that this door showed the list before this one, unless something was last put on a list between that one and
/// the one before it: then the withdrawal of its key is proved by it. So a door has at most as many rows as keys were
/// withdrawn or cut, however many lists it shows.
fn forget_needless(
    tx: &mut dyn Tx,
    property: PropertyId,
    state: &DoorState,
) -> Result<(), StoreError> {
    let (door, version) = (state.door, as_i64(state.list.version)?);
    let before = tx.query(
        "SELECT epoch, version FROM list_seen
         WHERE property = ?1 AND door = ?2 AND (epoch < ?3 OR (epoch = ?3 AND version < ?4))
         ORDER BY epoch DESC, version DESC LIMIT 2",
        params![property, door, state.list.epoch, version],
    )?;
    let number = |row: &Row| Ok::<_, StoreError>((row.at::<u32>(0)?, row.at::<i64>(1)?));
    let Some(last) = before.first().map(number).transpose()? else {
        return Ok(());
    };
    let earlier = before.get(1).map(number).transpose()?.unwrap_or((0, 0));
    tx.execute(
        "DELETE FROM list_seen
         WHERE property = ?1 AND door = ?2 AND epoch = ?3 AND version = ?4 AND NOT EXISTS
             (SELECT 1 FROM revoked r WHERE r.property = ?1
                AND (r.epoch < ?3 OR (r.epoch = ?3 AND r.version <= ?4))
                AND (r.epoch > ?5 OR (r.epoch = ?5 AND r.version > ?6))
                AND NOT EXISTS (SELECT 1 FROM revoked l WHERE l.property = ?1 AND l.key_id = r.key_id
                    AND (l.epoch > r.epoch OR (l.epoch = r.epoch AND l.version > r.version))))",
        params![property, door, last.0, last.1, earlier.0, earlier.1],
    )?;
    Ok(())
}

/// When a door first showed, by its signature, this list or a later one.
pub(crate) fn list_seen_at(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: latchkey_protocol::ids::DoorId,
    epoch: u32,
    version: u64,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let row = tx.first(
        "SELECT MIN(seen_at) FROM list_seen
         WHERE property = ?1 AND door = ?2 AND (epoch > ?3 OR (epoch = ?3 AND version >= ?4))",
        params![property, door, epoch, as_i64(version)?],
    )?;
    row.map_or(Ok(None), |row| row.at(0))
}
