//! The line to the portal: a WebSocket that a door with a network keeps up.
//!
//! Nothing at the door waits for it but two things: whether a rotating code was used elsewhere, and
//! whether there is one more use of a key, and those for a second and a half at most. What the portal sends is believed only where the issuer
//! signed it.

mod conversation;
mod relay;
mod socket;

pub(crate) use socket::tls;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_env::{Backoff, sleep, timeout};
use latchkey_protocol::code::IssueTime;
use latchkey_protocol::ids::PassId;
use latchkey_protocol::rules::Reason;
use tokio::sync::{mpsc, oneshot, watch};
use url::Url;

use crate::door::{Door, UseWanted};
use crate::report::Report;
use crate::unlock::Carriers;

/// The first and the longest wait before trying again.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(15);

/// Questions that wait for the portal at a time.
const QUESTIONS: usize = 32;

/// Where questions for the portal are asked; with nobody there while the line is down.
#[derive(Debug, Default)]
pub(crate) struct Line(Mutex<Option<mpsc::Sender<Asked>>>);

/// What only the portal can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Was this code used elsewhere?
    Code(PassId, IssueTime),
    /// Is there one more use of this key?
    Use(UseWanted),
}

/// A question on its way.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    pub(crate) answer: oneshot::Sender<Option<Reason>>,
}

/// What the portal makes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is this door's: the code, or one more use.
    Yes,
    /// It is not.
    No(Reason),
    /// No line, or no answer in time: the door decides alone.
    Silence,
}

impl Line {
    /// Asks, and waits no longer than until that moment of the monotonic clock.
    pub(crate) async fn ask(&self, door: &Door, question: Question, until: Duration) -> Word {
        let clock = &door.env().clock;
        let patience = until.saturating_sub(clock.monotonic());
        let Some(portal) = self.lock().clone().filter(|_| !patience.is_zero()) else {
            return Word::Silence;
        };
        let (answer, answered) = oneshot::channel();
        if portal.try_send(Asked { question, answer }).is_err() {
            return Word::Silence;
        }
        match timeout(clock, patience, answered).await {
            Ok(Ok(None)) => Word::Yes,
            Ok(Ok(Some(reason))) => Word::No(reason),
            _ => Word::Silence,
        }
    }

    /// Questions come here from now on.
    pub(crate) fn up(&self) -> mpsc::Receiver<Asked> {
        let (sender, receiver) = mpsc::channel(QUESTIONS);
        *self.lock() = Some(sender);
        receiver
    }

    fn down(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Asked>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the line up until `stop` says otherwise.
pub(crate) async fn keep_up(
    door: Arc<Door>,
    portal: Url,
    carriers: Arc<Carriers>,
    mut stop: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let work = async {
        for number in 1.. {
            let connecting = Box::pin(socket::connect(&portal));
            match timeout(&door.env().clock, CONNECT, connecting).await {
                Ok(Ok(socket)) => {
                    if converse(&door, &carriers, socket, number).await {
                        backoff.reset();
                    }
                }
                Ok(Err(error)) => tracing::debug!(%error, "the portal cannot be reached"),
                Err(_) => tracing::debug!("the portal does not answer"),
            }
            sleep(&door.env().clock, backoff.next_wait(&door.env().random)).await;
        }
    };
    tokio::select! {
        () = work => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    door.line().down();
}

/// One connection from its first message to its end. Whether the portal took this door in.
async fn converse(
    door: &Arc<Door>,
    carriers: &Arc<Carriers>,
    socket: socket::Socket,
    number: u64,
) -> bool {
    let outcome = conversation::run(door, carriers, socket, number).await;
    door.line().down();
    door.end_session(number);
    if outcome.signed_in {
        door.report(Report::Portal {
            door: door.id(),
            connected: false,
        });
    }
    tracing::info!(why = %outcome.why, "the line to the portal is down");
    outcome.signed_in
}
