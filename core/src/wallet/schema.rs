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
//!
//! Old versions open: a migration is only ever added at the end, and `core/tests/fixtures` keeps a
//! file of each version.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::WalletError;

const MIGRATIONS: &[M<'_>] = &[M::up(FIRST), M::up(READERS)];

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

/// Brings the tables to the newest version, in one transaction each.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), WalletError> {
    match Migrations::from_slice(MIGRATIONS).to_latest(connection) {
        Ok(()) => Ok(()),
        Err(rusqlite_migration::Error::MigrationDefinition(
            rusqlite_migration::MigrationDefinitionError::DatabaseTooFarAhead,
        )) => Err(WalletError::TooNew),
        Err(error) => Err(WalletError::Migration(Box::new(error))),
    }
}
