//! RevocationData: the element value of a Revocation Document.

use ciborium::value::Value;

use super::access::{self, ELEMENT_VERSION, MAX_ID};
use super::cbor;
use super::cose::sha256;
use super::error::DocumentError;
use super::extension::{self, Extension, Extensions};
use super::fields::{self, Fields};
use super::policy::MAX_REVOCATION_ENTRIES;
use crate::crypto::PublicKey;

/// CBOR tag of seconds since 1970-01-01 (RFC 8949, section 3.4.2).
const TAG_EPOCH: u64 = 1;

/// A change to a reader's [`RevocationList`](super::RevocationList).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationData {
    /// What happens to the entries that the reader has.
    pub change: ChangeMode,
    /// Entries to add.
    pub entries: Vec<RevocationEntry>,
    /// Entries to remove, after adding.
    pub remove: Vec<RevocationEntry>,
    /// By vendor.
    pub extensions: Extensions<Extension>,
}

/// What happens to the entries that a reader has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeMode {
    /// They go.
    Overwrite,
    /// They stay.
    Append,
}

/// Something withdrawn: a key, or what is issued under an id, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationEntry {
    /// [`key_hash`] of an Access Credential.
    pub key_hash: Option<[u8; 32]>,
    /// An [`AccessData::id`](super::AccessData::id); empty for none.
    pub id: Vec<u8>,
    /// Seconds since 1970-01-01 after which the reader may drop the entry.
    pub expiry: Option<u32>,
}

/// How a revocation entry names an Access Credential: SHA-256 of its 65-byte
/// uncompressed public key.
#[must_use]
pub fn key_hash(credential: &PublicKey) -> [u8; 32] {
    sha256(credential.as_bytes())
}

impl RevocationData {
    /// A list that replaces everything before it.
    #[must_use]
    pub fn overwrite(entries: Vec<RevocationEntry>) -> Self {
        Self {
            change: ChangeMode::Overwrite,
            entries,
            remove: Vec::new(),
            extensions: Extensions::new(),
        }
    }

    /// The CBOR of the element value.
    ///
    /// # Errors
    /// [`DocumentError`] when an entry names nothing or a limit is broken.
    pub fn encode(&self) -> Result<Vec<u8>, DocumentError> {
        self.check()?;
        Ok(cbor::encode(&self.to_value()))
    }

    /// Reads an element value.
    ///
    /// # Errors
    /// [`DocumentError::ElementVersion`] for another version, else another
    /// [`DocumentError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        const WHAT: &str = "RevocationData";
        let mut data = Fields::new(cbor::value(bytes)?, WHAT)?;
        access::require_version(&mut data, WHAT)?;
        let change = match fields::uint(&data.require(KEY_CHANGE)?, WHAT)? {
            CHANGE_OVERWRITE => ChangeMode::Overwrite,
            CHANGE_APPEND => ChangeMode::Append,
            _ => return Err(DocumentError::Malformed(WHAT)),
        };
        let (entries, remove) = (data.take(KEY_ENTRIES), data.take(KEY_REMOVE));
        if entries.is_none() && remove.is_none() {
            return Err(DocumentError::Malformed(WHAT));
        }
        let entry_list =
            |value| access::list(value, MAX_REVOCATION_ENTRIES, RevocationEntry::from_value);
        let decoded = Self {
            change,
            entries: entry_list(entries)?,
            remove: entry_list(remove)?,
            extensions: extension::decode(data.take(KEY_EXTENSIONS))?,
        };
        data.done()?;
        decoded.check()?;
        Ok(decoded)
    }

    fn check(&self) -> Result<(), DocumentError> {
        if self.entries.len().max(self.remove.len()) > MAX_REVOCATION_ENTRIES {
            return Err(DocumentError::TooComplex);
        }
        if !self
            .entries
            .iter()
            .chain(&self.remove)
            .all(RevocationEntry::is_valid)
        {
            return Err(DocumentError::Malformed("RevocationEntry"));
        }
        extension::check(&self.extensions)
    }

    fn to_value(&self) -> Value {
        let list = |entries: &[RevocationEntry]| {
            Value::Array(entries.iter().map(RevocationEntry::to_value).collect())
        };
        let change = match self.change {
            ChangeMode::Overwrite => CHANGE_OVERWRITE,
            ChangeMode::Append => CHANGE_APPEND,
        };
        let mut map = vec![
            (Value::from(KEY_VERSION), Value::from(ELEMENT_VERSION)),
            (Value::from(KEY_CHANGE), Value::from(change)),
        ];
        // May be left out only beside entries to remove.
        if !self.entries.is_empty() || self.remove.is_empty() {
            map.push((Value::from(KEY_ENTRIES), list(&self.entries)));
        }
        if !self.remove.is_empty() {
            map.push((Value::from(KEY_REMOVE), list(&self.remove)));
        }
        if !self.extensions.is_empty() {
            map.push((
                Value::from(KEY_EXTENSIONS),
                extension::encode(&self.extensions),
            ));
        }
        Value::Map(map)
    }
}

impl RevocationEntry {
    /// Withdraws a key, until further notice.
    #[must_use]
    pub fn of_key(credential: &PublicKey) -> Self {
        Self {
            key_hash: Some(key_hash(credential)),
            id: Vec::new(),
            expiry: None,
        }
    }

    /// Withdraws what was issued under an id, until further notice.
    #[must_use]
    pub fn of_id(id: &[u8]) -> Self {
        Self {
            key_hash: None,
            id: id.to_vec(),
            expiry: None,
        }
    }

    fn is_valid(&self) -> bool {
        self.id.len() <= MAX_ID && (self.key_hash.is_some() || !self.id.is_empty())
    }

    fn from_value(value: Value) -> Result<Self, DocumentError> {
        const WHAT: &str = "RevocationEntry";
        let mut entry = Fields::new(value, WHAT)?;
        let decoded = Self {
            key_hash: entry
                .take(0)
                .map(|hash| fields::fixed(hash, WHAT))
                .transpose()?,
            id: access::optional_bytes(entry.take(1), WHAT)?,
            expiry: entry
                .take(2)
                .map(|expiry| fields::uint(&fields::tagged(expiry, TAG_EPOCH, WHAT)?, WHAT))
                .transpose()?,
        };
        entry.done()?;
        Ok(decoded)
    }

    fn to_value(&self) -> Value {
        let mut map = Vec::new();
        if let Some(hash) = self.key_hash {
            map.push((Value::from(0), Value::Bytes(hash.to_vec())));
        }
        if !self.id.is_empty() {
            map.push((Value::from(1), Value::Bytes(self.id.clone())));
        }
        if let Some(expiry) = self.expiry {
            map.push((
                Value::from(2),
                Value::Tag(TAG_EPOCH, Box::new(Value::from(expiry))),
            ));
        }
        Value::Map(map)
    }
}

const KEY_VERSION: u64 = 0;
const KEY_CHANGE: u64 = 1;
const KEY_ENTRIES: u64 = 2;
const KEY_REMOVE: u64 = 3;
const KEY_EXTENSIONS: u64 = 4;
const CHANGE_OVERWRITE: u64 = 0;
const CHANGE_APPEND: u64 = 1;
