//! The devices that a reader has met: what makes the fast phase fast.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::crypto::PublicKey;
use crate::keys::PersistentKey;

/// Remembers one key for each credential. What is remembered opens doors until
/// its owner forgets it: keep it sealed, bounded, and forget a credential the
/// moment it is withdrawn. Loss costs one standard transaction.
///
/// **How many?** A device does not say who it is, so a reader tries one key
/// after the other, and who is behind *n* others waits for *n* attempts. About
/// 250 attempts take as long as the standard phase would have (both sides, in
/// software; `cargo xtask bench aliro` says how many it is on a machine). A
/// memory beyond that makes its last devices slower instead of faster, and every
/// device that it does not know as well: so bound it there, and try first who
/// came last.
///
/// Called inside [`Session`](super::Session)'s methods, so it must not call
/// back into the session, and should not block.
pub trait Memory: Send + Sync {
    /// Calls `is_it` with what is remembered, one after the other, until it
    /// says yes. Each attempt costs the first key of one HKDF (about ten blocks
    /// of SHA-256) and 48 bytes of AES-GCM.
    fn search(&self, is_it: &mut dyn FnMut(&PublicKey, &PersistentKey) -> bool);

    /// Replaces what is remembered of this credential.
    fn remember(&self, credential: &PublicKey, key: PersistentKey);
}

/// A memory that lasts as long as the process, of bounded size. The device that
/// was seen last is tried first, so that who comes daily is found early however
/// many are remembered; the one that was not seen for longest makes room.
#[derive(Debug)]
pub struct BoundedMemory {
    entries: Mutex<VecDeque<(PublicKey, PersistentKey)>>,
    capacity: usize,
}

impl BoundedMemory {
    /// Room for this many devices; [`Memory`] says how many are sensible.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: Mutex::new(VecDeque::new()),
            capacity,
        }
    }

    /// Forgets this credential.
    pub fn forget(&self, credential: &PublicKey) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|(known, _)| known != credential);
    }
}

impl Memory for BoundedMemory {
    fn search(&self, is_it: &mut dyn FnMut(&PublicKey, &PersistentKey) -> bool) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let found = entries
            .iter()
            .position(|(credential, key)| is_it(credential, key));
        if let Some(seen) = found.and_then(|index| entries.remove(index)) {
            entries.push_front(seen);
        }
    }

    fn remember(&self, credential: &PublicKey, key: PersistentKey) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|(known, _)| known != credential);
        entries.push_front((*credential, key));
        entries.truncate(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Entropy, RingEntropy, Secret};

    fn device() -> PublicKey {
        RingEntropy::new().ephemeral().unwrap().public_key()
    }

    fn order(memory: &BoundedMemory) -> Vec<PublicKey> {
        let mut tried = Vec::new();
        memory.search(&mut |credential, _| {
            tried.push(*credential);
            false
        });
        tried
    }

    #[test]
    fn who_was_seen_last_is_tried_first_and_who_was_not_for_longest_makes_room() {
        let memory = BoundedMemory::new(3);
        let [daily, once, other, late] = [(); 4].map(|()| device());
        for device in [daily, once, other] {
            memory.remember(&device, Secret::new([1; 32]));
        }
        assert_eq!(order(&memory), [other, once, daily]);
        memory.search(&mut |credential, _| *credential == daily);
        assert_eq!(order(&memory), [daily, other, once]);
        memory.remember(&late, Secret::new([1; 32]));
        assert_eq!(order(&memory), [late, daily, other]);
        memory.forget(&daily);
        assert_eq!(order(&memory), [late, other]);
    }
}
