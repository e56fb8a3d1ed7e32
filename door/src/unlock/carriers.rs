//! How many phones a door speaks with, and for how long.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_env::timeout;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, Semaphore, watch};

use super::session::Ended;
use super::{Carrier, session};
use crate::door::Door;

/// Phones that a door speaks with at a time.
const MOST_SESSIONS: usize = 24;

/// How long a connection may last, whatever happens on it.
const LONGEST_SESSION: Duration = Duration::from_secs(90);

/// All carriers of one door: they share a bound on how many phones it speaks with, and end
/// together.
///
/// When all places are taken, a newcomer gets that of the oldest connection on which nobody has
/// shown a grant for a credential that they proved: connections that say nothing, and strangers with
/// keys of their own making, keep nobody out.
#[derive(Debug)]
pub(crate) struct Carriers {
    places: Semaphore,
    unknown: Mutex<BTreeMap<u64, Arc<Notify>>>,
    next: AtomicU64,
    stop: watch::Receiver<bool>,
}

impl Carriers {
    pub(crate) fn new(stop: watch::Receiver<bool>) -> Self {
        Self {
            places: Semaphore::new(MOST_SESSIONS),
            unknown: Mutex::default(),
            next: AtomicU64::new(0),
            stop,
        }
    }

    /// Speaks with a phone until either is done.
    pub(crate) async fn serve<S>(&self, door: &Arc<Door>, stream: S, carrier: Carrier)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let _place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(_) if !self.send_somebody_away() => {
                tracing::warn!("too many phones at once");
                return;
            }
            Err(_) => match self.places.acquire().await {
                Ok(place) => place,
                // Nobody closes it.
                Err(_) => return,
            },
        };
        let visitor = self.visitor();
        let work = Box::pin(session::run(door, stream, carrier, &visitor));
        let work = timeout(&door.env().clock, LONGEST_SESSION, work);
        let mut stop = self.stop.clone();
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = visitor.away.notified() => {
                tracing::info!(?carrier, "a silent connection made room");
                return;
            }
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(Ended::Door(error))) => door.out_of_order(carrier.means(), &error),
            Ok(Err(error)) => tracing::debug!(?carrier, %error, "a session ended early"),
            Err(_) => tracing::debug!(?carrier, "a session took too long"),
        }
    }

    fn visitor(&self) -> Visitor<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let away = Arc::new(Notify::new());
        self.lock().insert(number, away.clone());
        Visitor {
            carriers: self,
            number,
            away,
        }
    }

    fn send_somebody_away(&self) -> bool {
        match self.lock().pop_first() {
            Some((_, oldest)) => {
                oldest.notify_one();
                true
            }
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Notify>>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that has a place.
pub(super) struct Visitor<'a> {
    carriers: &'a Carriers,
    number: u64,
    away: Arc<Notify>,
}

impl Visitor<'_> {
    /// Somebody has proved a credential that the issuer knows: the place is kept.
    pub(super) fn is_known(&self) {
        self.carriers.lock().remove(&self.number);
    }
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        self.is_known();
    }
}
