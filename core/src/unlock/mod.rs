//! Opening a door.
//!
//! One gesture makes one attempt id. The carriers that reach the door race, nearest first, as far as the
//! door's proof and this phone's; then the phone commits on one of them. When an answer gets lost, the
//! same attempt is committed again: the door opens once for it. Whatever happens, what the door says is
//! kept: its signed state goes to the portal with the next contact.
//!
//! A door that has opened for this phone remembers it, and this phone the door: the next time, the phone is
//! known without a signature (`met`).

mod carrier;
mod conversation;
mod hello;
mod lock_sync;
mod met;
mod plan;
mod relay;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use latchkey_env::{random_array, sleep, timeout};
use latchkey_protocol::ids::AttemptId;
use latchkey_protocol::private::Outcome;
use latchkey_protocol::rules::{Decision, Reason};
use tokio::sync::watch;

pub use carrier::{Carrier, CarrierKind, Link, StreamCarrier};
use conversation::{Answered, Conversation};
use lock_sync::Brought;
pub(crate) use met::forget_what_ended;
use plan::{Plan, Purpose};
use relay::RelayCarrier;

use crate::context::Context;
use crate::error::{DoorFault, Error};
use crate::outbox;
use crate::portal::PortalClient;
use crate::views::DoorRef;
use crate::wallet::UnansweredAttempt;

/// How long a nearer carrier may take before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_secs(1);

/// How long carrying may take once the door has answered: its holder waits for nothing then, but may put the
/// phone away.
const CARRY: Duration = Duration::from_secs(5);

/// The same for somebody who has come for that.
const CARRY_ALL: Duration = Duration::from_secs(60);

/// How often a gesture is committed when its answer gets lost.
const COMMITS: u32 = 2;

/// How an unlock is to go.
#[derive(Clone)]
pub struct UnlockOptions {
    /// The built-in carriers that may be used.
    pub carriers: Vec<CarrierKind>,
    /// The app's own, nearer than those.
    pub platform: Vec<Arc<dyn Carrier>>,
    /// For the whole, at most 30 seconds: a gesture is not good for longer.
    pub timeout: Duration,
    /// Cancels it from elsewhere. Dropping the future does the same.
    pub cancel: CancelHandle,
}

impl Default for UnlockOptions {
    fn default() -> Self {
        Self {
            carriers: vec![CarrierKind::Stream, CarrierKind::Relay],
            platform: Vec::new(),
            timeout: Duration::from_secs(15),
            cancel: CancelHandle::new(),
        }
    }
}

/// Cancels a call. Clones cancel the same.
#[derive(Debug, Clone)]
pub struct CancelHandle(watch::Sender<bool>);

impl CancelHandle {
    /// Nothing is cancelled yet.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Cancels. After the commit the door may open all the same.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Ends once it is cancelled.
    async fn cancelled(&self) {
        // The sender is held here: waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|cancelled| *cancelled).await;
    }
}

impl Default for CancelHandle {
    fn default() -> Self {
        Self::new()
    }
}

/// How far an unlock has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnlockEvent {
    /// The door is looked for. What this phone expects of it; the door decides.
    Looking {
        /// By the keys on this phone.
        expected: Decision,
    },
    /// A carrier is tried.
    Connecting {
        /// Which.
        carrier: CarrierKind,
    },
    /// The door was reached: it proves itself, then this phone does; where they have met, by what both remember.
    Proving {
        /// Over which carrier.
        carrier: CarrierKind,
    },
    /// It opened.
    Opened {
        /// When the key's yes ends by the calendar.
        until: Option<DateTime<Utc>>,
    },
    /// It stays closed.
    Denied {
        /// Why.
        reason: Reason,
        /// When the calendar next says yes.
        next: Option<DateTime<Utc>>,
    },
}

/// Hears how far an unlock has come. Called from the task that unlocks, in order, never twice at once;
/// must return at once and not call back.
pub trait UnlockListener: Send + Sync {
    /// It has come this far.
    fn on_event(&self, event: UnlockEvent);
}

impl<F: Fn(UnlockEvent) + Send + Sync> UnlockListener for F {
    fn on_event(&self, event: UnlockEvent) {
        self(event);
    }
}

/// A door that opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// When the key's yes ends by the calendar.
    pub until: Option<DateTime<Utc>>,
    /// Which carrier the commit went over.
    pub carrier: CarrierKind,
}

/// Opens a door.
pub(crate) async fn unlock(
    context: &Context,
    at: DoorRef,
    options: &UnlockOptions,
    listener: &dyn UnlockListener,
) -> Result<Opened, Error> {
    let outcome = Box::pin(open(context, at, options, listener)).await;
    if let Err(Error::Denied { reason, next }) = &outcome {
        let (reason, next) = (*reason, *next);
        listener.on_event(UnlockEvent::Denied { reason, next });
    }
    outcome
}

async fn open(
    context: &Context,
    at: DoorRef,
    options: &UnlockOptions,
    listener: &dyn UnlockListener,
) -> Result<Opened, Error> {
    let plan = Plan::read(context, at, Purpose::Open)?;
    let (_, portal) = context.property(at.property)?;
    listener.on_event(UnlockEvent::Looking {
        expected: plan.expected,
    });
    let gesture = Gesture::new(context, &plan, &portal, options, listener);
    let limit = options.timeout.min(Duration::from_secs(30));
    let (reached, answered) = tokio::select! {
        done = timeout(&*context.shared.clock, limit, gesture.run()) => {
            done.unwrap_or(Err(Error::DoorNotReached(DoorFault::Timeout)))?
        }
        () = options.cancel.cancelled() => return Err(Error::Cancelled),
    };
    let result = match answered.outcome {
        Outcome::Opened { until } => {
            listener.on_event(UnlockEvent::Opened { until });
            Ok(Opened {
                until,
                carrier: reached.carrier,
            })
        }
        Outcome::Denied { reason, next } => Err(Error::Denied { reason, next }),
    };
    if let Some(record) = answered.record {
        if let Some(state) = record.state {
            outbox::keep_door_state(context, at, state)?;
        }
        let mut brought = Brought::default();
        let wants = Some(&record.wants);
        tokio::select! {
            () = reached.conversation.carry(wants, &portal, CARRY, &mut brought) => {}
            () = options.cancel.cancelled() => {}
        }
        keep(context, at, brought)?;
    }
    result
}

/// Goes to a door to carry lock sync, and opens nothing.
pub(crate) async fn carry(
    context: &Context,
    at: DoorRef,
    options: &UnlockOptions,
    listener: &dyn UnlockListener,
) -> Result<(), Error> {
    let plan = Plan::read(context, at, Purpose::Carry)?;
    let (_, portal) = context.property(at.property)?;
    let gesture = Gesture::new(context, &plan, &portal, options, listener);
    let reached = tokio::select! {
        done = timeout(&*context.shared.clock, options.timeout, gesture.first_to_be_ready()) => {
            done.unwrap_or(Err(Error::DoorNotReached(DoorFault::Timeout)))?
        }
        () = options.cancel.cancelled() => return Err(Error::Cancelled),
    };
    let mut brought = Brought::default();
    tokio::select! {
        () = reached.conversation.carry(None, &portal, CARRY_ALL, &mut brought) => {}
        () = options.cancel.cancelled() => {}
    }
    let answered = brought.generation.is_some();
    keep(context, at, brought)?;
    if answered {
        Ok(())
    } else {
        Err(Error::DoorNotReached(DoorFault::Timeout))
    }
}

/// What came back from a door goes to the portal with the next contact.
fn keep(context: &Context, at: DoorRef, brought: Brought) -> Result<(), Error> {
    if let Some(generation) = brought.generation {
        for parcel in brought.log {
            outbox::keep_log(context, at, generation, parcel)?;
        }
    }
    match brought.state {
        Some(state) => outbox::keep_door_state(context, at, state),
        None => Ok(()),
    }
}

/// Those that may be used and are worth trying, nearest first.
fn carriers(
    options: &UnlockOptions,
    plan: &Plan,
    portal: &Arc<PortalClient>,
) -> Vec<Arc<dyn Carrier>> {
    let relay = RelayCarrier {
        portal: portal.clone(),
    };
    let built_in: [Arc<dyn Carrier>; 2] = [Arc::new(StreamCarrier), Arc::new(relay)];
    let allowed = built_in
        .into_iter()
        .filter(|carrier| options.carriers.contains(&carrier.kind()));
    options
        .platform
        .iter()
        .cloned()
        .chain(allowed)
        .filter(|carrier| carrier.reaches(&plan.door))
        .collect()
}

/// One press of the button.
struct Gesture<'a> {
    context: &'a Context,
    plan: &'a Plan,
    portal: &'a PortalClient,
    listener: &'a dyn UnlockListener,
    carriers: Vec<Arc<dyn Carrier>>,
    attempt: AttemptId,
}

/// A door that waits for the commit.
struct Reached<'a> {
    carrier: CarrierKind,
    conversation: Conversation<'a>,
}

impl<'a> Gesture<'a> {
    fn new(
        context: &'a Context,
        plan: &'a Plan,
        portal: &'a Arc<PortalClient>,
        options: &UnlockOptions,
        listener: &'a dyn UnlockListener,
    ) -> Self {
        Self {
            context,
            plan,
            portal,
            listener,
            carriers: carriers(options, plan, portal),
            attempt: AttemptId(random_array(&*context.shared.random)),
        }
    }

    async fn run(&self) -> Result<(Reached<'a>, Answered), Error> {
        let mut commits = 0;
        loop {
            let mut reached = self.first_to_be_ready().await?;
            if commits == 0 {
                self.remember()?;
            }
            commits += 1;
            match reached.conversation.commit(self.attempt).await {
                Ok(answered) => {
                    self.settle(&reached.conversation, &answered)?;
                    return Ok((reached, answered));
                }
                Err(error @ Error::DoorNotReached(_)) if commits < COMMITS => {
                    tracing::debug!(%error, "the commit's answer got lost; committed again");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Races the carriers until the first has a door that waits for the commit.
    async fn first_to_be_ready(&self) -> Result<Reached<'a>, Error> {
        let mut waiting = self.carriers.iter();
        let mut running = FuturesUnordered::new();
        let mut failed: Option<Error> = None;
        loop {
            if running.is_empty() {
                match waiting.next() {
                    Some(carrier) => running.push(self.try_carrier(carrier.clone())),
                    None => {
                        return Err(failed.unwrap_or(Error::DoorNotReached(DoorFault::NoCarrier)));
                    }
                }
            }
            let more = waiting.len() > 0;
            tokio::select! {
                Some(outcome) = running.next() => match outcome {
                    Ok(reached) => return Ok(reached),
                    Err(error) if is_final(&error) => return Err(error),
                    Err(error) => failed = Some(more_telling(failed, error)),
                },
                () = sleep(&*self.context.shared.clock, HEAD_START), if more => {
                    running.extend(waiting.next().map(|next| self.try_carrier(next.clone())));
                }
            }
        }
    }

    async fn try_carrier(&self, carrier: Arc<dyn Carrier>) -> Result<Reached<'a>, Error> {
        let kind = carrier.kind();
        self.listener
            .on_event(UnlockEvent::Connecting { carrier: kind });
        let link = carrier.connect(self.plan.at, &self.plan.door).await?;
        self.listener
            .on_event(UnlockEvent::Proving { carrier: kind });
        let conversation = Conversation::prove(
            self.plan,
            &self.context.shared,
            &self.portal.clock,
            link,
            carrier.interface(),
        )
        .await?;
        Ok(Reached {
            carrier: kind,
            conversation,
        })
    }

    /// Before the commit: were this phone killed now, the next gesture would name this one.
    fn remember(&self) -> Result<(), Error> {
        let record = UnansweredAttempt {
            attempt: self.attempt,
            door: self.plan.at.door,
            made_at: self.portal.clock.now(),
        };
        let property = self.plan.at.property;
        self.context
            .shared
            .wallet
            .write(|tx| Ok(tx.put_attempt(property, &record)?))
    }

    /// After the answer: neither this one nor those that it replaced are open any more. A door that has
    /// opened has remembered this phone, and one that says that it is withdrawn has forgotten it. Where the
    /// person has to be there, nothing is kept of times when that was not so.
    fn settle(&self, conversation: &Conversation<'_>, answered: &Answered) -> Result<(), Error> {
        let met = conversation.acquaintance();
        let property = self.plan.at.property;
        self.context.shared.wallet.write(|tx| {
            for attempt in self.plan.unanswered.iter().chain([&self.attempt]) {
                tx.delete_attempt(*attempt)?;
            }
            match (answered.outcome, met) {
                (Outcome::Opened { .. }, Some((record, key))) => {
                    tx.put_reader(property, &record, &key)?;
                }
                (Outcome::Opened { .. }, None) if self.plan.remembers => {}
                (Outcome::Denied { reason, .. }, _) if reason != Reason::Revoked => {}
                _ => tx.delete_reader(property, self.plan.at.door)?,
            }
            Ok(())
        })
    }
}

/// Whether another carrier would fare no better.
fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::Denied { .. } | Error::KeystoreRefused(_) | Error::Wallet(_) | Error::TooOld { .. }
    )
}

/// Of two failures the one to tell: an impostor before silence.
fn more_telling(one: Option<Error>, other: Error) -> Error {
    match one {
        Some(one @ Error::WrongDoor) => one,
        Some(one) if matches!(other, Error::DoorNotReached(_) | Error::Offline(_)) => one,
        _ => other,
    }
}
