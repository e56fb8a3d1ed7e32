//! The readers that a device has met: what makes the fast phase fast.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Disclosure;
use crate::command::Policy;
use crate::crypto::PublicKey;
use crate::identifier::ReaderIdentifier;
use crate::keys::PersistentKey;

/// What a device remembers of one reader.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// The key that both remember.
    pub key: PersistentKey,
    /// What the reader is told along with the cryptogram.
    pub disclosure: Disclosure,
}

/// Remembers one key for each credential and reader. Keep it sealed; delete it
/// with the credential. Loss costs one standard transaction.
///
/// Called inside [`Session`](super::Session)'s methods, so it must not call
/// back into the session, and should not block.
pub trait Memory: Send + Sync {
    /// What is remembered of this reader, *if the reader may learn by it that
    /// the user is there*: return `None` for a reader that is not the one that
    /// was chosen, and where `policy` wants the user to be asked first.
    fn recall(
        &self,
        credential: &PublicKey,
        reader: &ReaderIdentifier,
        policy: Policy,
    ) -> Option<Remembered>;

    /// Replaces what is remembered of this reader.
    fn remember(&self, credential: &PublicKey, reader: &ReaderIdentifier, what: Remembered);
}

/// A memory that lasts as long as the process, of bounded size (Aliro asks for
/// at least 16 readers); the reader that has not been remembered anew for
/// longest makes room. It recalls any reader it knows, unless that wants the
/// user to be asked.
#[derive(Debug)]
pub struct BoundedMemory {
    entries: Mutex<VecDeque<Entry>>,
    capacity: usize,
}

type Entry = ((PublicKey, ReaderIdentifier), Remembered);

impl BoundedMemory {
    /// Room for this many pairs of credential and reader.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: Mutex::new(VecDeque::new()),
            capacity,
        }
    }
}

impl Memory for BoundedMemory {
    fn recall(
        &self,
        credential: &PublicKey,
        reader: &ReaderIdentifier,
        policy: Policy,
    ) -> Option<Remembered> {
        if policy == Policy::ForceUserAuthentication {
            return None;
        }
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let found = entries
            .iter()
            .find(|(known, _)| *known == (*credential, *reader));
        found.map(|(_, remembered)| remembered.clone())
    }

    fn remember(&self, credential: &PublicKey, reader: &ReaderIdentifier, what: Remembered) {
        let name = (*credential, *reader);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|(known, _)| *known != name);
        entries.push_front((name, what));
        entries.truncate(self.capacity);
    }
}
