//! The phone's clock, corrected against a portal's at every contact.
//!
//! A phone's wall clock may be minutes wrong, and codes are good for seconds. So the difference to the
//! portal's clock is kept in the wallet and added to the wall clock. The wall clock goes on while the
//! phone sleeps, which its monotonic clock does not; but when the wall clock falls behind the monotonic
//! one, somebody has set it back, and the difference is made up for. One that is set forward looks like
//! sleep, and stays wrong until the next contact.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use latchkey_env::SharedClock;

/// Less than this is oscillators, not somebody who sets a clock.
const STEP: TimeDelta = TimeDelta::milliseconds(500);

/// No answer is waited for so long.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// A portal's time, as this phone knows it.
pub struct PortalClock {
    device: SharedClock,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct State {
    offset: TimeDelta,
    wall: DateTime<Utc>,
    monotonic: Duration,
}

impl PortalClock {
    /// With the offset that was kept.
    #[must_use]
    pub fn new(device: SharedClock, offset: TimeDelta) -> Self {
        let state = State {
            offset,
            wall: device.now(),
            monotonic: device.monotonic(),
        };
        Self {
            device,
            state: Mutex::new(state),
        }
    }

    /// The portal's time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let state = self.read();
        state.wall + state.offset
    }

    /// A moment that the portal named in its answer to a question that was sent `round_trip` ago. Returns
    /// the new offset when it was corrected. A moment that no calendar has corrects nothing.
    pub fn heard(&self, portal: DateTime<Utc>, round_trip: Duration) -> Option<TimeDelta> {
        if !(1970..=9999).contains(&portal.year()) {
            return None;
        }
        // Whole seconds have their fraction cut off.
        let cut_off = if portal.timestamp_subsec_nanos() == 0 {
            TimeDelta::seconds(1)
        } else {
            TimeDelta::zero()
        };
        // The portal read its clock somewhere within the round trip: it now shows between these two.
        let round_trip = TimeDelta::from_std(round_trip)
            .unwrap_or(LONGEST)
            .min(LONGEST);
        let latest = portal + cut_off + round_trip;
        let state = self.read();
        if (portal..=latest).contains(&(state.wall + state.offset)) {
            return None;
        }
        // A long poll takes long before the clock is read, not after.
        let on_the_way = (cut_off + round_trip.min(TimeDelta::seconds(1))) / 2;
        let offset = portal + on_the_way - state.wall;
        self.lock().offset = offset;
        Some(offset)
    }

    fn read(&self) -> State {
        let (wall, monotonic) = (self.device.now(), self.device.monotonic());
        let mut state = self.lock();
        let passed = TimeDelta::from_std(monotonic.saturating_sub(state.monotonic))
            .unwrap_or(TimeDelta::zero());
        let set_back = passed - (wall - state.wall);
        if set_back > STEP {
            state.offset += set_back;
        }
        state.wall = wall;
        state.monotonic = monotonic;
        *state
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use latchkey_env::{Clock as _, VirtualClock};

    use super::*;

    fn clocks() -> (VirtualClock, PortalClock) {
        let device = VirtualClock::at("2026-11-24T09:00:00Z");
        let clock = PortalClock::new(Arc::new(device.clone()), TimeDelta::zero());
        (device, clock)
    }

    #[test]
    fn a_phone_four_minutes_wrong_is_right_after_one_contact() {
        let (device, clock) = clocks();
        let truth = device.now() + TimeDelta::minutes(4);
        let corrected = clock.heard(truth, Duration::from_millis(100));
        assert!(corrected.is_some());
        device.advance(Duration::from_secs(3600));
        let error = clock.now() - (truth + TimeDelta::hours(1));
        assert!(error.abs() <= TimeDelta::seconds(1), "{error}");
    }

    #[test]
    fn an_answer_that_agrees_corrects_nothing() {
        let (device, clock) = clocks();
        device.advance(Duration::from_millis(700));
        let cut = device.now() - TimeDelta::milliseconds(700);
        assert_eq!(clock.heard(cut, Duration::ZERO), None);
        assert_eq!(clock.now(), device.now());
    }

    #[test]
    fn a_time_that_no_calendar_has_corrects_nothing_and_brings_nothing_down() {
        let (device, clock) = clocks();
        for time in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
            assert_eq!(clock.heard(time, Duration::MAX), None);
            assert_eq!(clock.now(), device.now());
        }
        let last = "9999-12-31T23:59:59Z".parse().unwrap();
        assert!(clock.heard(last, Duration::MAX).is_some());
        assert!(clock.now() >= last);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_changes_nothing_and_sleep_is_believed() {
        let (device, clock) = clocks();
        let before = clock.now();
        device.jump_wall(TimeDelta::minutes(-10));
        assert_eq!(clock.now(), before);
        device.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), before + TimeDelta::seconds(5));
        device.jump_wall(TimeDelta::hours(8));
        assert_eq!(
            clock.now(),
            before + TimeDelta::hours(8) + TimeDelta::seconds(5)
        );
    }
}
