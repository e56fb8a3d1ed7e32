//! A phone at the door, over anything that carries bytes both ways: the hello, one Aliro session,
//! the commit and what came of it, then what the phone carries for the door and the door's state.

mod hello;
mod session;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use aliro::identifier::Interface;
use latchkey_env::timeout;
use latchkey_protocol::api::events::Means;
use latchkey_protocol::hello::{INTERFACE_RELAY, INTERFACE_STREAM};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};

use crate::door::Door;

/// Phones that a door speaks with at a time.
const MOST_SESSIONS: usize = 24;

/// How long a connection may last, whatever happens on it.
const LONGEST_SESSION: Duration = Duration::from_secs(90);

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A stream on the spot.
    Stream,
    /// The portal, from wherever the phone is.
    Relay,
}

impl Carrier {
    /// Enters every key, so that what was said on one carrier means nothing on another.
    fn interface(self) -> Interface {
        Interface(match self {
            Self::Stream => INTERFACE_STREAM,
            Self::Relay => INTERFACE_RELAY,
        })
    }

    fn means(self) -> Means {
        match self {
            Self::Stream => Means::Stream,
            Self::Relay => Means::Relay,
        }
    }
}

/// All carriers of one door: they share a bound on how many phones it speaks with, and end
/// together.
#[derive(Debug)]
pub(crate) struct Carriers {
    permits: Semaphore,
    stop: watch::Receiver<bool>,
}

impl Carriers {
    pub(crate) fn new(stop: watch::Receiver<bool>) -> Self {
        Self {
            permits: Semaphore::new(MOST_SESSIONS),
            stop,
        }
    }

    /// Speaks with a phone until either is done. Too many at a time: hangs up.
    pub(crate) async fn serve<S>(&self, door: &Arc<Door>, stream: S, carrier: Carrier)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let Ok(_permit) = self.permits.try_acquire() else {
            tracing::warn!("too many phones at once");
            return;
        };
        let work = Box::pin(session::run(door, stream, carrier));
        let work = timeout(&door.env().clock, LONGEST_SESSION, work);
        let mut stop = self.stop.clone();
        let outcome = tokio::select! {
            outcome = work => outcome,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(?carrier, %error, "a session ended early"),
            Err(_) => tracing::debug!(?carrier, "a session took too long"),
        }
    }
}
