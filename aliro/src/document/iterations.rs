//! `validityIteration`: the issuer's counter against old documents.

use std::collections::BTreeMap;

use super::cose::KeyId;
use super::policy::{ABSENT_ITERATION_IS_TOO_OLD, ITERATIONS_KEPT};

/// The highest counter accepted from each issuer.
///
/// A reader keeps one for Access Documents and one for Revocation Documents
/// and stores them as long as it trusts the issuers. An issuer that adds 8 to
/// its counter and reissues what still holds withdraws everything older at
/// once, at readers without a clock too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Iterations(BTreeMap<KeyId, u64>);

impl Iterations {
    /// None accepted so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The highest one accepted of this issuer.
    #[must_use]
    pub fn highest(&self, issuer: KeyId) -> Option<u64> {
        self.0.get(&issuer).copied()
    }

    /// All of them, for storing.
    pub fn iter(&self) -> impl Iterator<Item = (KeyId, u64)> {
        self.0.iter().map(|(issuer, highest)| (*issuer, *highest))
    }

    /// Notes an accepted document; true when the highest has risen, so that
    /// what is cached of this issuer needs looking through with
    /// [`is_too_old`](Self::is_too_old): documents and persistent keys alike.
    pub fn raise(&mut self, issuer: KeyId, iteration: Option<u64>) -> bool {
        let Some(iteration) = iteration else {
            return false;
        };
        let highest = self.0.entry(issuer).or_default();
        let rises = iteration > *highest;
        *highest = iteration.max(*highest);
        rises
    }

    /// Whether a document of this issuer with this counter is withdrawn.
    #[must_use]
    pub fn is_too_old(&self, issuer: KeyId, iteration: Option<u64>) -> bool {
        let Some(highest) = self.highest(issuer) else {
            return false;
        };
        match iteration {
            Some(iteration) => highest.saturating_sub(iteration) >= ITERATIONS_KEPT,
            None => ABSENT_ITERATION_IS_TOO_OLD,
        }
    }

    /// Forgets an issuer that is no longer trusted.
    pub fn forget(&mut self, issuer: KeyId) {
        self.0.remove(&issuer);
    }
}

impl FromIterator<(KeyId, u64)> for Iterations {
    fn from_iter<I: IntoIterator<Item = (KeyId, u64)>>(stored: I) -> Self {
        Self(stored.into_iter().collect())
    }
}
