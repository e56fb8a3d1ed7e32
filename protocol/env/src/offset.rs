//! A clock that is wrong.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Clock, SharedClock, Sleep};

const MILLION: i128 = 1_000_000;

/// Another clock, shifted by a signed offset and running fast or slow: a phone four minutes wrong,
/// a door whose oscillator drifts.
///
/// The offset moves the wall clock only. Drift, in parts per million, moves both scales, as it does
/// in a device whose two clocks hang on one oscillator. Clones share their settings.
#[derive(Clone)]
pub struct OffsetClock {
    inner: SharedClock,
    settings: Arc<Mutex<Settings>>,
}

/// From `anchor` on, own time runs at (1 + ppm / 10⁶) times inner time.
#[derive(Debug, Clone, Copy)]
struct Settings {
    offset: TimeDelta,
    drift_ppm: i32,
    anchor_inner: Duration,
    anchor_own: Duration,
}

impl OffsetClock {
    /// `inner`, whose wall clock is shown `offset` later (earlier when negative).
    pub fn new(inner: SharedClock, offset: TimeDelta) -> Self {
        let anchor = inner.monotonic();
        Self {
            inner,
            settings: Arc::new(Mutex::new(Settings {
                offset,
                drift_ppm: 0,
                anchor_inner: anchor,
                anchor_own: anchor,
            })),
        }
    }

    /// From now on, shows the wall clock `offset` later than the inner one, drift so far not
    /// counted.
    pub fn set_offset(&self, offset: TimeDelta) {
        self.with(|settings| settings.offset = offset);
    }

    /// From now on, gains `ppm` microseconds a second (loses them when negative); what has been
    /// gained or lost so far stays. A wait that is running already ends by the old rate if that is
    /// later.
    ///
    /// # Panics
    ///
    /// At a million below zero and less, where time would stand still or go back.
    pub fn set_drift_ppm(&self, ppm: i32) {
        assert!(i128::from(ppm) > -MILLION, "time does not go back");
        let inner = self.inner.monotonic();
        self.with(|settings| {
            settings.anchor_own = settings.own_at(inner);
            settings.anchor_inner = inner;
            settings.drift_ppm = ppm;
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut Settings) -> T) -> T {
        change(&mut self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Clock for OffsetClock {
    fn now(&self) -> DateTime<Utc> {
        let wall = self.inner.now();
        let inner = self.inner.monotonic();
        self.with(|settings| {
            let own = settings.own_at(inner);
            wall + settings.offset + signed(own) - signed(inner)
        })
    }

    fn monotonic(&self) -> Duration {
        let inner = self.inner.monotonic();
        self.with(|settings| settings.own_at(inner))
    }

    fn sleep_until(&self, at: Duration) -> Sleep {
        let clock = self.clone();
        Box::pin(async move {
            // Again after each wait: the drift may have been set meanwhile.
            while clock.monotonic() < at {
                let inner_at = clock.with(|settings| settings.inner_at(at));
                clock.inner.sleep_until(inner_at).await;
            }
        })
    }
}

impl std::fmt::Debug for OffsetClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.with(|settings| f.debug_tuple("OffsetClock").field(settings).finish())
    }
}

impl Settings {
    fn own_at(&self, inner: Duration) -> Duration {
        let since = inner.saturating_sub(self.anchor_inner).as_nanos() as i128;
        let own = since * (MILLION + i128::from(self.drift_ppm)) / MILLION;
        self.anchor_own.saturating_add(nanoseconds(own))
    }

    /// The first inner moment at which [`own_at`](Self::own_at) has reached `own`.
    fn inner_at(&self, own: Duration) -> Duration {
        let since = own.saturating_sub(self.anchor_own).as_nanos() as i128;
        let rate = MILLION + i128::from(self.drift_ppm);
        let inner = (since.saturating_mul(MILLION) + rate - 1) / rate;
        self.anchor_inner.saturating_add(nanoseconds(inner))
    }
}

fn nanoseconds(count: i128) -> Duration {
    u64::try_from(count).map_or(Duration::MAX, Duration::from_nanos)
}

fn signed(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(all(test, feature = "virtual"))]
mod tests {
    use super::*;
    use crate::VirtualClock;

    fn clocks() -> (VirtualClock, OffsetClock) {
        let truth = VirtualClock::at("2026-11-24T09:00:00Z");
        let wrong = OffsetClock::new(Arc::new(truth.clone()), TimeDelta::zero());
        (truth, wrong)
    }

    #[test]
    fn a_phone_four_minutes_slow_shows_it_on_the_wall_clock_only() {
        let (truth, wrong) = clocks();
        wrong.set_offset(TimeDelta::minutes(-4));
        assert_eq!(truth.now() - wrong.now(), TimeDelta::minutes(4));
        assert_eq!(truth.monotonic(), wrong.monotonic());
    }

    #[test]
    fn drift_adds_up_and_what_was_gained_stays() {
        let (truth, wrong) = clocks();
        wrong.set_drift_ppm(100);
        truth.advance(Duration::from_secs(10_000));
        assert_eq!(wrong.now() - truth.now(), TimeDelta::seconds(1));
        wrong.set_drift_ppm(-50);
        truth.advance(Duration::from_secs(20_000));
        assert_eq!(wrong.now(), truth.now());
        assert_eq!(wrong.monotonic(), truth.monotonic());
    }

    #[tokio::test]
    async fn a_slow_clock_sleeps_longer_by_the_true_one() {
        let (truth, wrong) = clocks();
        wrong.set_drift_ppm(-100_000);
        let at = wrong.monotonic() + Duration::from_secs(9);
        let waiting = tokio::spawn(wrong.sleep_until(at));
        truth.sleepers_at_least(1).await;
        truth.advance(Duration::from_millis(9_999));
        assert!(!waiting.is_finished());
        truth.advance(Duration::from_millis(1));
        waiting.await.expect("the wait ends at ten true seconds");
    }
}
