//! The phone's sealed store.
//!
//! One SQLite file (`wallet.db`, with its `-wal` and `-shm`) in a folder of its own: write-ahead log,
//! `synchronous = FULL`, so that what was said to be kept is kept, and a process that is killed anywhere
//! finds nothing half-written. Keys, from the outside in:
//!
//! ```text
//! sealing key (32 bytes; keystore, Secret Service or file)        seals
//!   data key (32 bytes, drawn once a wallet)                      HKDF:
//!     cell key   AES-256-GCM over every private column            see `seal`
//!     row key    HMAC-SHA256: the ids of rows
//!     tally key  HMAC-SHA256: what each row counts for            see `tally`
//! ```
//!
//! The folder without the sealing key shows how many rows each table has and how long they are, and
//! nothing else. Whoever can write the file can put back an older copy of the whole; anything less, a row
//! set back, taken away or put back, is noticed when the wallet is opened.

mod attempts;
mod credentials;
mod desk_keys;
mod device_keys;
mod entities;
mod opening;
mod outbox;
mod portals;
mod properties;
mod readers;
mod schema;
pub mod seal;
mod sealing_key;
#[cfg(target_os = "linux")]
mod secret_service;
mod tally;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use latchkey_env::SharedRandom;
use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

pub(crate) use attempts::UnansweredAttempt;
pub(crate) use credentials::CredentialRecord;
pub use desk_keys::DeskSealingKeys;
pub(crate) use outbox::{OutboxRecord, OutboxState};
pub(crate) use portals::{PortalRecord, TokenRecord};
pub(crate) use properties::PropertyRecord;
pub(crate) use readers::ReaderRecord;
pub(crate) use seal::RowId;
use seal::{Cell, DataKey};
pub use sealing_key::{
    FileSealingKey, SealingKey, SealingKeyError, SealingKeyStore, SealingPlace, WalletId,
};

/// Why the wallet could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The folder cannot be used.
    #[error("{}: {error}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// The sealing key would lie in the folder that it protects.
    #[error("the sealing key must lie outside the wallet's folder, not in {}", .0.display())]
    SealingKeyInside(PathBuf),
    /// The keystore does not have this wallet's sealing key: it was deleted, or the wallet's folder came
    /// from another device. What is inside cannot be read; sign in again with a new wallet.
    #[error("the sealing key of wallet {0} is not in the keystore")]
    SealingKeyMissing(WalletId),
    /// The keystore gave a sealing key that does not open this wallet.
    #[error("the sealing key does not open this wallet")]
    SealingKeyWrong,
    /// The keystore failed.
    #[error(transparent)]
    SealingKey(#[from] SealingKeyError),
    /// A newer version of this library wrote the wallet.
    #[error("the wallet was written by a newer version: update the app")]
    TooNew,
    /// The file is not as this wallet left it: rows were altered, taken away or put back, by somebody or by
    /// what copied the folder. Nothing in it can be relied on, and nothing was taken out of it.
    #[error(
        "the wallet's file was changed from outside: keep its folder aside for whoever looks into it, and \
         sign in again with a new wallet"
    )]
    Changed,
    /// A cell does not open where it stands: altered, moved or swapped.
    #[error("the wallet was tampered with: {table}.{column} does not open")]
    Tampered {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A cell opens and does not read.
    #[error("{table}.{column} of the wallet does not read")]
    Malformed {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Why.
        #[source]
        error: serde_json::Error,
    },
    /// The device has no room left; nothing was changed.
    #[error("the device has no room left: make some, and try again")]
    Full,
    /// SQLite failed.
    #[error("the wallet's file failed")]
    Sqlite(#[source] rusqlite::Error),
    /// ring failed.
    #[error("a cryptographic operation failed")]
    Cryptography,
}

impl From<rusqlite::Error> for WalletError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sqlite(error),
        }
    }
}

/// An open wallet. Cheap to share; operations are short and serialised.
pub struct Wallet {
    id: WalletId,
    folder: PathBuf,
    connection: Mutex<Watched>,
    key: DataKey,
    random: SharedRandom,
}

/// The connection, and up to where it knows that nobody else changed the file.
struct Watched {
    sql: Connection,
    /// SQLite's `data_version`: it differs once another connection has written.
    data_version: i64,
    /// That of the tally.
    generation: u64,
}

impl Wallet {
    /// Opens the wallet in `folder`, or makes one there.
    ///
    /// # Errors
    /// [`WalletError`]; those about the sealing key leave the wallet untouched.
    pub fn open(
        folder: &Path,
        sealing: &dyn SealingKeyStore,
        random: SharedRandom,
    ) -> Result<Arc<Self>, WalletError> {
        sealing_key::make_private_folder(folder).map_err(|error| WalletError::Folder {
            path: folder.to_owned(),
            error,
        })?;
        opening::refuse_keys_inside(folder, sealing)?;
        let _one_at_a_time = lock(folder, "wallet.lock")?;
        let (id, key, connection) = opening::open(folder, sealing, &random)?;
        Ok(Arc::new(Self {
            id,
            folder: folder.to_owned(),
            connection: Mutex::new(connection),
            key,
            random,
        }))
    }

    /// The wallet's id, under which the keystore knows its sealing key.
    #[must_use]
    pub fn id(&self) -> WalletId {
        self.id
    }

    /// Waits until no other process of this wallet renews tokens, and keeps others out until the result is
    /// dropped: a refresh token that two of them used would end the sign-in.
    pub(crate) async fn renewal(&self) -> Result<impl Drop + Send + use<>, WalletError> {
        let folder = self.folder.clone();
        let waiting = tokio::task::spawn_blocking(move || lock(&folder, "renewal.lock").map(Held));
        match waiting.await {
            Ok(held) => held,
            Err(error) => Err(WalletError::Folder {
                path: self.folder.clone(),
                error: std::io::Error::other(error),
            }),
        }
    }

    /// Reads at one moment. `work` goes through its [`Tx`] alone: a transaction inside another one would
    /// wait for itself.
    pub(crate) fn read<T, E: From<WalletError>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transact(TransactionBehavior::Deferred, work)
    }

    /// Writes all or nothing; durable when this returns. `work` goes through its [`Tx`] alone.
    pub(crate) fn write<T, E: From<WalletError>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transact(TransactionBehavior::Immediate, work)
    }

    fn transact<T, E: From<WalletError>>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // A panic inside dropped its transaction, which rolled back: the connection is good.
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Watched {
            sql,
            data_version,
            generation,
        } = &mut *connection;
        let tx = sql
            .transaction_with_behavior(behavior)
            .map_err(WalletError::from)?;
        let now = tally::data_version(&tx)?;
        if now != *data_version {
            let found = tally::check(&tx, &self.key, schema::NEWEST)?;
            if found < *generation {
                return Err(WalletError::Changed.into());
            }
            (*data_version, *generation) = (now, found);
        }
        let before = tally::Before::now(&tx, &self.key)?;
        let value = work(&Tx {
            sql: &tx,
            key: &self.key,
            random: &self.random,
        })?;
        let advanced = before.settle(&tx, &self.key, &*self.random)?;
        tx.commit().map_err(WalletError::from)?;
        *generation = advanced.unwrap_or(*generation);
        Ok(value)
    }
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Wallet").field(&self.id).finish()
    }
}

/// A transaction of the wallet. What can be done in one stands in the submodules, a file a table.
pub(crate) struct Tx<'a> {
    sql: &'a rusqlite::Transaction<'a>,
    key: &'a DataKey,
    random: &'a SharedRandom,
}

impl Tx<'_> {
    fn seal(&self, cell: Cell<'_>, value: &impl Serialize) -> Result<Vec<u8>, WalletError> {
        let plain =
            Zeroizing::new(
                serde_json::to_vec(value).map_err(|error| WalletError::Malformed {
                    table: cell.table,
                    column: cell.column,
                    error,
                })?,
            );
        self.key.seal_cell(cell, &plain, &**self.random)
    }

    fn open<T: DeserializeOwned>(&self, cell: Cell<'_>, sealed: &[u8]) -> Result<T, WalletError> {
        let plain = self.key.open_cell(cell, sealed)?;
        serde_json::from_slice(&plain).map_err(|error| WalletError::Malformed {
            table: cell.table,
            column: cell.column,
            error,
        })
    }
}

/// A locked file; the system unlocks it however its holder ends.
struct Held(std::fs::File);

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "closing the file unlocks it");
        }
    }
}

/// Waits until no other process opens this wallet: turning a new file to write-ahead logging and making
/// its tables are steps that SQLite does not make wait for each other.
fn lock(folder: &Path, name: &str) -> Result<std::fs::File, WalletError> {
    let path = folder.join(name);
    let open = std::fs::File::create(&path).and_then(|file| file.lock().map(|()| file));
    open.map_err(|error| WalletError::Folder { path, error })
}
