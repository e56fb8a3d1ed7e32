//! The tables, and which of their columns are secret.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::StoreError;

/// The columns whose content must not leave the controller, as (table, column). Everything else in
/// the store is public keys, signed bytes, numbers and the log. Whoever steals all of it can make no code
/// and open no other door; with the secret columns they open this one, in the name of those whom it
/// remembers.
pub const SECRET_COLUMNS: &[(&str, &str)] = &[
    ("own_keys", "reader_key"),
    ("own_keys", "sealing_key"),
    ("persistent_keys", "sealed"),
];

const MIGRATIONS: &[M<'static>] = &[
    M::up(FIRST),
    M::up(REMEMBERED_PHONES),
    M::up(LOCK_SYNC),
    M::up(LEASES),
];

const FIRST: &str = "
    CREATE TABLE own_keys (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        -- PKCS#8 of the P-256 key that is Aliro's reader key and signs the door's state.
        reader_key BLOB NOT NULL,
        -- HPKE's private key (DHKEM P-256), for what is sealed to this door.
        sealing_key BLOB NOT NULL
    ) STRICT;

    CREATE TABLE installed (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        package BLOB NOT NULL
    ) STRICT;

    -- What only ever grows: how many states this door has signed.
    CREATE TABLE counters (
        name TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- How far both series of statements have come.
    CREATE TABLE series (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        epoch INTEGER NOT NULL,
        all_doors INTEGER NOT NULL,
        own INTEGER NOT NULL
    ) STRICT;

    -- The last statement of each setting, as it was signed.
    CREATE TABLE settings (
        name TEXT PRIMARY KEY,
        statement BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Passes that statements told of: their ids and public keys.
    CREATE TABLE passes (
        pass BLOB PRIMARY KEY,
        statement BLOB NOT NULL,
        ends_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- The newest code of each pass that opened here. A code counts only when it is newer.
    CREATE TABLE accepted_codes (
        pass BLOB PRIMARY KEY,
        issued INTEGER NOT NULL,
        accepted_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Verified Access Documents, by SHA-256 of the credential's public key.
    CREATE TABLE documents (
        credential BLOB PRIMARY KEY,
        signed INTEGER NOT NULL,
        valid_until INTEGER NOT NULL,
        document BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX documents_by_end ON documents (valid_until);

    -- The revocation lists that count, as they were signed; more than one after a restore only.
    CREATE TABLE revocations (
        epoch INTEGER NOT NULL,
        version INTEGER NOT NULL,
        document BLOB NOT NULL,
        PRIMARY KEY (epoch, version)
    ) STRICT, WITHOUT ROWID;

    -- The highest validityIteration accepted from each issuer, by the key id.
    CREATE TABLE iterations (
        issuer BLOB PRIMARY KEY,
        highest INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE clock (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        saved TEXT NOT NULL
    ) STRICT;

    -- state: 1 spent, 2 moved, 3 replaced by a later gesture.
    CREATE TABLE attempts (
        attempt BLOB PRIMARY KEY,
        subject BLOB NOT NULL,
        state INTEGER NOT NULL CHECK (state IN (1, 2, 3)),
        event BLOB NOT NULL,
        at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX attempts_by_time ON attempts (at_ms);

    -- kept: whether the portal has said that it keeps the event.
    CREATE TABLE events (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        body TEXT NOT NULL,
        opened INTEGER NOT NULL,
        kept INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX events_to_report ON events (sequence) WHERE kept = 0;
    ";

const REMEMBERED_PHONES: &str = "
    -- Phones that the fast phase knows again. Being remembered anew gives a row the highest number.
    CREATE TABLE persistent_keys (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        credential BLOB NOT NULL UNIQUE REFERENCES documents (credential) ON DELETE CASCADE,
        element BLOB NOT NULL,
        -- The credential's public key and the key that both sides remember, see `seal.rs`.
        sealed BLOB NOT NULL
    ) STRICT;
    ";

const LOCK_SYNC: &str = "
    -- The number of the statement that told of the pass, in the series for all doors.
    ALTER TABLE passes ADD COLUMN number INTEGER NOT NULL DEFAULT 0;

    -- The bundle that was applied last.
    CREATE TABLE bundle (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        epoch INTEGER NOT NULL,
        number INTEGER NOT NULL
    ) STRICT;

    -- The bundle that phones are bringing: its signed header, and the pages of its sealed body. refused: it
    -- was whole, and this door could not obey it.
    CREATE TABLE incoming_bundle (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        header BLOB NOT NULL,
        refused INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE incoming_page (
        page INTEGER PRIMARY KEY,
        bytes BLOB NOT NULL
    ) STRICT;
    ";

const LEASES: &str = "
    -- What this door may spend of keys with a number of uses, and has spent: apart from the log, until the key is
    -- long over. changed: one more with each change of any row.
    CREATE TABLE leases (
        budget BLOB PRIMARY KEY,
        epoch INTEGER NOT NULL,
        number INTEGER NOT NULL,
        ceiling INTEGER NOT NULL,
        spent INTEGER NOT NULL CHECK (spent <= ceiling),
        known INTEGER NOT NULL,
        until INTEGER,
        changed INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX leases_by_change ON leases (changed);
    ";

pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    Migrations::from_slice(MIGRATIONS).to_latest(connection)?;
    Ok(())
}
