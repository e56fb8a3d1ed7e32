//! Timers on a [`Clock`]: what `tokio::time` offers, without its ambient time.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use crate::{Clock, SharedClock};

/// Waits for `duration` of the clock's monotonic time.
pub async fn sleep<C: Clock + ?Sized>(clock: &C, duration: Duration) {
    let at = clock.monotonic().saturating_add(duration);
    clock.sleep_until(at).await;
}

/// Runs `work` for at most `duration` of the clock's monotonic time.
///
/// Work that is ready at the same moment as the limit counts as done.
///
/// # Errors
///
/// [`Elapsed`] when the limit came first; `work` is then dropped.
pub async fn timeout<C, F>(clock: &C, duration: Duration, work: F) -> Result<F::Output, Elapsed>
where
    C: Clock + ?Sized,
    F: Future,
{
    let mut limit = clock.sleep_until(clock.monotonic().saturating_add(duration));
    let mut work = pin!(work);
    std::future::poll_fn(move |cx| {
        if let std::task::Poll::Ready(done) = work.as_mut().poll(cx) {
            return std::task::Poll::Ready(Ok(done));
        }
        limit.as_mut().poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// A time limit passed before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit has passed")
    }
}

impl std::error::Error for Elapsed {}

/// A beat every `period` of the clock's monotonic time, the first one `period` from now.
///
/// # Panics
///
/// When `period` is zero.
#[must_use]
pub fn ticks(clock: SharedClock, period: Duration) -> Ticks {
    assert!(!period.is_zero(), "a beat needs a period");
    let next = clock.monotonic().saturating_add(period);
    Ticks {
        clock,
        period,
        next,
    }
}

/// A regular beat; made by [`ticks`].
pub struct Ticks {
    clock: SharedClock,
    period: Duration,
    next: Duration,
}

impl Ticks {
    /// Waits for the next beat. Beats that nobody waited for are skipped, so a task that was held
    /// up does not run several times in a row. Dropping the future loses no beat.
    pub async fn tick(&mut self) {
        self.clock.sleep_until(self.next).await;
        let late = self.clock.monotonic().saturating_sub(self.next);
        let missed = late.as_nanos() / self.period.as_nanos();
        let beats = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
        self.next = self.next.saturating_add(self.period.saturating_mul(beats));
    }
}

impl fmt::Debug for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticks")
            .field("period", &self.period)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemClock;

    #[tokio::test]
    async fn a_timeout_ends_work_that_never_does() {
        let clock = SystemClock;
        let outcome = timeout(
            &clock,
            Duration::from_millis(1),
            std::future::pending::<()>(),
        )
        .await;
        assert_eq!(outcome, Err(Elapsed));
    }

    #[tokio::test]
    async fn work_that_is_ready_at_once_beats_a_limit_of_nothing() {
        let clock = SystemClock;
        assert_eq!(timeout(&clock, Duration::ZERO, async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn a_system_sleep_lasts_as_long_as_it_says() {
        let clock = SystemClock;
        let before = clock.monotonic();
        sleep(&clock, Duration::from_millis(5)).await;
        assert!(clock.monotonic() - before >= Duration::from_millis(5));
    }
}
