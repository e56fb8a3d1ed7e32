//! What a controller takes from outside: time and randomness.

use latchkey_env::{SharedClock, SharedRandom, SystemClock, SystemRandom};

/// A controller's clock and its source of random bytes.
///
/// The clock's monotonic scale is the oscillator that the door's own clock runs on. Its wall clock is
/// never the door's time: a door believes signed answers to its own nonces, and nothing else.
#[derive(Clone)]
pub struct Env {
    /// The oscillator, and what every timer waits on.
    pub clock: SharedClock,
    /// Ids, nonces and jitter.
    pub random: SharedRandom,
}

impl Env {
    /// The machine's own.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: std::sync::Arc::new(SystemClock),
            random: std::sync::Arc::new(SystemRandom),
        }
    }

    /// `N` random bytes.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        latchkey_env::random_array(&self.random)
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env(..)")
    }
}
