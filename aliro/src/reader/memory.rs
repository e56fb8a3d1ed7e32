//! The devices that a reader has met: what makes the fast phase fast.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::crypto::PublicKey;
use crate::keys::PersistentKey;

/// Remembers one key for each credential. What is remembered opens doors until
/// its owner forgets it: keep it sealed, bounded, and forget a credential the
/// moment it is withdrawn. Loss costs one standard transaction.
///
/// Called inside [`Session`](super::Session)'s methods, so it must not call
/// back into the session, and should not block.
pub trait Memory: Send + Sync {
    /// Calls `is_it` with what is remembered, one after the other, until it
    /// says yes. The cost of recognising a device grows with each: one HKDF and
    /// 48 bytes of AES-GCM.
    fn search(&self, is_it: &mut dyn FnMut(&PublicKey, &PersistentKey) -> bool);

    /// Replaces what is remembered of this credential.
    fn remember(&self, credential: &PublicKey, key: PersistentKey);
}

/// A memory that lasts as long as the process, of bounded size; the device
/// that has not been remembered anew for longest makes room.
#[derive(Debug)]
pub struct BoundedMemory {
    entries: Mutex<VecDeque<(PublicKey, PersistentKey)>>,
    capacity: usize,
}

impl BoundedMemory {
    /// Room for this many devices.
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
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = entries
            .iter()
            .any(|(credential, key)| is_it(credential, key));
    }

    fn remember(&self, credential: &PublicKey, key: PersistentKey) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|(known, _)| known != credential);
        entries.push_front((*credential, key));
        entries.truncate(self.capacity);
    }
}
