//! The door's clock: read by decisions, set by answers to its own nonces, stored hourly and at
//! each opening.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use latchkey_protocol::clock::{ClockReading, DoorClock, PersistedClock, SignedTimeAnswer};
use latchkey_protocol::ids::BudgetId;
use serde::Serialize;

use super::gesture::Moment;
use super::{Door, DoorError, Inner};
use crate::env::Env;
use crate::store::{
    SavedBattery, SavedClock, Store, StoreError, forget_attempts_before, forget_codes,
    forget_documents_ended, forget_lease, forget_passes_ended, forget_phones_ended, mark_moved,
    save_clock, saved_clock,
};

/// How long things are remembered after they are of no more use. Documents too: whoever comes with
/// one that is over hears so.
const REMEMBERED: chrono::TimeDelta = chrono::TimeDelta::days(2);

/// A door's clock, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClockReport {
    /// What it reads.
    pub at: DateTime<Utc>,
    /// Milliseconds that this may be off either way; none when nothing bounds it.
    pub uncertainty_ms: Option<u32>,
    /// Not challenged since it lost its time.
    pub unsure: bool,
}

impl From<ClockReading> for ClockReport {
    fn from(reading: ClockReading) -> Self {
        Self {
            at: instant(&reading),
            uncertainty_ms: Some(reading.uncertainty_ms).filter(|ms| *ms != u32::MAX),
            unsure: reading.unsure,
        }
    }
}

/// The reading as an instant.
pub(crate) fn instant(reading: &ClockReading) -> DateTime<Utc> {
    let ms = i64::try_from(reading.unix_ms).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The clock after a restart. With a battery-backed clock it goes on where it was, less sure by
/// what such a clock drifts; without one it counts on from its bound and is unsure.
pub(crate) fn restart(store: &Store, env: &Env, battery: bool) -> Result<DoorClock, StoreError> {
    let Some(saved) = saved_clock(store.read())? else {
        return Ok(DoorClock::start(
            PersistedClock::default(),
            env.clock.monotonic(),
        ));
    };
    let monotonic = env.clock.monotonic();
    let elapsed = saved.battery.filter(|_| battery).map(|battery| {
        (
            battery,
            env.clock.now().timestamp_millis() - battery.read_ms,
        )
    });
    Ok(match elapsed {
        // A battery-backed clock that went back is none.
        Some((battery, elapsed_ms)) if elapsed_ms >= 0 => DoorClock::resume(
            saved.clock,
            battery.uncertainty_ms,
            Duration::from_millis(elapsed_ms.unsigned_abs()),
            monotonic,
        ),
        _ => DoorClock::start(saved.clock, monotonic),
    })
}

/// The clock as it was last stored, for people.
pub(crate) fn stored_clock(store: &Store) -> Result<ClockReport, StoreError> {
    let saved =
        saved_clock(store.read())?.map_or_else(PersistedClock::default, |saved| saved.clock);
    Ok(DoorClock::start(saved, Duration::ZERO)
        .now(Duration::ZERO)
        .into())
}

impl Inner {
    pub(crate) fn reading(&self, env: &Env) -> ClockReading {
        self.clock.now(env.clock.monotonic())
    }

    /// What is to be stored of the clock now.
    pub(crate) fn clock_to_save(&self, env: &Env) -> SavedClock {
        clock_to_save(&self.clock, env)
    }
}

/// What is to be stored of a clock now.
pub(crate) fn clock_to_save(clock: &DoorClock, env: &Env) -> SavedClock {
    let monotonic = env.clock.monotonic();
    let reading = clock.now(monotonic);
    SavedClock {
        clock: clock.persisted(monotonic),
        battery: (!reading.unsure).then(|| SavedBattery {
            read_ms: env.clock.now().timestamp_millis(),
            uncertainty_ms: reading.uncertainty_ms,
        }),
    }
}

impl Door {
    pub(crate) fn now(&self) -> Moment {
        let reading = self.lock().reading(&self.env);
        Moment {
            at: instant(&reading),
            unsure: reading.unsure,
        }
    }

    /// Asks for the time in a session; a nonce of an earlier question in it is given up.
    pub(crate) fn challenge(&self, session: u64) -> [u8; 16] {
        let nonce = self.env.random();
        let monotonic = self.env.clock.monotonic();
        self.lock().clock.challenge(session, nonce, monotonic).nonce
    }

    /// The session's connection is gone, and its question with it.
    pub(crate) fn end_session(&self, session: u64) {
        self.lock().clock.end_session(session);
    }

    /// Takes an answer, and says whether it answered the session's question. One that is not signed,
    /// not asked for or late sets nothing.
    pub(crate) async fn take_time(
        self: &Arc<Self>,
        session: u64,
        answer: Vec<u8>,
    ) -> Result<bool, DoorError> {
        // Read before anything waits: what happens until then is part of the round trip.
        let monotonic = self.env.clock.monotonic();
        let Some(answer) = SignedTimeAnswer::from_bytes(&answer)
            .ok()
            .and_then(|answer| {
                self.installed.issuers.iter().find_map(|issuer| {
                    answer
                        .verify(issuer, self.installed.property, self.installed.door)
                        .ok()
                })
            })
        else {
            tracing::warn!("a time that the issuer did not sign for this door");
            return Ok(false);
        };
        self.run(move |door| {
            let mut inner = door.lock();
            let was_unsure = inner.reading(&door.env).unsure;
            if let Err(error) = inner.clock.answer(session, &answer, monotonic) {
                tracing::info!(%error, "a time that sets nothing");
                return Ok(false);
            }
            let clock = inner.clock_to_save(&door.env);
            inner
                .store
                .write(|tx| Ok::<_, DoorError>(save_clock(tx, &clock)?))?;
            drop(inner);
            if was_unsure {
                door.state_changed();
            }
            Ok(true)
        })
        .await
    }

    /// Hourly: stores the clock, and forgets what is over.
    pub(crate) async fn housekeeping(self: &Arc<Self>) -> Result<(), DoorError> {
        self.run(|door| {
            let mut inner = door.lock();
            let clock = inner.clock_to_save(&door.env);
            // Of an unsure clock this is a lower bound, so nothing goes too early.
            let now = instant(&inner.reading(&door.env));
            let past = now - REMEMBERED;
            let held = inner.knowledge.held.iter();
            let over: Vec<BudgetId> = held
                .filter(|(_, held)| held.may_be_forgotten(now.timestamp()))
                .map(|(budget, _)| *budget)
                .collect();
            let moved = std::mem::take(&mut inner.moved);
            let stored = inner.store.write(|tx| {
                save_clock(tx, &clock)?;
                for id in &moved {
                    mark_moved(tx, *id)?;
                }
                forget_attempts_before(tx, past.timestamp_millis())?;
                forget_codes(tx, past.timestamp_millis())?;
                forget_phones_ended(tx, now.timestamp())?;
                forget_documents_ended(tx, past.timestamp())?;
                forget_passes_ended(tx, past.timestamp())?;
                for budget in &over {
                    forget_lease(tx, *budget)?;
                }
                Ok::<_, DoorError>(())
            });
            if let Err(error) = stored {
                inner.moved = moved;
                return Err(error);
            }
            for budget in over {
                inner.knowledge.held.remove(&budget);
            }
            door.phones_changed(&inner)
        })
        .await
    }
}
