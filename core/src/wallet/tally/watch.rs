//! Sees every change of every row, whoever makes it: statements, cascades, replaced rows.
//!
//! Temporary triggers, one for each table and kind of change, add what a row counts for to a temporary table,
//! or take it off. SQLite rolls that table back together with what it counts, with a transaction as with a
//! single statement that failed.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, Transaction};

use super::super::WalletError;
use super::super::seal::DataKey;
use super::sum::Sum;
use super::{Table, quoted, tables};

/// Begins to watch this connection.
pub(in super::super) fn watch(sql: &Connection, key: &DataKey) -> Result<(), WalletError> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        // No table's description may call it.
        | FunctionFlags::SQLITE_DIRECTONLY;
    let tally = key.tally().clone();
    sql.create_scalar_function("tally_with", -1, flags, move |context| {
        let mut sum = Sum(context.get(0)?);
        sum.add(&row(&tally, context));
        Ok(sum.0)
    })?;
    let tally = key.tally().clone();
    sql.create_scalar_function("tally_without", -1, flags, move |context| {
        let mut sum = Sum(context.get(0)?);
        sum.subtract(&row(&tally, context));
        Ok(sum.0)
    })?;
    sql.execute_batch(
        "CREATE TEMP TABLE tally_pending (sum BLOB NOT NULL);
         INSERT INTO tally_pending (sum) VALUES (zeroblob(32));",
    )?;
    for table in tables(sql)?.iter().filter(|table| table.is_ours()) {
        sql.execute_batch(&triggers(table))?;
    }
    Ok(())
}

/// The arguments are a sum, the table's name and the row's values.
fn row(key: &ring::hmac::Key, context: &Context<'_>) -> Sum {
    Sum::of(key, (1..context.len()).map(|at| context.get_raw(at)))
}

fn triggers(table: &Table) -> String {
    let name = format!("'{}'", table.name.replace('\'', "''"));
    let with = |sum: &str| format!("tally_with({sum}, {name}, {})", table.values("new."));
    let without = |sum: &str| format!("tally_without({sum}, {name}, {})", table.values("old."));
    let changes = [
        ("INSERT", with("sum")),
        ("UPDATE", with(&without("sum"))),
        ("DELETE", without("sum")),
    ];
    let on = quoted(&table.name);
    let trigger = |(change, sum): (&str, String)| {
        let trigger = quoted(&format!("tally_{change}_{}", table.name));
        format!(
            "CREATE TEMP TRIGGER {trigger} AFTER {change} ON main.{on}
             BEGIN UPDATE tally_pending SET sum = {sum}; END;"
        )
    };
    changes.map(trigger).concat()
}

/// What the transaction changed so far; from here on nothing.
pub(super) fn take(tx: &Transaction<'_>) -> Result<Sum, WalletError> {
    let changed = tx
        .prepare_cached("SELECT sum FROM temp.tally_pending")?
        .query_row([], |row| Ok(Sum(row.get(0)?)))?;
    tx.prepare_cached("UPDATE temp.tally_pending SET sum = zeroblob(32)")?
        .execute([])?;
    Ok(changed)
}
