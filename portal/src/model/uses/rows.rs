//! Ledgers of uses as rows.

use std::collections::BTreeMap;

use latchkey_protocol::ids::{BudgetId, DoorId, Generation, KeyId, PropertyId};
use latchkey_protocol::uses::{Ceiling, Holder, Lease, LeaseNumber, Ledger};

use crate::issue::statements::as_i64;
use crate::store::{Row, StoreError, Tx, params};

/// The ledger of a key; none for one that never had a number of uses.
pub(crate) fn of_key(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: KeyId,
) -> Result<Option<Ledger>, StoreError> {
    let row = tx.first(
        "SELECT id, epoch, max_uses, raised, until FROM budget
         WHERE property = ?1 AND key_id = ?2",
        params![property, key],
    )?;
    row.map(|row| from_row(tx, property, &row)).transpose()
}

/// The key whose uses this counts.
pub(super) fn key_of(
    tx: &mut dyn Tx,
    property: PropertyId,
    budget: BudgetId,
) -> Result<Option<KeyId>, StoreError> {
    tx.first(
        "SELECT key_id FROM budget WHERE property = ?1 AND id = ?2",
        params![property, budget],
    )?
    .map(|row| row.at(0))
    .transpose()
}

/// What counts a key's uses.
pub(crate) fn budget_of(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: KeyId,
) -> Result<Option<BudgetId>, StoreError> {
    tx.first(
        "SELECT id FROM budget WHERE property = ?1 AND key_id = ?2",
        params![property, key],
    )?
    .map(|row| row.at(0))
    .transpose()
}

/// Keys whose uses are counted, and that are over by their ranges or withdrawn, with leases that are not settled. A
/// portion of them.
pub(super) fn unsettled(
    tx: &mut dyn Tx,
    property: PropertyId,
    now: i64,
) -> Result<Vec<KeyId>, StoreError> {
    tx.query(
        "SELECT DISTINCT b.key_id FROM budget b
         JOIN lease l ON l.property = b.property AND l.budget = b.id
         WHERE b.property = ?1 AND b.until <= ?2 AND (l.settled = 0 OR l.ordered <> l.spent)
         ORDER BY b.key_id LIMIT 100",
        params![property, now],
    )?
    .iter()
    .map(|row| row.at(0))
    .collect()
}

/// All keys whose uses are counted.
pub(super) fn all(tx: &mut dyn Tx, property: PropertyId) -> Result<Vec<KeyId>, StoreError> {
    tx.query(
        "SELECT key_id FROM budget WHERE property = ?1 ORDER BY key_id",
        params![property],
    )?
    .iter()
    .map(|row| row.at(0))
    .collect()
}

/// Controllers of which only the signer knows since a restore.
pub(super) fn forgotten(tx: &mut dyn Tx, property: PropertyId) -> Result<Vec<Holder>, StoreError> {
    tx.query(
        "SELECT door, generation FROM forgotten_controller WHERE property = ?1",
        params![property],
    )?
    .iter()
    .map(|row| {
        Ok(Holder {
            door: row.at(0)?,
            generation: Generation(row.at(1)?),
        })
    })
    .collect()
}

/// Keys for this door whose uses are counted, and of which some are left.
pub(super) fn alive_at(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
) -> Result<Vec<KeyId>, StoreError> {
    tx.query(
        "SELECT b.key_id FROM budget b
         JOIN door_key k ON k.property = b.property AND k.id = b.key_id
         WHERE b.property = ?1 AND k.withdrawn_at IS NULL AND k.used_up = 0
           AND (k.all_doors = 1 OR EXISTS (SELECT 1 FROM key_door kd
                WHERE kd.property = k.property AND kd.key_id = k.id AND kd.door = ?2))
         ORDER BY k.ordinal",
        params![property, door],
    )?
    .iter()
    .map(|row| row.at(0))
    .collect()
}

/// What this controller has not yet signed for, of which it may have heard.
pub(crate) fn unconfirmed(
    tx: &mut dyn Tx,
    property: PropertyId,
    holder: Holder,
) -> Result<Vec<Ceiling>, StoreError> {
    tx.query(
        "SELECT l.budget, l.number_epoch, l.number, l.ordered, l.spent, b.until FROM lease l
         JOIN budget b ON b.property = l.property AND b.id = l.budget
         WHERE l.property = ?1 AND l.door = ?2 AND l.generation = ?3
           AND (l.confirmed_epoch < l.number_epoch
                OR (l.confirmed_epoch = l.number_epoch AND l.confirmed < l.number))
         ORDER BY l.budget",
        params![property, holder.door, holder.generation.0],
    )?
    .iter()
    .map(ceiling)
    .collect()
}

/// Enters a ledger, or what has changed in it.
pub(super) fn keep(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: KeyId,
    before: Option<&Ledger>,
    ledger: &Ledger,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO budget (property, key_id, id, epoch, max_uses, raised, until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (property, key_id) DO UPDATE SET epoch = excluded.epoch,
             max_uses = excluded.max_uses, raised = excluded.raised, until = excluded.until",
        params![
            property,
            key,
            ledger.id,
            ledger.epoch,
            ledger.max_uses,
            ledger.raised,
            ledger.until
        ],
    )?;
    for (holder, lease) in &ledger.leases {
        if before.and_then(|before| before.leases.get(holder)) == Some(lease) {
            continue;
        }
        tx.execute(
            "INSERT INTO lease (property, budget, door, generation, ceiling, spent, number_epoch,
                 number, ordered, confirmed_epoch, confirmed, written_off, awaited, settled)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
             ON CONFLICT (property, budget, door, generation) DO UPDATE SET
                 ceiling = excluded.ceiling, spent = excluded.spent,
                 number_epoch = excluded.number_epoch, number = excluded.number,
                 ordered = excluded.ordered, confirmed_epoch = excluded.confirmed_epoch,
                 confirmed = excluded.confirmed, written_off = excluded.written_off,
                 awaited = excluded.awaited, settled = excluded.settled",
            params![
                property,
                ledger.id,
                holder.door,
                holder.generation.0,
                lease.ceiling,
                lease.spent,
                lease.number.epoch,
                as_i64(lease.number.count)?,
                lease.ordered,
                lease.confirmed.epoch,
                as_i64(lease.confirmed.count)?,
                lease.written_off,
                lease.awaited,
                lease.settled
            ],
        )?;
    }
    Ok(())
}

fn from_row(tx: &mut dyn Tx, property: PropertyId, row: &Row) -> Result<Ledger, StoreError> {
    let id: BudgetId = row.at(0)?;
    let leases = tx.query(
        "SELECT door, generation, ceiling, spent, number_epoch, number, ordered, confirmed_epoch,
             confirmed, written_off, awaited, settled
         FROM lease WHERE property = ?1 AND budget = ?2",
        params![property, id],
    )?;
    let leases: Result<BTreeMap<_, _>, StoreError> = leases.iter().map(lease).collect();
    Ok(Ledger {
        id,
        epoch: row.at(1)?,
        max_uses: row.at(2)?,
        raised: row.at(3)?,
        until: row.at(4)?,
        leases: leases?,
    })
}

fn lease(row: &Row) -> Result<(Holder, Lease), StoreError> {
    let holder = Holder {
        door: row.at::<DoorId>(0)?,
        generation: Generation(row.at(1)?),
    };
    let number = |epoch, count| -> Result<_, StoreError> {
        Ok(LeaseNumber {
            epoch: row.at(epoch)?,
            count: row.at(count)?,
        })
    };
    let lease = Lease {
        ceiling: row.at(2)?,
        spent: row.at(3)?,
        number: number(4, 5)?,
        ordered: row.at(6)?,
        confirmed: number(7, 8)?,
        written_off: row.at(9)?,
        awaited: row.at(10)?,
        settled: row.at(11)?,
    };
    Ok((holder, lease))
}

fn ceiling(row: &Row) -> Result<Ceiling, StoreError> {
    Ok(Ceiling {
        budget: row.at(0)?,
        number: LeaseNumber {
            epoch: row.at(1)?,
            count: row.at(2)?,
        },
        ceiling: row.at(3)?,
        spent: row.at(4)?,
        until: row.at(5)?,
    })
}
