//! Leases on the uses of counted keys.

use std::collections::BTreeMap;

use latchkey_protocol::ids::BudgetId;
use latchkey_protocol::uses::{Held, LeaseNumber};
use rusqlite::{Connection, Row, Transaction, params};

use super::counters::{Counter, advance};
use super::{StoreError, from_sql, to_sql};

/// Everything that is held.
pub(crate) fn all_leases(connection: &Connection) -> Result<BTreeMap<BudgetId, Held>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT budget, epoch, number, ceiling, spent, known, until, changed FROM leases",
    )?;
    let rows = statement.query_map([], read)?;
    rows.map(|row| row?.parse().map(|(_, budget, held)| (budget, held)))
        .collect()
}

/// What has changed after that change, the oldest first, with the number of its change.
pub(crate) fn leases_changed_after(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, BudgetId, Held)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT budget, epoch, number, ceiling, spent, known, until, changed FROM leases
         WHERE changed > ?1 ORDER BY changed LIMIT ?2",
    )?;
    let rows = statement.query_map(params![to_sql(after), to_sql(limit as u64)], read)?;
    rows.map(|row| row?.parse()).collect()
}

/// What has changed last.
pub(crate) fn leases_changed_last(
    connection: &Connection,
    limit: usize,
) -> Result<Vec<(u64, BudgetId, Held)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT budget, epoch, number, ceiling, spent, known, until, changed FROM leases
         ORDER BY changed DESC LIMIT ?1",
    )?;
    let rows = statement.query_map([to_sql(limit as u64)], read)?;
    rows.map(|row| row?.parse()).collect()
}

/// Keeps what is held now. That is a change even when nothing is different: it will be told again.
pub(crate) fn keep_lease(
    tx: &Transaction<'_>,
    budget: BudgetId,
    held: &Held,
) -> Result<(), StoreError> {
    let changed = advance(tx, Counter::LeaseChanges)?;
    tx.execute(
        "INSERT INTO leases (budget, epoch, number, ceiling, spent, known, until, changed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (budget) DO UPDATE SET epoch = excluded.epoch, number = excluded.number,
             ceiling = excluded.ceiling, spent = excluded.spent, known = excluded.known,
             until = excluded.until, changed = excluded.changed",
        params![
            budget.as_bytes(),
            held.number.epoch,
            to_sql(held.number.count),
            held.ceiling,
            held.spent,
            held.known,
            held.until,
            to_sql(changed)
        ],
    )?;
    Ok(())
}

/// Forgets a lease.
pub(crate) fn forget_lease(tx: &Transaction<'_>, budget: BudgetId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM leases WHERE budget = ?1", [budget.as_bytes()])?;
    Ok(())
}

/// A row whose budget is not read yet.
struct Stored {
    budget: Vec<u8>,
    held: Held,
    changed: i64,
}

impl Stored {
    fn parse(self) -> Result<(u64, BudgetId, Held), StoreError> {
        let budget =
            BudgetId::from_slice(&self.budget).map_err(|_| StoreError::Damaged("a budget"))?;
        Ok((from_sql(self.changed), budget, self.held))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        budget: row.get(0)?,
        held: Held {
            number: LeaseNumber {
                epoch: row.get(1)?,
                count: from_sql(row.get(2)?),
            },
            ceiling: row.get(3)?,
            spent: row.get(4)?,
            known: row.get(5)?,
            until: row.get(6)?,
        },
        changed: row.get(7)?,
    })
}
