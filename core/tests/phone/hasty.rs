//! A clock that does not make a test wait for back-off: short waits move it on at once, long ones (the
//! limits of requests and sessions) stand still.

use std::time::Duration;

use chrono::{DateTime, Utc};
use latchkey_env::{Clock, Sleep, VirtualClock};

const SHORT: Duration = Duration::from_millis(3_500);

#[derive(Clone)]
pub(crate) struct HastyClock(pub(crate) VirtualClock);

impl Clock for HastyClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep_until(&self, at: Duration) -> Sleep {
        let clock = self.0.clone();
        let wait = at.saturating_sub(clock.monotonic());
        Box::pin(async move {
            if wait <= SHORT {
                clock.advance(wait);
            } else {
                clock.sleep_until(at).await;
            }
        })
    }
}
