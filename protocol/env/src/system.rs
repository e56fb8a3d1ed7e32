//! The operating system's clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::{Clock, Sleep};

/// The clock of the machine that the process runs on.
///
/// All values share one monotonic origin, so their readings compare. On Linux and Android the
/// monotonic scale stands still while the machine is suspended. Sleeping needs a tokio runtime
/// with its time driver enabled.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        origin().elapsed()
    }

    fn sleep_until(&self, at: Duration) -> Sleep {
        Box::pin(async move {
            // Made inside, so that the runtime is looked for where the wait is awaited.
            match origin().checked_add(at) {
                Some(instant) => wait(instant).await,
                None => std::future::pending().await,
            }
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that waits for the system's time"
)]
async fn wait(instant: Instant) {
    tokio::time::sleep_until(instant.into()).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the system's monotonic time"
)]
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_system_clocks_share_one_monotonic_scale() {
        let first = SystemClock.monotonic();
        let second = SystemClock.monotonic();
        let third = SystemClock.monotonic();
        assert!(first <= second && second <= third);
    }
}
