//! The tally: that no row was changed, taken away or put back, alone, behind the wallet's back.
//!
//! Every row of every table counts for a number that nobody can know who lacks the key: HMAC-SHA-256 over the
//! table's name and all that the row holds, sealed or not. The tally is their sum modulo 2^256 (a keyed
//! multiset hash, *MSet-Add-Hash* of Clarke et al., ASIACRYPT 2003), with a generation that goes up with every
//! commit that changed something, sealed as one record:
//!
//! ```text
//! version of the tables (4, big endian) || generation (8, big endian) || sum (32)
//! ```
//!
//! A sum can be kept up with what a transaction changes ([`watch`]), in that transaction; whatever else
//! changes a row leaves it out of step for good: what is taken off for a row later is what stands there then,
//! not what was counted. Everything is summed up anew when a wallet is opened, and before anything is read
//! after another connection has written ([`check`]).
//!
//! The descriptions of the tables and SQLite's own counters (`sqlite_schema`, `sqlite_sequence`) count like
//! rows. That indexes, by which rows are found, say what the rows say is checked by SQLite.

mod sum;
mod watch;

use latchkey_env::SecureRandom;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Transaction};

use self::sum::Sum;
pub(super) use self::watch::watch;
use super::seal::{Cell, DataKey};
use super::{WalletError, schema};

const TABLE: &str = "tally";

const CELL: Cell<'static> = Cell {
    table: TABLE,
    row: &[],
    column: "record",
};

/// What is sealed.
struct Tally {
    version: u32,
    generation: u64,
    rows: Sum,
}

impl Tally {
    fn read(sql: &Connection, key: &DataKey) -> Result<Self, WalletError> {
        let sealed: Option<Vec<u8>> = sql
            .prepare_cached("SELECT record FROM tally WHERE id = 1")?
            .query_row([], |row| row.get(0))
            .optional()?;
        let sealed = sealed.ok_or(WalletError::Changed)?;
        let plain = key
            .open_cell(CELL, &sealed)
            .map_err(|_| WalletError::Changed)?;
        Self::parse(&plain).ok_or(WalletError::Changed)
    }

    fn parse(plain: &[u8]) -> Option<Self> {
        let (version, rest) = plain.split_first_chunk()?;
        let (generation, rows) = rest.split_first_chunk()?;
        Some(Self {
            version: u32::from_be_bytes(*version),
            generation: u64::from_be_bytes(*generation),
            rows: Sum(rows.try_into().ok()?),
        })
    }

    fn write(
        &self,
        sql: &Connection,
        key: &DataKey,
        random: &dyn SecureRandom,
    ) -> Result<(), WalletError> {
        let plain = [
            self.version.to_be_bytes().as_slice(),
            &self.generation.to_be_bytes(),
            &self.rows.0,
        ]
        .concat();
        let sealed = key.seal_cell(CELL, &plain, random)?;
        sql.prepare_cached(
            "INSERT INTO tally (id, record) VALUES (1, ?1)
             ON CONFLICT (id) DO UPDATE SET record = excluded.record",
        )?
        .execute([sealed])?;
        Ok(())
    }
}

/// Compares the rows, all of them, with the tally; its generation. `version` is what the file says that its
/// tables are.
pub(super) fn check(sql: &Connection, key: &DataKey, version: u32) -> Result<u64, WalletError> {
    if !sql.table_exists(Some("main"), TABLE)? {
        return Err(WalletError::Changed);
    }
    let tally = Tally::read(sql, key)?;
    if tally.version != version || tally.rows != all(sql, key)? || !indexes_agree(sql)? {
        return Err(WalletError::Changed);
    }
    Ok(tally.generation)
}

/// Takes the rows as they are for right: of a new wallet, of one from before the tally, or of one that was
/// checked before its tables changed, in the same transaction.
pub(super) fn begin(
    tx: &Transaction<'_>,
    key: &DataKey,
    generation: u64,
    random: &dyn SecureRandom,
) -> Result<u64, WalletError> {
    let tally = Tally {
        version: schema::NEWEST,
        generation,
        rows: all(tx, key)?,
    };
    tally.write(tx, key, random)?;
    Ok(generation)
}

/// What a transaction found, to tell at its end what it changed.
pub(super) struct Before {
    changes: u64,
    sequences: Sum,
}

impl Before {
    /// At the beginning of a transaction.
    pub(super) fn now(tx: &Transaction<'_>, key: &DataKey) -> Result<Self, WalletError> {
        Ok(Self {
            changes: tx.total_changes(),
            sequences: sequences(tx, key)?,
        })
    }

    /// At its end, the last thing before the commit: brings the tally up to what was changed. The new
    /// generation; none where nothing was.
    pub(super) fn settle(
        self,
        tx: &Transaction<'_>,
        key: &DataKey,
        random: &dyn SecureRandom,
    ) -> Result<Option<u64>, WalletError> {
        if tx.total_changes() == self.changes {
            return Ok(None);
        }
        let mut changed = watch::take(tx)?;
        // No trigger sees the counters of SQLite.
        changed.add(&sequences(tx, key)?);
        changed.subtract(&self.sequences);
        if changed == Sum::default() {
            return Ok(None);
        }
        let mut tally = Tally::read(tx, key)?;
        tally.rows.add(&changed);
        tally.generation += 1;
        tally.write(tx, key, random)?;
        Ok(Some(tally.generation))
    }
}

/// Differs from what it was once another connection has written. Begins the transaction's moment.
pub(super) fn data_version(tx: &Transaction<'_>) -> Result<i64, WalletError> {
    let mut pragma = tx.prepare_cached("PRAGMA data_version")?;
    Ok(pragma.query_row([], |row| row.get(0))?)
}

/// Whether no table of ours has a row.
pub(super) fn is_empty(sql: &Connection) -> Result<bool, WalletError> {
    let tables = tables(sql)?;
    let ours = tables.iter().filter(|table| table.is_ours());
    for name in ours.map(|table| table.name.as_str()).chain([TABLE]) {
        let any = format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(name));
        if sql.query_row(&any, [], |row| row.get(0))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A table whose rows count.
struct Table {
    name: String,
    columns: Vec<String>,
}

impl Table {
    fn new(name: &str, columns: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
        }
    }

    /// Whether it is not one of SQLite's own.
    fn is_ours(&self) -> bool {
        !self.name.starts_with("sqlite_")
    }

    /// What a row counts by, as SQL: its number, which says where it stands among the others, and its columns.
    fn values(&self, prefix: &str) -> String {
        let columns = self.columns.iter().map(|column| quoted(column));
        let values = std::iter::once("rowid".to_owned()).chain(columns);
        let values: Vec<_> = values.map(|value| format!("{prefix}{value}")).collect();
        values.join(", ")
    }
}

/// Asked of the file, so that no table can be forgotten: all but the tally's own.
fn tables(sql: &Connection) -> Result<Vec<Table>, WalletError> {
    let mut query = sql.prepare_cached(
        "SELECT tables.name, columns.name
         FROM sqlite_schema AS tables, pragma_table_xinfo(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name <> 'tally'
         ORDER BY tables.rowid, columns.cid",
    )?;
    let mut rows = query.query([])?;
    let mut tables = vec![Table::new(
        "sqlite_schema",
        &["type", "name", "tbl_name", "sql"],
    )];
    while let Some(row) = rows.next()? {
        let (name, column): (String, String) = (row.get(0)?, row.get(1)?);
        match tables.last_mut().filter(|table| table.name == name) {
            Some(table) => table.columns.push(column),
            None => tables.push(Table::new(&name, &[&column])),
        }
    }
    Ok(tables)
}

fn all(sql: &Connection, key: &DataKey) -> Result<Sum, WalletError> {
    let mut sum = Sum::default();
    for table in tables(sql)? {
        sum.add(&rows(sql, key, &table)?);
    }
    Ok(sum)
}

fn sequences(sql: &Connection, key: &DataKey) -> Result<Sum, WalletError> {
    rows(sql, key, &Table::new("sqlite_sequence", &["name", "seq"]))
}

fn rows(sql: &Connection, key: &DataKey, table: &Table) -> Result<Sum, WalletError> {
    // From the table itself: an index may lie.
    let query = format!(
        "SELECT {} FROM {} NOT INDEXED",
        table.values(""),
        quoted(&table.name)
    );
    let mut query = sql.prepare_cached(&query)?;
    let count = query.column_count();
    let mut rows = query.query([])?;
    let mut sum = Sum::default();
    while let Some(row) = rows.next()? {
        let mut values = vec![ValueRef::Text(table.name.as_bytes())];
        for at in 0..count {
            values.push(row.get_ref(at)?);
        }
        sum.add(&Sum::of(key.tally(), values));
    }
    Ok(sum)
}

/// Rows are found by indexes: one that leaves a row out would hide it.
fn indexes_agree(sql: &Connection) -> Result<bool, WalletError> {
    let mut pragma = sql.prepare_cached("PRAGMA integrity_check (1)")?;
    let found: String = pragma.query_row([], |row| row.get(0))?;
    Ok(found == "ok")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
