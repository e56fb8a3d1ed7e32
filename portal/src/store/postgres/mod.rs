//! PostgreSQL: a few threads that write, each running all waiting operations of one property in one durable commit,
//! and a few that read; a task that listens for what other instances have committed.

mod listener;
mod reader;
mod session;
mod values;
mod writer;

use std::sync::{Arc, mpsc};

use latchkey_env::{SharedClock, SharedRandom};
use tokio::sync::{broadcast, oneshot};
use tokio::task::AbortHandle;

use super::database::Postgres;
use super::group::Job;
use super::lanes::Lanes;
use super::listeners::Wakes;
use super::threads::{ReadQueue, spawn};
use super::{Instance, Post, Scope, StoreError, migrate};
use session::Line;

/// More only wait for each other's commits.
const WRITERS: usize = 4;
const READERS: usize = 4;
/// What is said to other instances waits for the one connection that says it.
const POSTS_WAITING: usize = 64;

/// What every thread is given.
#[derive(Clone)]
struct Shared {
    server: Postgres,
    clock: SharedClock,
    random: SharedRandom,
    instance: Instance,
    wakes: Wakes,
    posts: broadcast::Sender<Post>,
}

/// Ends the listener with the store.
pub(super) struct Listening {
    task: AbortHandle,
    outgoing: tokio::sync::mpsc::Sender<(Instance, String)>,
}

impl Listening {
    /// False when the listener is gone.
    pub(super) async fn post(&self, to: Instance, text: String) -> bool {
        self.outgoing.send((to, text)).await.is_ok()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) type Started = (Lanes<Scope>, mpsc::Sender<Job>, Arc<Listening>);

/// Brings the tables up to date and starts everything. A lane each for the properties and for the portal as a whole.
pub(super) async fn start(
    server: Postgres,
    instance: Instance,
    clock: SharedClock,
    random: SharedRandom,
    (wakes, posts): (Wakes, broadcast::Sender<Post>),
) -> Result<Started, StoreError> {
    bring_up_to_date(server.clone()).await?;
    let shared = Shared {
        server,
        clock,
        random,
        instance,
        wakes,
        posts,
    };
    let (writer, to_write) = Lanes::new();
    for _ in 0..WRITERS {
        let (line, to_write) = (Line::new(shared.clone()), to_write.clone());
        spawn("store-writer", move || writer::write_all(line, &to_write))?;
    }
    let (reader, to_read) = ReadQueue::new();
    for _ in 0..READERS {
        let (line, to_read) = (Line::new(shared.clone()), to_read.clone());
        spawn("store-reader", move || reader::read_all(line, &to_read))?;
    }
    let (outgoing, to_post) = tokio::sync::mpsc::channel(POSTS_WAITING);
    let task = tokio::spawn(listener::listen(shared, to_post)).abort_handle();
    let listening = Arc::new(Listening { task, outgoing });
    Ok((writer, reader, listening))
}

async fn bring_up_to_date(server: Postgres) -> Result<(), StoreError> {
    let (done, outcome) = oneshot::channel();
    spawn("store-migrations", move || {
        // Whoever asked may be gone.
        let _ = done.send(migrations(&server));
    })?;
    outcome.await.unwrap_or(Err(StoreError::Closed))
}

fn migrations(server: &Postgres) -> Result<(), StoreError> {
    let mut client = session::connect(server)?;
    // Instances that start together come one after the other. The lock ends with the connection.
    let lock = "SELECT pg_advisory_lock(hashtextextended('latchkey migrations', 0))";
    client.batch_execute(lock).map_err(session::plain)?;
    migrate::run(&mut client)
}
