//! What is never signed, whoever asks: the bounds by which a portal that was taken over can do less. Embedded or a
//! process of its own, the signer asks here. `docs/adr/0019-signer-process.md` has the argument.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use latchkey_env::SharedClock;
use latchkey_protocol::ids::PropertyId;
use latchkey_protocol::pass::MAX_LIFE_SECONDS;
use latchkey_protocol::statement::Body;

use super::state::State;
use super::{Series, SignerError};

/// A grant holds from an hour to thirty days.
const LIFETIME: std::ops::RangeInclusive<u32> = 3600..=30 * 24 * 3600;
/// Each document of a credential, and each list, is dated after the one before: several within one second run ahead of
/// the clock. No further than a grant's beginning lies before its signing, so that it holds at once.
const AHEAD: i64 = 3600;
/// An opening ends by itself after a minute at most.
const LONGEST_PULSE_MS: u32 = 60_000;
/// Three series a door, of as many doors as there are numbers for, and the two for all.
const MOST_SERIES: usize = 3 * 65_536 + 2;

/// How much is signed for one property of what opens doors: grants, passes, statements, bundles, certificates. What
/// withdraws, tells the time or acknowledges is never held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Signatures a second, for as long as you like.
    pub per_second: NonZeroU32,
    /// Signatures at once, after a time in which there were few.
    pub at_once: NonZeroU32,
}

impl Default for Rate {
    /// Ten thousand holders are issued everything anew in one go.
    fn default() -> Self {
        Self {
            per_second: NonZeroU32::MIN.saturating_add(99),
            at_once: NonZeroU32::MIN.saturating_add(99_999),
        }
    }
}

/// How much was signed of late, by the signer's own monotonic clock.
pub(super) struct Meter {
    rate: Rate,
    clock: SharedClock,
    /// When each property's debt is paid.
    paid: Mutex<HashMap<PropertyId, Duration>>,
}

impl Meter {
    pub(super) fn new(rate: Rate, clock: SharedClock) -> Self {
        Self {
            rate,
            clock,
            paid: Mutex::default(),
        }
    }

    /// Counts signatures for a property that there is.
    pub(super) fn take(&self, property: PropertyId, signatures: usize) -> Result<(), SignerError> {
        let each = Duration::from_secs(1) / self.rate.per_second.get();
        let now = self.clock.monotonic();
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let paid = paid.entry(property).or_default();
        let cost = each.saturating_mul(u32::try_from(signatures).unwrap_or(u32::MAX));
        let until = now.max(*paid).saturating_add(cost);
        let most = each.saturating_mul(self.rate.at_once.get());
        let over = (until - now).saturating_sub(most);
        if !over.is_zero() {
            return Err(SignerError::TooFast {
                seconds: over.as_secs() + 1,
            });
        }
        *paid = until;
        Ok(())
    }
}

/// How long a grant may hold. Before anything is noted of it: the iteration rests on the longest lifetime.
pub(super) fn lifetime(seconds: u32) -> Result<(), SignerError> {
    if LIFETIME.contains(&seconds) {
        return Ok(());
    }
    Err(SignerError::NotSignable(format!(
        "a grant holds from 1 hour to 30 days, not {seconds} s"
    )))
}

/// Until when a pass holds.
pub(super) fn pass_until(asked: u32, now: DateTime<Utc>) -> u32 {
    let latest = now.timestamp() + i64::from(MAX_LIFE_SECONDS);
    asked.min(u32::try_from(latest).unwrap_or(u32::MAX))
}

/// The date of a document: later than the last one's, where that does not lead away from the signer's own clock.
pub(super) fn signed_at(after: Option<i64>, now: DateTime<Utc>) -> i64 {
    let now = now.timestamp();
    let next = after.map_or(now, |after| after.saturating_add(1));
    next.clamp(now, now + AHEAD)
}

/// What statements may say.
pub(super) fn statement(body: &Body) -> Result<(), SignerError> {
    match body {
        Body::DoorSettings(settings) if settings.relay_pulse_ms > LONGEST_PULSE_MS => {
            Err(SignerError::NotSignable(format!(
                "a door opens for {LONGEST_PULSE_MS} ms at most, not {}",
                settings.relay_pulse_ms
            )))
        }
        _ => Ok(()),
    }
}

/// Which numbers are confirmed on a portal's word: a list's only with the list. And no more series than doors have, for
/// each is remembered for good.
pub(super) fn confirms(state: &State, series: Series, number: u64) -> Result<(), SignerError> {
    if series == Series::Lists {
        return Err(SignerError::NotSignable(
            "a list's number is confirmed by the list".to_owned(),
        ));
    }
    if !state.knows(series) && state.series() >= MOST_SERIES {
        return Err(SignerError::NotSignable("too many doors".to_owned()));
    }
    state.reaches(series, number)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use latchkey_env::VirtualClock;
    use latchkey_protocol::statement::DoorSettings;

    use super::*;

    const ONE: PropertyId = PropertyId([1; 16]);
    const OTHER: PropertyId = PropertyId([2; 16]);

    fn now() -> DateTime<Utc> {
        "2026-11-24T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_property_that_asks_too_fast_waits_and_no_other_does() {
        let clock = VirtualClock::at("2026-11-24T09:00:00Z");
        let rate = Rate {
            per_second: NonZeroU32::new(2).unwrap(),
            at_once: NonZeroU32::new(6).unwrap(),
        };
        let meter = Meter::new(rate, Arc::new(clock.clone()));
        assert_eq!(meter.take(ONE, 4), Ok(()));
        assert_eq!(meter.take(ONE, 2), Ok(()));
        assert_eq!(
            meter.take(ONE, 3),
            Err(SignerError::TooFast { seconds: 2 }),
            "and what was refused costs nothing"
        );
        assert_eq!(meter.take(OTHER, 6), Ok(()));
        clock.jump_wall(chrono::TimeDelta::days(1));
        assert!(meter.take(ONE, 1).is_err(), "no wall clock brings more");
        clock.advance(Duration::from_secs(1));
        assert_eq!(meter.take(ONE, 2), Ok(()));
        assert!(meter.take(ONE, 1).is_err());
        assert!(meter.take(ONE, usize::MAX).is_err());
    }

    #[test]
    fn no_caller_dates_a_document_or_ends_it_later_than_the_clock_allows() {
        let second = now().timestamp();
        assert_eq!(signed_at(None, now()), second);
        assert_eq!(signed_at(Some(second - 9), now()), second);
        assert_eq!(signed_at(Some(second + 7), now()), second + 8);
        for far in [second + 86_400, i64::MAX] {
            assert_eq!(signed_at(Some(far), now()), second + 3600);
        }
        assert_eq!(signed_at(Some(i64::MIN), now()), second);
        let month = u32::try_from(second).unwrap() + MAX_LIFE_SECONDS;
        assert_eq!(pass_until(u32::MAX, now()), month);
        assert_eq!(pass_until(month - 1, now()), month - 1);
        for good in [3600, 7 * 86_400, 30 * 86_400] {
            assert_eq!(lifetime(good), Ok(()));
        }
        for bad in [0, 3599, 30 * 86_400 + 1, u32::MAX] {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_statement_holds_a_door_open() {
        let pulse = |relay_pulse_ms| Body::DoorSettings(DoorSettings { relay_pulse_ms });
        assert_eq!(statement(&pulse(60_000)), Ok(()));
        assert!(statement(&pulse(60_001)).is_err());
    }

    #[test]
    fn confirmed_are_series_of_doors_and_no_endless_number_of_them() {
        let mut state = State::new(now());
        assert!(confirms(&state, Series::Lists, 1).is_err());
        let series = |n: usize| {
            let mut door = [0; 12];
            door[..8].copy_from_slice(&n.to_be_bytes());
            Series::Bundles(latchkey_protocol::ids::DoorId(door))
        };
        for n in 0..MOST_SERIES {
            assert_eq!(confirms(&state, series(n), 1), Ok(()));
            state.confirm(series(n), 1);
        }
        assert!(confirms(&state, series(MOST_SERIES), 1).is_err());
        assert_eq!(confirms(&state, series(0), 9), Ok(()), "one that is known");
        assert!(confirms(&state, series(0), u64::MAX).is_err());
    }
}
