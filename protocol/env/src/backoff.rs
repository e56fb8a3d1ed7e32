//! Waits between attempts.

use std::time::Duration;

use crate::{SecureRandom, random_array};

/// Exponential back-off with jitter: each wait is drawn between half and the whole of a ceiling
/// that doubles from `first` up to `longest`, so that many devices that lost one portal at the same
/// moment do not come back at the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// The first wait is at most `first`, none is more than `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        let first = first.min(longest);
        Self {
            first,
            longest,
            ceiling: first,
        }
    }

    /// How long to wait before the next attempt.
    pub fn next_wait<R: SecureRandom + ?Sized>(&mut self, random: &R) -> Duration {
        let half = self.ceiling / 2;
        let share = f64::from(u32::from_le_bytes(random_array(random))) / f64::from(u32::MAX);
        let wait = half + (self.ceiling - half).mul_f64(share);
        self.ceiling = self.ceiling.saturating_mul(2).min(self.longest);
        wait
    }

    /// Starts over: call it after an attempt that worked.
    pub fn reset(&mut self) {
        self.ceiling = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRandom;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, longest);
        for ceiling in [100, 200, 400, 800, 1000, 1000].map(Duration::from_millis) {
            let wait = backoff.next_wait(&SystemRandom);
            assert!(
                ceiling / 2 <= wait && wait <= ceiling,
                "{wait:?} {ceiling:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next_wait(&SystemRandom) <= first);
    }
}
