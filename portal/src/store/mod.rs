//! The portal's store: every operation is one synchronous function over a [`Tx`], and waiting operations share one
//! durable commit, each within a savepoint of its own. So no transaction is ever held by a task that can be dropped,
//! and every write gets group commit. Why this and no ORM: `docs/adr/0009-portal-store.md`.
//!
//! SQL is written once for all dialects: `?N` for parameters, columns named, BIGINT for times and booleans,
//! `INSERT … ON CONFLICT`. No operation touches two properties.

mod group;
mod migrate;
mod sqlite;
mod tx;
mod value;

use std::path::Path;

use tokio::sync::{broadcast, oneshot};

use group::{Job, JobSender};
pub(crate) use tx::{Tx, Wake};
pub(crate) use value::{Row, Value};

/// Parameters of a statement: `params![id, name]`.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::Value::from($value)),*] };
}
pub(crate) use params;

/// How many wakes a slow listener may fall behind before it has to look for itself.
const WAKES_KEPT: usize = 1024;

/// Why the store could not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database refused a statement.
    #[error("the database: {0}")]
    Database(String),
    /// A unique column would hold the same value twice.
    #[error("the same value twice")]
    Duplicate,
    /// A column is not there or of another type than its reader expects.
    #[error("column {index} is not what its reader expects")]
    Column {
        /// Its place in the row.
        index: usize,
    },
    /// What is stored does not read.
    #[error("stored {0} does not read")]
    Unreadable(&'static str),
    /// An operation panicked; its savepoint was rolled back.
    #[error("an operation panicked")]
    Panicked,
    /// The store is closing or gone.
    #[error("the store is closed")]
    Closed,
}

/// A handle on the store; clones are the same store.
#[derive(Clone)]
pub(crate) struct Store {
    writer: JobSender,
    reader: JobSender,
    wakes: broadcast::Sender<Wake>,
}

impl Store {
    /// Opens or makes the SQLite database and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the file cannot be opened, or was written by a newer portal.
    pub(crate) fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        let (wakes, _) = broadcast::channel(WAKES_KEPT);
        let (writer, reader) = sqlite::start(path, wakes.clone())?;
        Ok(Self {
            writer,
            reader,
            wakes,
        })
    }

    /// Runs `operation` durably: when this returns `Ok`, it is on disk. An `Err` of the operation leaves nothing.
    /// It runs to its end even when the caller goes away.
    ///
    /// # Errors
    /// The operation's own, or what the store says.
    pub(crate) async fn write<T, E, F>(&self, operation: F) -> Result<T, E>
    where
        F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        Self::run(&self.writer, operation).await
    }

    /// Runs `operation` on a snapshot; it cannot write.
    ///
    /// # Errors
    /// The operation's own, or what the store says.
    pub(crate) async fn read<T, E, F>(&self, operation: F) -> Result<T, E>
    where
        F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        Self::run(&self.reader, operation).await
    }

    async fn run<T, E, F>(to: &JobSender, operation: F) -> Result<T, E>
    where
        F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Job::new(operation, answer);
        to.send(job).map_err(|_| StoreError::Closed)?;
        match answered.await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::Closed.into()),
        }
    }

    /// What committed operations said is worth waking up for. In one process this is all; with several on one
    /// PostgreSQL, LISTEN/NOTIFY feeds the same channel. A listener that lagged looks for itself.
    #[must_use]
    pub(crate) fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }
}

#[cfg(test)]
mod tests;
