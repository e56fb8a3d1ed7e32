//! How a wallet is opened: keys, check, newest tables, all in one transaction, so that a kill anywhere leaves
//! it as it was.

use std::path::{Path, PathBuf};
use std::time::Duration;

use latchkey_env::{SecureRandom, SharedRandom, random_array};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::seal::{Cell, DataKey, Format};
use super::sealing_key::{SealingKeyStore, WalletId};
use super::{WalletError, Watched, schema, tally};

/// Another process of the same wallet may be writing; it is never long.
const BUSY: Duration = Duration::from_secs(5);

/// Opens the file in `folder`, or makes it.
pub(super) fn open(
    folder: &Path,
    sealing: &dyn SealingKeyStore,
    random: &SharedRandom,
) -> Result<(WalletId, DataKey, Watched), WalletError> {
    let mut sql = connect(folder)?;
    let tx = sql.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let data_version = tally::data_version(&tx)?;
    let (id, key, generation) = load_or_create(&tx, sealing, &**random)?;
    tx.commit()?;
    tally::watch(&sql, &key)?;
    let watched = Watched {
        sql,
        data_version,
        generation,
    };
    Ok((id, key, watched))
}

fn connect(folder: &Path) -> Result<Connection, WalletError> {
    let sql = Connection::open(folder.join("wallet.db"))?;
    sql.busy_timeout(BUSY)?;
    // Ours has neither, apart from the temporary ones of the tally: those of a file are somebody else's.
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    sql.pragma_update(None, "trusted_schema", "OFF")?;
    sql.pragma_update(None, "journal_mode", "WAL")?;
    sql.pragma_update(None, "synchronous", "FULL")?;
    // Where a sync failed before the app ended, the log's file may read whole here and be torn on the disk: whatever is
    // kept behind such a place would be lost with it when the power goes. So all that reads is copied first.
    sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    sql.pragma_update(None, "foreign_keys", "ON")?;
    // Else the tally would miss rows that a REPLACE takes away.
    sql.pragma_update(None, "recursive_triggers", "ON")?;
    sql.pragma_update(None, "temp_store", "MEMORY")?;
    sql.pragma_update(None, "secure_delete", "ON")?;
    // Room for a query of each table and for all that transactions ask; the default is 16.
    sql.set_prepared_statement_cache_capacity(64);
    Ok(sql)
}

/// Loads the wallet's keys, or makes them together with the wallet, so that two processes that open a new one
/// at once agree. Leaves the newest tables, checked and tallied; the tally's generation.
fn load_or_create(
    tx: &Transaction<'_>,
    sealing: &dyn SealingKeyStore,
    random: &dyn SecureRandom,
) -> Result<(WalletId, DataKey, u64), WalletError> {
    let version = schema::version(tx)?;
    let Some((id, sealed)) = stored(tx, version)? else {
        return create(tx, version, sealing, random);
    };
    let sealing_key = sealing
        .load(id)?
        .ok_or(WalletError::SealingKeyMissing(id))?;
    let (key, format) = DataKey::open(id, &sealing_key, &sealed)?;
    let generation = match (format, version >= schema::TALLIED) {
        (Format::Tallied, true) => {
            let generation = tally::check(tx, &key, version)?;
            if version == schema::NEWEST {
                return Ok((id, key, generation));
            }
            schema::migrate(tx, version)?;
            generation
        }
        (Format::Untallied, false) => {
            schema::migrate(tx, version)?;
            let renewed = DataKey::renew(id, &sealing_key, &sealed, random)?;
            tx.execute("UPDATE wallet SET data_key = ?1", [renewed])?;
            renew_cells(tx, &key, random)?;
            0
        }
        // Its version was altered: a wallet is not taken on trust twice.
        _ => return Err(WalletError::Changed),
    };
    let generation = tally::begin(tx, &key, generation + 1, random)?;
    Ok((id, key, generation))
}

fn stored(tx: &Transaction<'_>, version: u32) -> Result<Option<(WalletId, Vec<u8>)>, WalletError> {
    match (version, tx.table_exists(Some("main"), "wallet")?) {
        (0, false) => return Ok(None),
        (1.., true) => {}
        _ => return Err(WalletError::Changed),
    }
    let row = tx.query_row("SELECT wallet_id, data_key FROM wallet", [], |row| {
        Ok((WalletId(row.get(0)?), row.get(1)?))
    });
    Ok(row.optional()?)
}

fn create(
    tx: &Transaction<'_>,
    version: u32,
    sealing: &dyn SealingKeyStore,
    random: &dyn SecureRandom,
) -> Result<(WalletId, DataKey, u64), WalletError> {
    schema::migrate(tx, version)?;
    // Rows without a wallet that they are of.
    if !tally::is_empty(tx)? {
        return Err(WalletError::Changed);
    }
    let id = WalletId(random_array(random));
    let (key, sealed) = DataKey::create(id, &sealing.create(id)?, random)?;
    tx.execute(
        "INSERT INTO wallet (id, wallet_id, data_key) VALUES (1, ?1, ?2)",
        rusqlite::params![id.0, sealed],
    )?;
    let generation = tally::begin(tx, &key, 1, random)?;
    Ok((id, key, generation))
}

/// A table as it was when cells got the format of today: its name, the columns that its cells are bound to,
/// and those that are sealed.
type Sealed = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const UNTALLIED: &[Sealed] = &[
    ("portals", &["id"], &["record"]),
    ("properties", &["id", "portal"], &["membership", "cursor"]),
    ("entities", &["id", "property", "kind"], &["value"]),
    ("credentials", &["id", "property"], &["record"]),
    ("device_keys", &["id"], &["pkcs8"]),
    ("outbox", &["seq", "portal"], &["record"]),
    ("attempts", &["id", "property"], &["record"]),
    (
        "readers",
        &["id", "property"],
        &["record", "persistent_key"],
    ),
];

/// Seals every cell of a wallet from before the tally anew.
fn renew_cells(
    tx: &Transaction<'_>,
    key: &DataKey,
    random: &dyn SecureRandom,
) -> Result<(), WalletError> {
    for (table, bound, sealed) in UNTALLIED {
        for column in *sealed {
            let select = format!(
                "SELECT rowid, {column}, {} FROM {table} WHERE {column} IS NOT NULL",
                bound.join(", ")
            );
            let mut select = tx.prepare(&select)?;
            let update = format!("UPDATE {table} SET {column} = ?2 WHERE rowid = ?1");
            let mut update = tx.prepare(&update)?;
            let mut rows = select.query([])?;
            let mut renewed = Vec::new();
            while let Some(row) = rows.next()? {
                let mut bound_to = Vec::new();
                for at in 0..bound.len() {
                    match row.get_ref(at + 2)? {
                        rusqlite::types::ValueRef::Integer(number) => {
                            bound_to.extend_from_slice(&number.to_be_bytes());
                        }
                        id => bound_to.extend_from_slice(id.as_blob().map_err(as_sqlite)?),
                    }
                }
                let cell = Cell {
                    table,
                    row: &bound_to,
                    column,
                };
                let sealed: Vec<u8> = row.get(1)?;
                let rowid: i64 = row.get(0)?;
                renewed.push((rowid, key.renew_cell(cell, &sealed, random)?));
            }
            for row in renewed {
                update.execute(row)?;
            }
        }
    }
    Ok(())
}

fn as_sqlite(error: rusqlite::types::FromSqlError) -> rusqlite::Error {
    error.into()
}

/// The sealing key protects a folder only from outside of it.
pub(super) fn refuse_keys_inside(
    folder: &Path,
    sealing: &dyn SealingKeyStore,
) -> Result<(), WalletError> {
    let Some(keys) = sealing.folder() else {
        return Ok(());
    };
    let resolved = |path: &Path| -> Result<PathBuf, WalletError> {
        // The key folder may not exist yet: its nearest existing parent decides where it will lie.
        let absolute = std::path::absolute(path);
        let mut missing = Vec::new();
        let mut existing = absolute.map_err(|error| WalletError::Folder {
            path: path.to_owned(),
            error,
        })?;
        loop {
            match existing.canonicalize() {
                Ok(real) => return Ok(real.join(missing.iter().rev().collect::<PathBuf>())),
                Err(error) => match (existing.file_name(), existing.parent()) {
                    (Some(name), Some(parent)) => {
                        missing.push(name.to_owned());
                        existing = parent.to_owned();
                    }
                    _ => {
                        return Err(WalletError::Folder {
                            path: path.to_owned(),
                            error,
                        });
                    }
                },
            }
        }
    };
    let keys = resolved(keys)?;
    if keys.starts_with(resolved(folder)?) {
        return Err(WalletError::SealingKeyInside(keys));
    }
    Ok(())
}
