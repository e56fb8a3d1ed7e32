//! The tables. Every column that says something is sealed; ids are keyed hashes.
//!
//! | table | a row is | sealed |
//! |---|---|---|
//! | `wallet` | this wallet, once | the data key, by the sealing key |
//! | `portals` | a portal that this phone is signed in at | address, tokens, clock offset |
//! | `properties` | a membership at a property of a portal | who, what role; the sync cursor |
//! | `entities` | a thing that synced: door, key, grant, … | the thing |
//! | `credentials` | a key that this phone registered at a property | its id and label |
//! | `device_keys` | a private key in software, where there is no hardware | PKCS#8 |
//! | `outbox` | something that waits to be sent, or was refused | all of it |
//! | `attempts` | a gesture at a door without an answer yet | the attempt |
//! | `readers` | a door that has met this phone | which controller of it; the key that both remember |
//! | `tally` | the tally over all other tables, once | all of it |
//!
//! Old versions open: a step is only ever added at the end, and `core/tests/fixtures` keeps a file of each
//! version.

use rusqlite::{Connection, Transaction};

use super::WalletError;

/// Each step makes the next version of the tables, from 1 on; SQLite's `user_version` says which it is.
const STEPS: &[&str] = &[FIRST, READERS, TALLY, STALE];

/// The version that this code writes.
#[expect(clippy::cast_possible_truncation, reason = "a handful")]
pub(super) const NEWEST: u32 = STEPS.len() as u32;

/// The first version with a tally.
pub(super) const TALLIED: u32 = 3;

const FIRST: &str = "
    CREATE TABLE wallet (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        wallet_id BLOB NOT NULL,
        data_key BLOB NOT NULL
    ) STRICT;
    CREATE TABLE portals (
        id BLOB PRIMARY KEY,
        record BLOB NOT NULL
    ) STRICT;
    CREATE TABLE properties (
        id BLOB PRIMARY KEY,
        portal BLOB NOT NULL REFERENCES portals (id) ON DELETE CASCADE,
        membership BLOB NOT NULL,
        cursor BLOB
    ) STRICT;
    CREATE TABLE entities (
        id BLOB PRIMARY KEY,
        property BLOB NOT NULL REFERENCES properties (id) ON DELETE CASCADE,
        kind INTEGER NOT NULL,
        stale INTEGER NOT NULL DEFAULT 0,
        value BLOB NOT NULL
    ) STRICT;
    CREATE INDEX entities_by_kind ON entities (property, kind);
    CREATE TABLE credentials (
        id BLOB PRIMARY KEY,
        property BLOB NOT NULL REFERENCES properties (id) ON DELETE CASCADE,
        record BLOB NOT NULL
    ) STRICT;
    CREATE INDEX credentials_by_property ON credentials (property);
    CREATE TABLE device_keys (
        id BLOB PRIMARY KEY,
        pkcs8 BLOB NOT NULL
    ) STRICT;
    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        portal BLOB NOT NULL REFERENCES portals (id) ON DELETE CASCADE,
        record BLOB NOT NULL
    ) STRICT;
    CREATE TABLE attempts (
        id BLOB PRIMARY KEY,
        property BLOB NOT NULL REFERENCES properties (id) ON DELETE CASCADE,
        record BLOB NOT NULL
    ) STRICT;
    ";

const READERS: &str = "
    CREATE TABLE readers (
        id BLOB PRIMARY KEY,
        property BLOB NOT NULL REFERENCES properties (id) ON DELETE CASCADE,
        record BLOB NOT NULL,
        persistent_key BLOB NOT NULL
    ) STRICT;
    CREATE INDEX readers_by_property ON readers (property);
    ";

const TALLY: &str = "
    CREATE TABLE tally (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        record BLOB NOT NULL
    ) STRICT;
    ";

// Whether anything is stale is asked at the end of every sync: not of every row.
const STALE: &str = "
    CREATE INDEX entities_stale ON entities (property) WHERE stale = 1;
    ";

/// Which version the tables are of; 0 for a new file.
pub(super) fn version(sql: &Connection) -> Result<u32, WalletError> {
    let version = sql.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > NEWEST {
        return Err(WalletError::TooNew);
    }
    Ok(version)
}

/// Brings the tables from a version to the newest, in the transaction of whoever checked them before and
/// tallies them afterwards: rows must not change between the two.
pub(super) fn migrate(tx: &Transaction<'_>, from: u32) -> Result<(), WalletError> {
    for step in STEPS.iter().skip(from as usize) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", NEWEST)?;
    Ok(())
}
