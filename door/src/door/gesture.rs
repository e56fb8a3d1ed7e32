//! One gesture of a person, from the decision to the moved lock.
//!
//! The order is what everything rests on: decide, store use and event durably, move the lock, note
//! that it moved. Whatever interrupts it, the person either gets in for one use or keeps it.

use std::sync::{Arc, PoisonError};

use chrono::{DateTime, Utc};
use latchkey_protocol::api::events::Means;
use latchkey_protocol::code::IssueTime;
use latchkey_protocol::doorlink::{DoorEvent, Subject};
use latchkey_protocol::ids::{AttemptId, BudgetId, EventId, PassId};
use latchkey_protocol::rules::{Decision, Reason};
use latchkey_protocol::uses::{AttemptState, Known, Meets};

use super::known::Acquaintance;
use super::{Door, DoorError, Inner};
use crate::report::{Happening, Report};
use crate::store::{
    Attempt, accept_code, keep_attempt, keep_lease, known_attempt, log_event, mark_moved,
    remember_phone, replace_attempt, save_clock,
};
use crate::strike::Release;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub(crate) struct Gesture {
    /// Its id; carriers that race, and retries, share it. None for somebody who shows something
    /// that does not read.
    pub(crate) attempt: Option<AttemptId>,
    /// Earlier ones that were never answered, and that this one takes the place of.
    pub(crate) replaces: Vec<AttemptId>,
    /// How the person came.
    pub(crate) means: Means,
    /// What the attempt belongs to: the hash of the credential's key, or the pass.
    pub(crate) owner: Vec<u8>,
    /// Whether a repeat of what has opened is answered again; else it is judged like any other.
    pub(crate) answers_again: bool,
}

/// What the rules say of a gesture at this moment.
#[derive(Debug, Clone)]
pub(crate) struct Ruling {
    /// Yes or no.
    pub(crate) decision: Decision,
    /// Who stands there.
    pub(crate) subject: Subject,
    /// The code that is spent by a yes.
    pub(crate) spends: Option<(PassId, IssueTime)>,
    /// The phone that is remembered after a yes.
    pub(crate) remembers: Option<Acquaintance>,
    /// What a yes spends a use of.
    pub(crate) spends_use: Option<BudgetId>,
    /// What a no lacks a use of, and nothing else.
    pub(crate) lacks_use: Option<BudgetId>,
}

/// One more use that would open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UseWanted {
    /// Of this budget.
    pub(crate) budget: BudgetId,
    /// How many have been spent here.
    pub(crate) spent: u32,
}

/// How far a gesture has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// To its end.
    Settled(Settled),
    /// Nothing is stored or told yet: with one more use it would open.
    Wants(UseWanted),
}

/// What became of a gesture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The entry in the log.
    pub(crate) event: EventId,
    /// What the person is told.
    pub(crate) decision: Decision,
    /// Whether the lock has moved, now or for an earlier coming of the same gesture.
    pub(crate) moved: bool,
}

/// What the store knows of a gesture that comes.
enum Before {
    /// Nothing.
    New,
    /// Stored, but the lock may not have moved: it moves once more, at no cost.
    Spent(EventId),
    /// Answered before: the same answer again, and nothing moves.
    Moved(EventId),
    /// Over, or somebody else's.
    Refused(Reason),
}

impl Door {
    /// Decides a gesture and carries it out. `rule` is asked under the lock, at the moment of the
    /// decision; what it is told is whether this very gesture has spent its use before.
    /// With `may_want`, one that lacks nothing but a use comes back undecided.
    ///
    /// Blocks: the store syncs, the lock moves.
    pub(crate) fn settle(
        &self,
        gesture: &Gesture,
        may_want: bool,
        rule: impl FnOnce(&Inner, bool) -> Result<Ruling, DoorError>,
    ) -> Result<Turn, DoorError> {
        // A commit that meets an attempt in progress waits for it here.
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        let mut inner = self.lock();
        let before = before(&inner, gesture, now)?;
        let ruling = rule(&inner, matches!(before, Before::Spent(_)))?;
        let settled = match before {
            Before::Moved(event) => {
                return Ok(Turn::Settled(Settled {
                    event,
                    decision: answered_again(ruling.decision),
                    moved: true,
                }));
            }
            Before::Refused(reason) => {
                let decision = Decision::Denied { reason, next: None };
                self.deny(&mut inner, gesture, &ruling.subject, decision, now)?
            }
            _ if !ruling.decision.is_allowed() => {
                if let Some(budget) = ruling.lacks_use.filter(|_| may_want) {
                    return Ok(Turn::Wants(inner.wanted(budget)));
                }
                self.deny(&mut inner, gesture, &ruling.subject, ruling.decision, now)?
            }
            Before::New => self.spend(&mut inner, gesture, &ruling, now)?,
            Before::Spent(event) => Settled {
                event,
                decision: ruling.decision,
                moved: false,
            },
        };
        let pulse = inner.relay_pulse();
        drop(inner);
        if !settled.decision.is_allowed() {
            return Ok(Turn::Settled(settled));
        }
        let settled = self.move_lock(gesture, settled, ruling.subject, pulse, now);
        Ok(Turn::Settled(settled))
    }

    /// Whether this very gesture was spent before and the lock may not have moved.
    pub(crate) fn was_spent(&self, gesture: &Gesture) -> Result<bool, DoorError> {
        let now = self.now();
        Ok(matches!(
            before(&self.lock(), gesture, now)?,
            Before::Spent(_)
        ))
    }

    /// Somebody whom the door does not know: a code or a handshake that did not verify. The log
    /// says so, and names nobody on a stranger's word.
    pub(crate) async fn note_stranger(
        self: &Arc<Self>,
        means: Means,
        reason: Reason,
    ) -> Result<Settled, DoorError> {
        self.run(move |door| {
            let gesture = Gesture {
                attempt: None,
                replaces: Vec::new(),
                means,
                owner: Vec::new(),
                answers_again: false,
            };
            let now = door.now();
            let decision = Decision::Denied { reason, next: None };
            let mut inner = door.lock();
            door.deny(&mut inner, &gesture, &Subject::Stranger, decision, now)
        })
        .await
    }

    /// Stores use and event in one commit.
    fn spend(
        &self,
        inner: &mut Inner,
        gesture: &Gesture,
        ruling: &Ruling,
        now: Moment,
    ) -> Result<Settled, DoorError> {
        let event = self.event(gesture, &ruling.subject, None, now);
        let clock = inner.clock_to_save(&self.env);
        let met = ruling.remembers.as_ref().map(|met| self.sealed(met));
        let met = met.transpose()?;
        let at_ms = now.at.timestamp_millis();
        let used = ruling
            .spends_use
            .map(|budget| inner.with_one_less(budget))
            .transpose()?;
        inner.store.write(|tx| {
            replace(tx, gesture, at_ms)?;
            if let Some((budget, held)) = &used {
                keep_lease(tx, *budget, held)?;
            }
            if let Some((pass, issued)) = ruling.spends {
                // The ruling saw the last accepted one under this same lock.
                accept_code(tx, pass, issued.unix_ms() / 10, at_ms)?;
            }
            if let Some(id) = gesture.attempt {
                let attempt = Attempt {
                    id,
                    subject: gesture.owner.clone(),
                    state: AttemptState::Spent,
                    event: event.id,
                    at_ms,
                };
                keep_attempt(tx, &attempt)?;
            }
            if let Some(met) = &met {
                remember_phone(tx, met)?;
            }
            log_event(tx, &event)?;
            save_clock(tx, &clock)?;
            Ok::<_, DoorError>(())
        })?;
        if let Some((budget, held)) = used {
            inner.knowledge.held.insert(budget, held);
            self.state_changed();
        }
        self.event_logged();
        if met.is_some() {
            self.phones_changed(inner)?;
        }
        Ok(Settled {
            event: event.id,
            decision: ruling.decision,
            moved: false,
        })
    }

    fn deny(
        &self,
        inner: &mut Inner,
        gesture: &Gesture,
        subject: &Subject,
        decision: Decision,
        now: Moment,
    ) -> Result<Settled, DoorError> {
        let event = self.event(gesture, subject, decision.reason(), now);
        let named = is_named(subject);
        // Whoever likes can come without a key: of those the store takes a measured number.
        if named || inner.strangers.one_more(self.env.clock.monotonic()) {
            inner.store.write(|tx| {
                if named {
                    replace(tx, gesture, now.at.timestamp_millis())?;
                }
                log_event(tx, &event)?;
                Ok::<_, DoorError>(())
            })?;
            self.event_logged();
        }
        self.report(Report::Denied(Happening {
            door: self.id(),
            event: event.id,
            means: gesture.means,
            subject: subject.clone(),
            reason: decision.reason(),
            changes_at: decision.changes_at(),
            at: now.at,
        }));
        Ok(Settled {
            event: event.id,
            decision,
            moved: false,
        })
    }

    fn move_lock(
        &self,
        gesture: &Gesture,
        settled: Settled,
        subject: Subject,
        pulse: std::time::Duration,
        now: Moment,
    ) -> Settled {
        let release = Release {
            door: self.id(),
            means: gesture.means,
            event: settled.event,
            pulse,
        };
        if self.strike.release(&release).is_err() {
            tracing::error!(event = %settled.event, "the lock did not move");
            return settled;
        }
        if let Some(id) = gesture.attempt {
            self.lock().has_moved(id);
        }
        self.report(Report::Opened(Happening {
            door: self.id(),
            event: settled.event,
            means: gesture.means,
            subject,
            reason: None,
            changes_at: settled.decision.changes_at(),
            at: now.at,
        }));
        Settled {
            moved: true,
            ..settled
        }
    }

    fn event(
        &self,
        gesture: &Gesture,
        subject: &Subject,
        denied: Option<Reason>,
        now: Moment,
    ) -> DoorEvent {
        DoorEvent {
            id: EventId(self.env.random()),
            sequence: 0,
            at_ms: now.at.timestamp_millis(),
            clock_unsure: now.unsure,
            means: gesture.means,
            subject: subject.clone(),
            attempt: gesture.attempt,
            denied,
        }
    }
}

/// Whether somebody whom the issuer has named stands there: the holder of a key, or of a pass.
fn is_named(subject: &Subject) -> bool {
    match subject {
        Subject::Credential { element, .. } => element.is_some(),
        Subject::Pass { .. } => true,
        Subject::Stranger => false,
    }
}

/// The door's time as events tell it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) at: DateTime<Utc>,
    pub(crate) unsure: bool,
}

/// It has opened, whatever the rules say by now.
fn answered_again(decision: Decision) -> Decision {
    match decision {
        Decision::Allowed { .. } => decision,
        Decision::Denied { .. } => Decision::Allowed { until: None },
    }
}

impl Inner {
    /// Notes that the lock has moved for an attempt. It cannot be taken back: where it cannot be stored now, it counts all
    /// the same, and housekeeping stores it later.
    fn has_moved(&mut self, id: AttemptId) {
        let stored = self
            .store
            .write(|tx| Ok::<_, DoorError>(mark_moved(tx, id)?));
        if let Err(error) = stored {
            tracing::error!(%error, "that the lock has moved is not stored");
            self.moved.insert(id);
        }
    }
}

fn before(inner: &Inner, gesture: &Gesture, now: Moment) -> Result<Before, DoorError> {
    let known = match gesture.attempt {
        Some(id) => known_attempt(inner.store.read(), id)?,
        None => None,
    };
    let Some(known) = known else {
        return Ok(Before::New);
    };
    let meets = Meets::of(
        Some(Known {
            state: match known.state {
                AttemptState::Spent if inner.moved.contains(&known.id) => AttemptState::Moved,
                state => state,
            },
            is_theirs: known.subject == gesture.owner,
            age_ms: now.at.timestamp_millis() - known.at_ms,
        }),
        gesture.answers_again,
    );
    Ok(match meets {
        Meets::Nothing => Before::New,
        Meets::Spent => Before::Spent(known.event),
        Meets::Moved => Before::Moved(known.event),
        Meets::Refused(reason) => Before::Refused(reason),
    })
}

fn replace(tx: &rusqlite::Transaction<'_>, gesture: &Gesture, at_ms: i64) -> Result<(), DoorError> {
    for id in &gesture.replaces {
        if Some(*id) != gesture.attempt {
            replace_attempt(tx, *id, &gesture.owner, at_ms)?;
        }
    }
    Ok(())
}
