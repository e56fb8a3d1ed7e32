//! One door at work: what it knows, behind one lock, and what all its faces (streams, the line to
//! the portal, the code reader) ask of it.

mod bundle;
mod carry;
mod feed;
mod gesture;
mod inner;
mod installed;
mod known;
mod phone;
mod reading;
mod state;
mod strangers;
mod uses;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latchkey_protocol::api::events::Means;
use latchkey_protocol::doorlink::{DoorEvent, FromDoor, VERSIONS};
use latchkey_protocol::ids::DoorId;
use latchkey_protocol::proof::{DoorSignIn, NONCE_LEN};
use tokio::sync::{broadcast, mpsc, watch};

use carry::FIRST_PHONE_SESSION;
pub(crate) use feed::{keep_first, raise_bound};
pub(crate) use gesture::{Gesture, Ruling, Settled, Turn, UseWanted};
pub(crate) use inner::Inner;
pub(crate) use installed::Installed;
use known::KnownPhones;
pub(crate) use known::SessionMemory;
pub(crate) use phone::Commit;
pub use reading::ClockReport;
pub(crate) use reading::{clock_to_save, instant, restart, stored_clock};
pub(crate) use state::Telling;
pub(crate) use uses::UseWord;

use crate::env::Env;
use crate::keys::{KeyError, OwnKeys};
use crate::link::Line;
use crate::report::{Report, Trouble};
use crate::store::{Counter, StoreError, mark_events_kept, raise, unkept_events};
use crate::strike::Strike;

/// Reports that a slow watcher may lag behind by.
const REPORTS: usize = 256;

/// What stops a door from working.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A yes rests on a use that is not held: the rules and the store disagree.
    #[error(transparent)]
    Uses(#[from] latchkey_protocol::uses::NoUsesHeld),
    /// A worker thread died.
    #[error("a worker thread died")]
    Worker,
}

/// Counts what others have to be told of; each number only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Changes of what the signed state says, the clock's running aside.
    pub(crate) state: u64,
    /// Entries of the log.
    pub(crate) events: u64,
}

/// An installed door.
pub(crate) struct Door {
    env: Env,
    keys: OwnKeys,
    installed: Installed,
    strike: Arc<dyn Strike>,
    inner: Mutex<Inner>,
    known: KnownPhones,
    /// Held from the decision until the lock has moved: one gesture at a time.
    moving: Mutex<()>,
    line: Line,
    /// Numbers the sessions of phones.
    sessions: AtomicU64,
    news: watch::Sender<News>,
    reports: broadcast::Sender<Report>,
    /// Dropped last, when the store is closed: whoever listens knows that the folder is free.
    _open: mpsc::Sender<Closed>,
}

/// Nobody ever sends one.
#[derive(Debug)]
pub(crate) enum Closed {}

impl Door {
    pub(crate) fn new(
        env: Env,
        keys: OwnKeys,
        installed: Installed,
        inner: Inner,
        strike: Arc<dyn Strike>,
        open: mpsc::Sender<Closed>,
    ) -> Result<Self, DoorError> {
        let known = KnownPhones::default();
        known.read_back(inner.store.read(), &keys, &installed)?;
        Ok(Self {
            env,
            keys,
            installed,
            strike,
            inner: Mutex::new(inner),
            known,
            moving: Mutex::new(()),
            line: Line::default(),
            sessions: AtomicU64::new(FIRST_PHONE_SESSION),
            news: watch::Sender::default(),
            reports: broadcast::Sender::new(REPORTS),
            _open: open,
        })
    }

    pub(crate) fn id(&self) -> DoorId {
        self.installed.door
    }

    pub(crate) fn installed(&self) -> &Installed {
        &self.installed
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    pub(crate) fn keys(&self) -> &OwnKeys {
        &self.keys
    }

    pub(crate) fn known(&self) -> &KnownPhones {
        &self.known
    }

    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// A number for a session with a phone, never used again.
    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn news(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    pub(crate) fn reports(&self) -> broadcast::Receiver<Report> {
        self.reports.subscribe()
    }

    /// Somebody cannot be answered, because the controller itself failed.
    pub(crate) fn out_of_order(&self, means: Means, error: &DoorError) {
        tracing::error!(%error, ?means, "out of order");
        let why = match error {
            DoorError::Store(StoreError::Full) => Trouble::DiskFull,
            DoorError::Store(_) => Trouble::Store,
            DoorError::Key(_) | DoorError::Uses(_) | DoorError::Worker => Trouble::Other,
        };
        let door = self.id();
        self.report(Report::OutOfOrder { door, means, why });
    }

    /// Tells whoever watches; nobody may.
    pub(crate) fn report(&self, report: Report) {
        let _ = self.reports.send(report);
    }

    /// Proves over the portal's nonce which controller this is.
    pub(crate) fn sign_in(&self, nonce: [u8; NONCE_LEN]) -> Result<FromDoor, DoorError> {
        let proof = DoorSignIn {
            property: self.installed.property,
            door: self.installed.door,
            generation: self.installed.generation,
            nonce,
        };
        let signature = self.keys.sign(&proof.to_be_signed())?;
        Ok(FromDoor::SignIn {
            property: proof.property,
            door: proof.door,
            generation: proof.generation,
            versions: VERSIONS.to_vec(),
            signature: signature.0.to_vec().into(),
        })
    }

    /// The portal has taken this door in.
    pub(crate) async fn in_contact(self: &Arc<Self>) -> Result<(), DoorError> {
        self.run(|door| {
            let mut inner = door.lock();
            let now = inner.reading(&door.env).unix_ms;
            inner
                .store
                .write(|tx| Ok(raise(tx, Counter::LastContactMs, now)?))
        })
        .await
    }

    /// The next events that the portal has not said it keeps.
    pub(crate) async fn events_after(
        self: &Arc<Self>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<DoorEvent>, DoorError> {
        self.run(move |door| Ok(unkept_events(door.lock().store.read(), after, limit)?))
            .await
    }

    /// The portal keeps all events up to this one.
    pub(crate) async fn events_kept(self: &Arc<Self>, up_to: u64) -> Result<(), DoorError> {
        self.run(move |door| {
            door.lock()
                .store
                .write(|tx| Ok(mark_events_kept(tx, up_to)?))
        })
        .await
    }

    /// Runs `work` on a thread that may block. It runs to its end even when nobody waits for it
    /// any more: a phone that goes away interrupts nothing half-way.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, DoorError> + Send + 'static,
    ) -> Result<T, DoorError> {
        let door = self.clone();
        tokio::task::spawn_blocking(move || work(&door))
            .await
            .map_err(|_| DoorError::Worker)?
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held left the store as its last commit, and the mirror of it
        // is written after the commit.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of phones may have changed.
    fn phones_changed(&self, inner: &Inner) -> Result<(), DoorError> {
        let connection = inner.store.read();
        Ok(self
            .known
            .read_back(connection, &self.keys, &self.installed)?)
    }

    fn state_changed(&self) {
        self.news.send_modify(|news| news.state += 1);
    }

    fn event_logged(&self) {
        self.news.send_modify(|news| news.events += 1);
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Door({})", self.installed.door)
    }
}
