//! A door's clock, as a pure model: monotonic time goes in, readings with their uncertainty come out.
//!
//! - Time is set by challenge only. A nonce belongs to one session, is good once, and for 10 seconds.
//! - Half the round trip is the uncertainty of an answer, and drift adds to it from then on. An estimate
//!   that is worse than the present one does not replace it.
//! - Drift is measured over a day or more, and clamped to what oscillators do.
//! - Below the *bound* the clock never goes. One part of it is signed (times, documents, lists) and
//!   only grows; the other is the clock's own stored reading, which an answer may lower.
//! - After a restart the clock counts on from the bound and is *unsure* until it is challenged: its
//!   reading is then a lower bound of the time, good for refusing what ended before it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{TimeAnswer, TimeChallenge};

/// How long an answer is waited for, on the monotonic clock.
pub const CHALLENGE_LIFE: Duration = Duration::from_secs(10);

/// What a door's oscillator is off by at most, in parts per million, until it has been measured; no
/// measurement is believed beyond it.
pub const MAX_DRIFT_PPM: u32 = 100;

/// What temperature and age change of a measured drift, in parts per million.
const WANDER_PPM: u32 = 20;

/// Drift is measured over no less.
const MEASURED_OVER: Duration = Duration::from_secs(24 * 3600);

/// Challenges that wait for an answer at a time; one a session.
const MAX_OPEN: usize = 16;

/// What the clock says at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// Milliseconds that this may be off either way; `u32::MAX` when nothing bounds it.
    pub uncertainty_ms: u32,
    /// Not challenged since the restart: the time is this or later.
    pub unsure: bool,
}

impl ClockReading {
    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        self.unix_ms / 1000
    }

    /// Whether something that ends at this second (half-open) is over. This is certain even of an
    /// unsure clock, whose reading is a lower bound.
    #[must_use]
    pub fn ended(&self, until_unix_seconds: u64) -> bool {
        self.unix_seconds() >= until_unix_seconds
    }
}

/// A measured drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Parts per million; positive when the oscillator runs slow.
    pub ppm: i32,
    /// How far off the measurement may be, parts per million.
    pub error_ppm: u32,
}

/// What a door stores of its clock, hourly and at each opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PersistedClock {
    /// The highest time that was ever signed by the issuer and verified here, ms since 1970.
    pub signed_ms: u64,
    /// The running clock at the moment of storing, ms since 1970.
    pub running_ms: u64,
    /// The oscillator's drift, once measured.
    pub drift: Option<Drift>,
}

/// What became of an accepted answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// The clock was set by it.
    Adopted {
        /// By how many milliseconds the reading moved.
        moved_ms: i64,
    },
    /// It was good, but no better than what the door had.
    NoBetter,
}

/// Why an answer sets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeRefused {
    /// No challenge of this session waits for it: never asked, answered already, or given up.
    #[error("no such challenge is open")]
    NotAsked,
    /// It took longer than [`CHALLENGE_LIFE`].
    #[error("the answer came too late")]
    TooLate,
}

/// A door's clock.
#[derive(Debug, Clone)]
pub struct DoorClock {
    signed_us: u64,
    estimate: Estimate,
    drift: Option<Drift>,
    /// Where the measurement of drift starts.
    anchor: Option<Estimate>,
    open: Vec<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Estimate {
    at: Duration,
    unix_us: u64,
    /// None while the clock counts on from its bound.
    uncertainty_us: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    session: u64,
    nonce: [u8; 16],
    asked: Duration,
}

impl DoorClock {
    /// A clock after a restart, which counts on from its bound. `monotonic` starts anywhere.
    #[must_use]
    pub fn start(persisted: PersistedClock, monotonic: Duration) -> Self {
        let signed_us = micros(persisted.signed_ms);
        Self {
            signed_us,
            estimate: Estimate {
                at: monotonic,
                unix_us: signed_us.max(micros(persisted.running_ms)),
                uncertainty_us: None,
            },
            drift: persisted.drift.map(Drift::clamped),
            anchor: None,
            open: Vec::new(),
        }
    }

    /// A clock after a restart that a battery-backed clock has measured: it goes on where it was when
    /// it was stored, `uncertainty_ms` off at most, for the time that has passed since; such a clock
    /// drifts like any other. It must be one that nobody but the door's maker can set.
    #[must_use]
    pub fn resume(
        persisted: PersistedClock,
        uncertainty_ms: u32,
        since_stored: Duration,
        monotonic: Duration,
    ) -> Self {
        let passed_us = duration_us(since_stored);
        let drifted_us = parts_per_million(passed_us, MAX_DRIFT_PPM);
        let mut clock = Self::start(persisted, monotonic);
        clock.estimate = Estimate {
            at: monotonic,
            unix_us: micros(persisted.running_ms).saturating_add(passed_us),
            uncertainty_us: Some(micros(uncertainty_ms.into()).saturating_add(drifted_us)),
        };
        clock
    }

    /// What is to be stored now.
    #[must_use]
    pub fn persisted(&self, monotonic: Duration) -> PersistedClock {
        PersistedClock {
            signed_ms: self.signed_us / 1000,
            running_ms: self.estimate_at(monotonic).unix_us / 1000,
            drift: self.drift,
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self, monotonic: Duration) -> ClockReading {
        let estimate = self.estimate_at(monotonic);
        // Held at the signed bound, the reading is off by what it was lifted, too.
        let lifted_us = self.signed_us.saturating_sub(estimate.unix_us);
        ClockReading {
            unix_ms: (estimate.unix_us + lifted_us) / 1000,
            uncertainty_ms: estimate.uncertainty_us.map_or(u32::MAX, |uncertainty| {
                u32::try_from(uncertainty.saturating_add(lifted_us).div_ceil(1000))
                    .unwrap_or(u32::MAX)
            }),
            unsure: estimate.uncertainty_us.is_none(),
        }
    }

    /// The drift, once measured.
    #[must_use]
    pub fn drift(&self) -> Option<Drift> {
        self.drift
    }

    /// Asks for the time in a session (a connection that can carry the answer). The session's earlier
    /// question, if any, is given up.
    pub fn challenge(
        &mut self,
        session: u64,
        nonce: [u8; 16],
        monotonic: Duration,
    ) -> TimeChallenge {
        self.open.retain(|open| {
            open.session != session && monotonic.saturating_sub(open.asked) <= CHALLENGE_LIFE
        });
        if self.open.len() >= MAX_OPEN {
            self.open.remove(0);
        }
        self.open.push(Open {
            session,
            nonce,
            asked: monotonic,
        });
        TimeChallenge { nonce }
    }

    /// Gives up what a session has asked: its connection is gone.
    pub fn end_session(&mut self, session: u64) {
        self.open.retain(|open| open.session != session);
    }

    /// Takes a verified answer ([`super::SignedTimeAnswer::verify`]).
    ///
    /// # Errors
    /// [`TimeRefused`]; the clock is then as before.
    pub fn answer(
        &mut self,
        session: u64,
        answer: &TimeAnswer,
        monotonic: Duration,
    ) -> Result<Set, TimeRefused> {
        let at = self
            .open
            .iter()
            .position(|open| open.session == session && open.nonce == answer.nonce)
            .ok_or(TimeRefused::NotAsked)?;
        let round_trip = monotonic.saturating_sub(self.open.remove(at).asked);
        if round_trip > CHALLENGE_LIFE {
            return Err(TimeRefused::TooLate);
        }
        self.signed_us = self.signed_us.max(micros(answer.unix_ms));

        let half_us = duration_us(round_trip).div_ceil(2);
        let offered = Estimate {
            at: monotonic,
            unix_us: micros(answer.unix_ms).saturating_add(half_us),
            // The signer's clock has a resolution of a millisecond.
            uncertainty_us: Some(half_us + 1000),
        };
        let held = self.estimate_at(monotonic);
        let set = match (held.uncertainty_us, offered.uncertainty_us) {
            (Some(held), Some(offered)) if offered > held => Set::NoBetter,
            _ => Set::Adopted {
                moved_ms: (i64::try_from(offered.unix_us).unwrap_or(i64::MAX)
                    - i64::try_from(held.unix_us).unwrap_or(i64::MAX))
                    / 1000,
            },
        };
        // The old drift ran until now, whatever is measured next.
        self.estimate = if set == Set::NoBetter { held } else { offered };
        self.measure(offered);
        Ok(set)
    }

    /// The `signed` of a document or a list of the issuer that was verified: the time is not before it.
    pub fn raise_bound(&mut self, signed_unix_ms: u64, monotonic: Duration) {
        self.signed_us = self.signed_us.max(micros(signed_unix_ms));
        let held = self.estimate_at(monotonic);
        if held.uncertainty_us.is_none() && held.unix_us < self.signed_us {
            self.estimate = Estimate {
                unix_us: self.signed_us,
                ..held
            };
        }
    }

    fn estimate_at(&self, monotonic: Duration) -> Estimate {
        let elapsed_us = duration_us(monotonic.saturating_sub(self.estimate.at));
        let (ppm, error_ppm) = self
            .drift
            .map_or((0, MAX_DRIFT_PPM), |drift| (drift.ppm, drift.error_ppm));
        let correction = parts_per_million(elapsed_us, ppm.unsigned_abs());
        let run_us = if ppm < 0 {
            elapsed_us - correction
        } else {
            elapsed_us.saturating_add(correction)
        };
        Estimate {
            at: monotonic,
            unix_us: self.estimate.unix_us.saturating_add(run_us),
            uncertainty_us: self
                .estimate
                .uncertainty_us
                .map(|us| us.saturating_add(parts_per_million(elapsed_us, error_ppm))),
        }
    }

    fn measure(&mut self, now: Estimate) {
        let Some(anchor) = self.anchor else {
            self.anchor = Some(now);
            return;
        };
        let elapsed = now.at.saturating_sub(anchor.at);
        if elapsed < MEASURED_OVER {
            return;
        }
        let measured = Drift::between(anchor, now, duration_us(elapsed));
        if self
            .drift
            .is_none_or(|known| measured.error_ppm <= known.error_ppm)
        {
            self.drift = Some(measured);
            self.anchor = Some(now);
        }
    }
}

impl Drift {
    fn between(anchor: Estimate, now: Estimate, elapsed_us: u64) -> Self {
        let true_us = i128::from(now.unix_us) - i128::from(anchor.unix_us);
        let off_us = true_us - i128::from(elapsed_us);
        let ppm = off_us * 1_000_000 / i128::from(elapsed_us);
        let unsure_us = u128::from(anchor.uncertainty_us.unwrap_or(u64::MAX))
            + u128::from(now.uncertainty_us.unwrap_or(u64::MAX));
        let error = (unsure_us * 1_000_000).div_ceil(u128::from(elapsed_us));
        let limit = i128::from(MAX_DRIFT_PPM);
        Self {
            ppm: i32::try_from(ppm.clamp(-limit, limit)).unwrap_or_default(),
            // A drift beyond the limit is no oscillator's: what was measured is some error, so nothing
            // is known better than before.
            error_ppm: if ppm.abs() > limit {
                MAX_DRIFT_PPM
            } else {
                u32::try_from(error)
                    .unwrap_or(u32::MAX)
                    .saturating_add(WANDER_PPM)
            },
        }
        .clamped()
    }

    fn clamped(self) -> Self {
        let limit = MAX_DRIFT_PPM.cast_signed();
        Self {
            ppm: self.ppm.clamp(-limit, limit),
            error_ppm: self.error_ppm.clamp(WANDER_PPM, MAX_DRIFT_PPM),
        }
    }
}

fn micros(ms: u64) -> u64 {
    ms.saturating_mul(1000)
}

fn duration_us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn parts_per_million(us: u64, ppm: u32) -> u64 {
    u64::try_from((u128::from(us) * u128::from(ppm)).div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
