//! What operations need besides the database: time, randomness and the signer.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound as _, Utc};
use latchkey_env::{SharedClock, SharedRandom, random_array};

use crate::signer::Signer;

/// Handed to every operation; clones are the same tools.
#[derive(Clone)]
pub(crate) struct Tools {
    /// The portal's clock.
    pub(crate) clock: SharedClock,
    /// For ids, tokens and nonces.
    pub(crate) random: SharedRandom,
    /// Signs for doors.
    pub(crate) signer: Arc<dyn Signer>,
}

impl Tools {
    /// The present moment in whole seconds, as all instants of the API are.
    #[must_use]
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(0)
    }

    /// `N` random bytes.
    #[must_use]
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        random_array(&*self.random)
    }
}
