//! Taking decoded CBOR maps apart, member by member.

use ciborium::value::Value;

use super::error::DocumentError;

/// Most members of a map. The digests of a document have most, one an element.
const MAX_MEMBERS: usize = 1024;

type Result<T> = std::result::Result<T, DocumentError>;

/// A map on its way to becoming a type of ours.
pub(crate) struct Fields {
    what: &'static str,
    entries: Vec<(Value, Value)>,
}

impl Fields {
    /// Refuses other types, and maps that name a key twice: two readers could
    /// see two different documents in them.
    pub(crate) fn new(value: Value, what: &'static str) -> Result<Self> {
        let Value::Map(entries) = value else {
            return Err(DocumentError::Malformed(what));
        };
        // Comparing each with each is fine for these, and only for these.
        if entries.len() > MAX_MEMBERS {
            return Err(DocumentError::TooComplex);
        }
        for (index, (key, _)) in entries.iter().enumerate() {
            if entries[..index].iter().any(|(earlier, _)| earlier == key) {
                return Err(DocumentError::Malformed(what));
            }
        }
        Ok(Self { what, entries })
    }

    pub(crate) fn take(&mut self, key: impl Into<Value>) -> Option<Value> {
        let key = key.into();
        let index = self.entries.iter().position(|(found, _)| *found == key)?;
        Some(self.entries.swap_remove(index).1)
    }

    pub(crate) fn require(&mut self, key: impl Into<Value>) -> Result<Value> {
        self.take(key).ok_or(DocumentError::Malformed(self.what))
    }

    /// Refuses members that nobody asked for.
    pub(crate) fn done(self) -> Result<()> {
        if self.entries.is_empty() {
            Ok(())
        } else {
            Err(DocumentError::Malformed(self.what))
        }
    }

    /// The members, where keys are data.
    pub(crate) fn into_entries(self) -> Vec<(Value, Value)> {
        self.entries
    }
}

/// An unsigned integer that fits the wanted type.
pub(crate) fn uint<T: TryFrom<u64>>(value: &Value, what: &'static str) -> Result<T> {
    value
        .as_integer()
        .and_then(|integer| u64::try_from(integer).ok())
        .and_then(|number| T::try_from(number).ok())
        .ok_or(DocumentError::Malformed(what))
}

/// A signed integer that fits the wanted type.
pub(crate) fn int<T: TryFrom<i64>>(value: &Value, what: &'static str) -> Result<T> {
    value
        .as_integer()
        .and_then(|integer| i64::try_from(integer).ok())
        .and_then(|number| T::try_from(number).ok())
        .ok_or(DocumentError::Malformed(what))
}

pub(crate) fn bytes(value: Value, what: &'static str) -> Result<Vec<u8>> {
    value
        .into_bytes()
        .map_err(|_| DocumentError::Malformed(what))
}

pub(crate) fn fixed<const N: usize>(value: Value, what: &'static str) -> Result<[u8; N]> {
    bytes(value, what)?
        .try_into()
        .map_err(|_| DocumentError::Malformed(what))
}

pub(crate) fn text(value: Value, what: &'static str) -> Result<String> {
    value
        .into_text()
        .map_err(|_| DocumentError::Malformed(what))
}

pub(crate) fn array(value: Value, what: &'static str) -> Result<Vec<Value>> {
    value
        .into_array()
        .map_err(|_| DocumentError::Malformed(what))
}

/// The content of an item with this tag.
pub(crate) fn tagged(value: Value, tag: u64, what: &'static str) -> Result<Value> {
    match value {
        Value::Tag(found, inner) if found == tag => Ok(*inner),
        _ => Err(DocumentError::Malformed(what)),
    }
}
