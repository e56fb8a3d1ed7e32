//! The portal's store: every operation is one synchronous function over a [`Tx`], and waiting operations share one
//! durable commit, each within a savepoint of its own. So no transaction is ever held by a task that can be dropped,
//! and every write gets group commit. Why this and no ORM: `docs/adr/0009-portal-store.md`.
//!
//! SQL is written once for all dialects: `?N` for parameters, columns named, BIGINT for times and booleans,
//! `INSERT … ON CONFLICT`, and a CAST around a parameter that is only asked whether it is NULL (PostgreSQL must know
//! its type). No operation touches two properties: each says its [`Scope`].

mod database;
mod group;
mod lanes;
mod listeners;
mod migrate;
mod postgres;
mod sqlite;
mod threads;
mod tx;
mod value;
mod wake;

use std::path::Path;
use std::sync::{Arc, mpsc};

use latchkey_env::{SecureRandom, SharedClock, SharedRandom, random_array};
use latchkey_protocol::ids::PropertyId;
use tokio::sync::{broadcast, oneshot};

pub use database::{Database, DatabaseError, Postgres};
use group::Job;
use lanes::Lanes;
pub(crate) use listeners::Listening;
use listeners::Wakes;
pub(crate) use tx::{Scope, Tx};
pub(crate) use value::{Row, Value};
pub use wake::{Instance, NoInstance, Wake};
pub(crate) use wake::{LONGEST_POST, Post};

/// Parameters of a statement: `params![id, name]`.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::Value::from($value)),*] };
}
pub(crate) use params;

/// How many posts a slow listener may fall behind.
const POSTS_KEPT: usize = 1024;

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
    /// The database cannot be reached, or the connection or the disk broke before the commit; nothing was changed.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The disk has no room for it; nothing was changed.
    #[error("the disk is full")]
    Full,
    /// The connection or the disk broke in the middle of the commit.
    #[error("the database broke in the middle of a commit: whether this was kept is not known")]
    Uncertain,
    /// An operation panicked; its savepoint was rolled back.
    #[error("an operation panicked")]
    Panicked,
    /// An operation worked on a property that it was not begun for.
    #[error("an operation works on a property that it was not begun for")]
    Scope,
    /// A text holds a NUL, which not every database keeps.
    #[error("a text holds a NUL")]
    NotStorable,
    /// The store is closing or gone.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Refuses a property that an operation of this scope may not work on. A reader has none.
    fn must_be(scope: Option<Scope>, property: PropertyId) -> Result<(), Self> {
        match scope {
            Some(scope) if scope == Scope::Property(property) => Ok(()),
            _ => Err(Self::Scope),
        }
    }
}

/// A handle on the store; clones are the same store.
#[derive(Clone)]
pub(crate) struct Store {
    writer: Arc<Lanes<Scope>>,
    /// Whether each property has a lane of its own.
    by_property: bool,
    reader: mpsc::Sender<Job>,
    wakes: Wakes,
    posts: broadcast::Sender<Post>,
    instance: Instance,
    /// Hears other instances.
    listening: Option<Arc<postgres::Listening>>,
}

impl Store {
    /// Opens or makes the database and brings its tables up to date; a file stands in this folder.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it cannot be opened, or was written by a newer portal;
    /// [`StoreError::Unreachable`].
    pub(crate) async fn open(
        database: &Database,
        folder: &Path,
        clock: SharedClock,
        random: SharedRandom,
    ) -> Result<Self, StoreError> {
        match database {
            Database::Sqlite => Self::open_sqlite(&folder.join("portal.db"), &*random),
            Database::Postgres(server) => Self::open_postgres(server.clone(), clock, random).await,
        }
    }

    fn open_sqlite(path: &Path, random: &dyn SecureRandom) -> Result<Self, StoreError> {
        let wakes = Wakes::default();
        let (writer, reader) = sqlite::start(path, wakes.clone())?;
        Ok(Self {
            writer: Arc::new(writer),
            by_property: false,
            reader,
            wakes,
            posts: broadcast::channel(1).0,
            instance: Instance(random_array(random)),
            listening: None,
        })
    }

    async fn open_postgres(
        server: Postgres,
        clock: SharedClock,
        random: SharedRandom,
    ) -> Result<Self, StoreError> {
        let wakes = Wakes::default();
        let (posts, _) = broadcast::channel(POSTS_KEPT);
        let instance = Instance(random_array(&*random));
        let told = (wakes.clone(), posts.clone());
        let started = postgres::start(server, instance, clock, random, told);
        let (writer, reader, listening) = started.await?;
        Ok(Self {
            writer: Arc::new(writer),
            by_property: true,
            reader,
            wakes,
            posts,
            instance,
            listening: Some(listening),
        })
    }

    /// Runs `operation` durably: when this returns `Ok`, it is on disk. An `Err` of the operation leaves nothing.
    /// It runs to its end even when the caller goes away, and may run more than once: only what its last run did is
    /// kept.
    ///
    /// # Errors
    /// The operation's own, or what the store says.
    pub(crate) async fn write<T, E, F>(&self, scope: impl Into<Scope>, operation: F) -> Result<T, E>
    where
        F: FnOnce(&mut dyn Tx) -> Result<T, E> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let scope = scope.into();
        let (answer, answered) = oneshot::channel();
        // A single writer takes whatever waits.
        let lane = if self.by_property {
            scope
        } else {
            Scope::Portal
        };
        self.writer.put(lane, Job::new(scope, operation, answer));
        answer_of(answered).await
    }

    /// Runs `operation` on a snapshot; it cannot write. It may run more than once.
    ///
    /// # Errors
    /// The operation's own, or what the store says.
    pub(crate) async fn read<T, E, F>(&self, operation: F) -> Result<T, E>
    where
        F: FnOnce(&mut dyn Tx) -> Result<T, E> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.reader
            .send(Job::new(Scope::Portal, operation, answer))
            .map_err(|_| StoreError::Closed)?;
        answer_of(answered).await
    }

    /// Which of the portals that share the database this is.
    #[must_use]
    pub(crate) fn instance(&self) -> Instance {
        self.instance
    }

    /// Whether other instances may share the database.
    #[must_use]
    pub(crate) fn is_shared(&self) -> bool {
        self.listening.is_some()
    }

    /// Says something to another instance, of at most [`LONGEST_POST`] bytes; false when nobody will hear it. Two
    /// that are said one after the other are heard so.
    pub(crate) async fn post(&self, to: Instance, text: String) -> bool {
        match &self.listening {
            Some(listening) if text.len() <= LONGEST_POST => listening.post(to, text).await,
            _ => false,
        }
    }

    /// What other instances say to this one.
    #[must_use]
    pub(crate) fn posts(&self) -> broadcast::Receiver<Post> {
        self.posts.subscribe()
    }

    /// Lets everybody in this process look for themselves.
    pub(crate) fn wake_all(&self) {
        self.wakes.tell(Wake::Anything);
    }

    /// Listens for these wakes of what is committed from now on. What other instances on the same PostgreSQL have
    /// committed comes the same way.
    #[must_use]
    pub(crate) fn wakes(&self, wanted: &[Wake]) -> Listening {
        self.wakes.to(wanted)
    }

    /// The same for all wakes of a kind.
    #[must_use]
    pub(crate) fn wakes_that(&self, are: fn(Wake) -> bool) -> Listening {
        self.wakes.to_kind(are)
    }
}

async fn answer_of<T, E: From<StoreError>>(
    answered: oneshot::Receiver<Result<T, E>>,
) -> Result<T, E> {
    answered
        .await
        .unwrap_or_else(|_| Err(StoreError::Closed.into()))
}

#[cfg(test)]
mod tests;
