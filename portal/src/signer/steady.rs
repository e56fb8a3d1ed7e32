//! The signer's clock: refuses to say the time once the wall clock has stepped against the monotonic one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_env::SharedClock;

use super::SignerError;

/// How far the two may drift apart while the process runs. Slewing moves both alike; only a step moves one.
const MOST: TimeDelta = TimeDelta::seconds(30);

pub(super) struct SteadyClock {
    clock: SharedClock,
    wall: DateTime<Utc>,
    monotonic: Duration,
}

impl SteadyClock {
    /// Trusts the wall clock as it is at this moment.
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            wall: clock.now(),
            monotonic: clock.monotonic(),
            clock,
        }
    }

    pub(super) fn now(&self) -> Result<DateTime<Utc>, SignerError> {
        let now = self.clock.now();
        let passed = self.clock.monotonic().saturating_sub(self.monotonic);
        let passed = TimeDelta::from_std(passed).unwrap_or(TimeDelta::MAX);
        let step = (now - self.wall) - passed;
        if step.abs() > MOST {
            return Err(SignerError::ClockStepped {
                seconds: step.num_seconds(),
            });
        }
        Ok(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use latchkey_env::VirtualClock;

    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_is_refused_and_the_passing_of_time_is_not() {
        let clock = VirtualClock::at("2026-11-24T09:00:00Z");
        let steady = SteadyClock::new(Arc::new(clock.clone()));
        clock.advance(Duration::from_secs(90 * 24 * 3600));
        assert!(steady.now().is_ok());
        clock.jump_wall(TimeDelta::minutes(-2));
        assert_eq!(
            steady.now(),
            Err(SignerError::ClockStepped { seconds: -120 })
        );
        clock.jump_wall(TimeDelta::minutes(2));
        assert!(steady.now().is_ok(), "set right again");
    }
}
