//! One clock for all parts of a property.

use std::sync::Arc;
use std::time::Duration;

use latchkey_env::{Clock as _, SharedClock, SystemClock, VirtualClock, sleep};
use tokio::task::JoinHandle;

/// How often the virtual clock catches up with the machine's.
const STEP: Duration = Duration::from_millis(5);

/// A virtual clock that starts now and goes on with real time, so that every timer of the property
/// works; [`advance`](VirtualClock::advance) moves it on by days. It stands still once this is dropped.
#[derive(Debug)]
pub struct Time {
    clock: VirtualClock,
    flow: JoinHandle<()>,
}

impl Time {
    /// Starts it; within a tokio runtime.
    #[must_use]
    pub fn start() -> Self {
        let clock = VirtualClock::new(SystemClock.now());
        let flowing = clock.clone();
        let flow = tokio::spawn(async move {
            let mut last = SystemClock.monotonic();
            loop {
                sleep(&SystemClock, STEP).await;
                let now = SystemClock.monotonic();
                flowing.advance(now.saturating_sub(last));
                last = now;
            }
        });
        Self { clock, flow }
    }

    /// The clock, to move it on.
    #[must_use]
    pub fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    /// The clock, to hand it out.
    #[must_use]
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clock.clone())
    }
}

impl Drop for Time {
    fn drop(&mut self) {
        self.flow.abort();
    }
}
