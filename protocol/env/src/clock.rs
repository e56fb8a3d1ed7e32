//! What a clock is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// A wait that a [`Clock`] gave out. Dropping it ends the wait.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// A clock that several owners share.
pub type SharedClock = Arc<dyn Clock>;

/// The time of one device.
///
/// Two scales, never mixed: [`now`](Clock::now) is what the device believes the wall clock to be
/// and may be wrong or jump; [`monotonic`](Clock::monotonic) only goes forward and is what time
/// limits and timers are measured with.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, in UTC, as this device believes it to be.
    fn now(&self) -> DateTime<Utc>;

    /// Time since a fixed moment of this clock's own choosing. Never goes back; has no meaning
    /// outside the process.
    fn monotonic(&self) -> Duration;

    /// Ends once [`monotonic`](Clock::monotonic) has reached `at`; at once if it already has.
    fn sleep_until(&self, at: Duration) -> Sleep;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn sleep_until(&self, at: Duration) -> Sleep {
        (**self).sleep_until(at)
    }
}
