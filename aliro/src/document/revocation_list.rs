//! What a reader remembers of Revocation Documents.

use std::collections::BTreeMap;

use thiserror::Error;

use super::revocation::{self, ChangeMode, RevocationData, RevocationEntry};
use super::timestamp::Timestamp;
use super::verify::VerifiedRevocation;
use crate::crypto::PublicKey;

/// Everything withdrawn so far.
///
/// Plain data; keeping it is the caller's. A reader that trusts several issuers
/// keeps one list for each, because an overwriting document clears the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationList {
    /// By what the entry names; the value is its expiry.
    entries: BTreeMap<Named, Option<u32>>,
    /// When the last document was signed.
    signed: Option<Timestamp>,
}

/// Key hash and id, at least one of them.
type Named = (Option<[u8; 32]>, Vec<u8>);

/// Most entries of a list.
pub const MAX_REVOCATIONS: usize = 65_536;

/// The change would make the list larger than [`MAX_REVOCATIONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too many revocations")]
pub struct ListFull;

impl RevocationList {
    /// Nothing withdrawn.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The list as it was stored: its entries, and when its last document was
    /// signed.
    #[must_use]
    pub fn restore(
        entries: impl IntoIterator<Item = RevocationEntry>,
        signed: Option<Timestamp>,
    ) -> Self {
        let entries = entries
            .into_iter()
            .map(|entry| (named(&entry), entry.expiry))
            .collect();
        Self { entries, signed }
    }

    /// When the last document was signed. A device says in AUTH1 what it
    /// carries; only something later is worth asking for.
    #[must_use]
    pub fn signed(&self) -> Option<Timestamp> {
        self.signed
    }

    /// Applies a verified document, all of it or nothing. False, and nothing
    /// changes, when it was signed before the last one: anybody can carry an
    /// old list. One signed in the same second is applied.
    ///
    /// # Errors
    /// [`ListFull`], as from [`apply`](Self::apply).
    pub fn take(&mut self, document: &VerifiedRevocation) -> Result<bool, ListFull> {
        let signed = Some(document.validity.signed);
        if signed < self.signed {
            return Ok(false);
        }
        let mut changed = self.clone();
        for (_, data) in &document.elements {
            changed.apply(data)?;
        }
        *self = Self { signed, ..changed };
        Ok(true)
    }

    /// Applies a change: *overwrite* clears, then entries are added, then
    /// removed, so that an entry in both ends up removed.
    ///
    /// An entry is removed by naming exactly what it names; the expiry does not
    /// matter. An entry that is there already takes the new expiry.
    ///
    /// # Errors
    /// [`ListFull`], and the list stays as it was: nothing withdrawn is ever
    /// dropped for want of room.
    pub fn apply(&mut self, data: &RevocationData) -> Result<(), ListFull> {
        let mut changed = match data.change {
            ChangeMode::Overwrite => BTreeMap::new(),
            ChangeMode::Append => self.entries.clone(),
        };
        for entry in &data.entries {
            changed.insert(named(entry), entry.expiry);
        }
        for entry in &data.remove {
            changed.remove(&named(entry));
        }
        if changed.len() > MAX_REVOCATIONS {
            return Err(ListFull);
        }
        self.entries = changed;
        Ok(())
    }

    /// Whether a credential, or what was issued under an id, is withdrawn.
    ///
    /// An entry with both key and id withdraws each of them. Expired entries
    /// count until [`drop_expired`](Self::drop_expired).
    #[must_use]
    pub fn revokes(&self, credential: &PublicKey, id: &[u8]) -> bool {
        self.revokes_key(credential) || self.revokes_id(id)
    }

    /// Whether a credential is withdrawn, whatever was issued to it.
    #[must_use]
    pub fn revokes_key(&self, credential: &PublicKey) -> bool {
        let hash = revocation::key_hash(credential);
        // Entries of one hash stand together, whatever id follows.
        let first = (Some(hash), Vec::new());
        self.entries
            .range(first..)
            .next()
            .is_some_and(|((found, _), _)| *found == Some(hash))
    }

    /// Whether what was issued under an id is withdrawn; never for no id.
    #[must_use]
    pub fn revokes_id(&self, id: &[u8]) -> bool {
        !id.is_empty() && self.entries.keys().any(|(_, named)| named == id)
    }

    /// Drops entries that have expired at a moment (seconds since 1970-01-01
    /// UTC, of a trusted clock).
    pub fn drop_expired(&mut self, now: i64) {
        self.entries
            .retain(|_, expiry| expiry.is_none_or(|expiry| now <= i64::from(expiry)));
    }

    /// Every entry, for storing.
    pub fn iter(&self) -> impl Iterator<Item = RevocationEntry> {
        self.entries
            .iter()
            .map(|((key_hash, id), expiry)| RevocationEntry {
                key_hash: *key_hash,
                id: id.clone(),
                expiry: *expiry,
            })
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is withdrawn.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn named(entry: &RevocationEntry) -> Named {
    (entry.key_hash, entry.id.clone())
}
