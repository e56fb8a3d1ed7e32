//! Everything that a controller remembers, in one SQLite file of its own. What it decides rests on
//! this store alone.
//!
//! Each commit is durable before it returns (WAL, synchronous FULL), so what was answered is there
//! after the power was cut. A `&Transaction` is the proof that several writes become one.

mod attempts;
mod bundles;
mod codes;
mod counters;
mod documents;
mod events;
mod installed;
mod keys;
mod leases;
mod persistent;
mod schema;
mod series;
mod signed;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub(crate) use attempts::{
    Attempt, forget_attempts_before, keep_attempt, known_attempt, mark_moved, replace_attempt,
};
pub(crate) use bundles::{
    applied_bundle, forget_incoming, incoming, incoming_body, incoming_pages, keep_applied_bundle,
    keep_incoming, keep_page, refuse_incoming,
};
pub(crate) use codes::{accept_code, forget_codes, last_accepted};
pub(crate) use counters::{Counter, advance, counter, raise};
pub(crate) use documents::{
    CachedDocument, cached_document, forget_document, forget_documents_ended, keep_document,
};
pub(crate) use events::{EventLog, log_event, log_reach, mark_events_kept, unkept_events};
pub(crate) use installed::{install, installed_package};
pub(crate) use keys::{StoredKeys, keep_keys, stored_keys};
pub(crate) use leases::{
    all_leases, forget_lease, keep_lease, leases_changed_after, leases_changed_last,
};
pub(crate) use persistent::{
    RememberedPhone, forget_phone, forget_phones_ended, remember_phone, remembered_phones,
};
pub use schema::SECRET_COLUMNS;
pub(crate) use series::{
    Setting, count_passes, forget_passes, forget_passes_ended, forget_passes_up_to, keep_pass,
    keep_setting, keep_statement_numbers, known_pass, setting, statement_numbers,
};
pub(crate) use signed::{
    SavedBattery, SavedClock, iterations, keep_iterations, keep_revocations, revocation_documents,
    revocation_number, save_clock, saved_clock,
};

/// The file's name inside a controller's folder.
pub const FILE: &str = "controller.sqlite";

/// Why a store does not do what it is asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk has no room: nothing was stored.
    #[error("the disk is full")]
    Full,
    /// SQLite failed: the file is damaged, the sync failed.
    #[error("the store failed: {0}")]
    Sqlite(#[source] rusqlite::Error),
    /// The schema could not be brought up to date, or is newer than this program.
    #[error("the store's schema does not fit this program")]
    Schema(#[from] rusqlite_migration::Error),
    /// The folder or the lock file failed.
    #[error("the controller's folder failed")]
    Folder(#[from] std::io::Error),
    /// Another process works with this folder.
    #[error("another process runs this controller")]
    InUse,
    /// There is a controller in this folder already.
    #[error("there is a controller in this folder already")]
    Exists,
    /// There is no controller in this folder.
    #[error("there is no controller in this folder")]
    Missing,
    /// A row does not read.
    #[error("the store holds something that does not read: {0}")]
    Damaged(&'static str),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sqlite(error),
        }
    }
}

/// The open store of one controller. One process at a time holds it.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    /// Held for as long as the store is open.
    _lock: Option<Held>,
}

/// A locked file. It is unlocked in so many words: a process that is just being started by this one may still share it.
#[derive(Debug)]
struct Held(std::fs::File);

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "closing the file unlocks it");
        }
    }
}

impl Store {
    /// Makes a new one; the folder is made too.
    pub(crate) fn create(folder: &Path) -> Result<Self, StoreError> {
        make_private_folder(folder)?;
        let lock = lock(folder)?;
        let file = file_in(folder);
        if file.exists() {
            return Err(StoreError::Exists);
        }
        make_private_file(&file)?;
        Self::writer(&file, lock)
    }

    /// Opens an existing one and brings its schema up to date.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let file = file_in(folder);
        if !file.exists() {
            return Err(StoreError::Missing);
        }
        Self::writer(&file, lock(folder)?)
    }

    /// Opens an existing one to look at, whether or not another process runs it.
    pub(crate) fn look(folder: &Path) -> Result<Self, StoreError> {
        let file = file_in(folder);
        if !file.exists() {
            return Err(StoreError::Missing);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        Ok(Self {
            connection,
            _lock: None,
        })
    }

    fn writer(file: &Path, lock: Held) -> Result<Self, StoreError> {
        let mut connection = Connection::open(file)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        // What is deleted is overwritten: a stolen store tells nothing of those who were forgotten.
        connection.pragma_update(None, "secure_delete", "ON")?;
        // Where a sync failed before the process ended, the log's file may read whole here and be torn on the disk:
        // whatever is stored behind such a place would be lost with it in a power cut. So all that reads is copied into
        // the database first. Within one run there is no such place: SQLite writes the log over from where the failed
        // commit began.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        schema::migrate(&mut connection)?;
        Ok(Self {
            connection,
            _lock: Some(lock),
        })
    }

    /// For reading.
    pub(crate) fn read(&self) -> &Connection {
        &self.connection
    }

    /// Runs `work` in one transaction that is durable when this returns `Ok`, and leaves no trace
    /// otherwise.
    pub(crate) fn write<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let done = work(&transaction)?;
        transaction.commit().map_err(StoreError::from)?;
        Ok(done)
    }
}

fn file_in(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Locked for as long as the file stays open; the system lets go of it when the process dies.
fn lock(folder: &Path) -> Result<Held, StoreError> {
    let file = std::fs::File::create(folder.join("controller.lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Held(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(std::fs::TryLockError::Error(error)) => Err(StoreError::Folder(error)),
    }
}

/// Nobody but the controller's own user reads its keys.
fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn make_private_file(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

/// SQLite's integers are signed; ours are not. Nothing of ours comes near the end.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_reaches_the_disk_and_what_is_deleted_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(folder.path()).unwrap();
        let setting = |name: &str| -> String {
            let value = store
                .read()
                .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
            format!("{:?}", value.unwrap())
        };
        assert_eq!(setting("journal_mode"), "Text(\"wal\")");
        assert_eq!(setting("synchronous"), "Integer(2)", "FULL");
        assert_eq!(setting("secure_delete"), "Integer(1)");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_the_keys() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("door");
        Store::create(&folder).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
        assert_eq!((mode(&folder), mode(&folder.join(FILE))), (0, 0));
    }
}
