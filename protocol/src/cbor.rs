//! The one shape of our binary payloads: a CBOR array (RFC 8949) whose first item is the format's
//! version, encoded deterministically (section 4.2.1: shortest heads, definite lengths).
//!
//! A reader takes exactly what a writer would have made: after parsing, the value is encoded again
//! and compared, so that one meaning has one encoding and a signature covers it all. No maps, no
//! tags and no floats are used, so ciborium's encoder is deterministic for everything that passes.

use aliro::crypto::{PublicKey, Signature};
use ciborium::Value;

/// The first version of every format; those that have a second name it where they write it.
pub(crate) const VERSION: u64 = 1;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// More bytes than a value of this kind may have.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// The most that is read.
        limit: usize,
    },
    /// Made by a newer version of Latchkey: this side has to be updated.
    #[error("format version {0} is newer than this side knows")]
    NewerVersion(u64),
    /// Well-formed, of this version, but of a kind that this side does not know: it has to be updated.
    #[error("kind {0} is newer than this side knows")]
    UnknownKind(u64),
    /// Not CBOR, not deterministic, or not the items that belong here.
    #[error("malformed")]
    Malformed,
}

/// Starts an array of the first version.
pub(crate) fn array() -> Writer {
    array_of(VERSION)
}

/// Starts an array of this version.
pub(crate) fn array_of(version: u64) -> Writer {
    Writer(vec![Value::from(version)])
}

/// Starts an array inside another one, which has no version of its own.
pub(crate) fn inner() -> Writer {
    Writer(Vec::new())
}

/// Collects the items of an array.
pub(crate) struct Writer(Vec<Value>);

impl Writer {
    pub(crate) fn uint(mut self, value: impl Into<u64>) -> Self {
        self.0.push(Value::from(value.into()));
        self
    }

    pub(crate) fn int(mut self, value: impl Into<i64>) -> Self {
        self.0.push(Value::from(value.into()));
        self
    }

    pub(crate) fn bool(mut self, value: bool) -> Self {
        self.0.push(Value::Bool(value));
        self
    }

    pub(crate) fn bytes(mut self, value: &[u8]) -> Self {
        self.0.push(Value::Bytes(value.to_vec()));
        self
    }

    pub(crate) fn text(mut self, value: &str) -> Self {
        self.0.push(Value::Text(value.to_owned()));
        self
    }

    pub(crate) fn list(mut self, items: impl IntoIterator<Item = Writer>) -> Self {
        self.0.push(Value::Array(
            items.into_iter().map(|item| Value::Array(item.0)).collect(),
        ));
        self
    }

    pub(crate) fn uints<T: Into<u64>>(mut self, items: impl IntoIterator<Item = T>) -> Self {
        self.0.push(Value::Array(
            items
                .into_iter()
                .map(|item| Value::from(item.into()))
                .collect(),
        ));
        self
    }

    pub(crate) fn ints<T: Into<i64>>(mut self, items: impl IntoIterator<Item = T>) -> Self {
        self.0.push(Value::Array(
            items
                .into_iter()
                .map(|item| Value::from(item.into()))
                .collect(),
        ));
        self
    }

    pub(crate) fn byte_strings<T: AsRef<[u8]>>(
        mut self,
        items: impl IntoIterator<Item = T>,
    ) -> Self {
        let items = items
            .into_iter()
            .map(|item| Value::Bytes(item.as_ref().to_vec()))
            .collect();
        self.0.push(Value::Array(items));
        self
    }

    pub(crate) fn nested(mut self, inner: Writer) -> Self {
        self.0.push(Value::Array(inner.0));
        self
    }

    /// The item that `write` adds, or null.
    pub(crate) fn optional<T>(self, value: Option<T>, write: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }

    pub(crate) fn null(mut self) -> Self {
        self.0.push(Value::Null);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        encode(&Value::Array(self.0))
    }
}

/// The items of an array, taken one by one.
pub(crate) struct Reader(std::vec::IntoIter<Value>);

impl Reader {
    /// Reads a payload of at most `limit` bytes and of the first version.
    pub(crate) fn versioned(bytes: &[u8], limit: usize) -> Result<Self, FormatError> {
        Self::up_to_version(VERSION, bytes, limit).map(|(_, reader)| reader)
    }

    /// Reads a payload of at most `limit` bytes and its version, which is `newest` or one before.
    pub(crate) fn up_to_version(
        newest: u64,
        bytes: &[u8],
        limit: usize,
    ) -> Result<(u64, Self), FormatError> {
        let mut reader = Self::bare(bytes, limit)?;
        match reader.uint()? {
            version if (VERSION..=newest).contains(&version) => Ok((version, reader)),
            newer if newer > newest => Err(FormatError::NewerVersion(newer)),
            _ => Err(FormatError::Malformed),
        }
    }

    /// Reads an array of at most `limit` bytes that has no version of its own.
    pub(crate) fn bare(bytes: &[u8], limit: usize) -> Result<Self, FormatError> {
        if bytes.len() > limit {
            return Err(FormatError::TooLong { limit });
        }
        let value: Value = ciborium::de::from_reader_with_recursion_limit(bytes, 16)
            .map_err(|_| FormatError::Malformed)?;
        if encode(&value) != bytes {
            return Err(FormatError::Malformed);
        }
        match value {
            Value::Array(items) => Ok(Self(items.into_iter())),
            _ => Err(FormatError::Malformed),
        }
    }

    pub(crate) fn uint<T: TryFrom<u64>>(&mut self) -> Result<T, FormatError> {
        let Value::Integer(value) = self.next()? else {
            return Err(FormatError::Malformed);
        };
        let value = u64::try_from(value).map_err(|_| FormatError::Malformed)?;
        T::try_from(value).map_err(|_| FormatError::Malformed)
    }

    pub(crate) fn int<T: TryFrom<i64>>(&mut self) -> Result<T, FormatError> {
        let Value::Integer(value) = self.next()? else {
            return Err(FormatError::Malformed);
        };
        let value = i64::try_from(value).map_err(|_| FormatError::Malformed)?;
        T::try_from(value).map_err(|_| FormatError::Malformed)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, FormatError> {
        self.next()?.into_bool().map_err(|_| FormatError::Malformed)
    }

    /// A byte string of at most `limit` bytes.
    pub(crate) fn bytes(&mut self, limit: usize) -> Result<Vec<u8>, FormatError> {
        byte_string(self.next()?, limit)
    }

    /// A byte string of exactly `N` bytes.
    pub(crate) fn exactly<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        self.bytes(N)?
            .try_into()
            .map_err(|_| FormatError::Malformed)
    }

    /// A text of at most `limit` bytes.
    pub(crate) fn text(&mut self, limit: usize) -> Result<String, FormatError> {
        let text = self
            .next()?
            .into_text()
            .map_err(|_| FormatError::Malformed)?;
        if text.len() > limit {
            Err(FormatError::TooLong { limit })
        } else {
            Ok(text)
        }
    }

    pub(crate) fn public_key(&mut self) -> Result<PublicKey, FormatError> {
        PublicKey::from_uncompressed(&self.bytes(65)?).map_err(|_| FormatError::Malformed)
    }

    pub(crate) fn signature(&mut self) -> Result<Signature, FormatError> {
        self.exactly().map(Signature)
    }

    pub(crate) fn nested(&mut self) -> Result<Reader, FormatError> {
        match self.next()? {
            Value::Array(items) => Ok(Reader(items.into_iter())),
            _ => Err(FormatError::Malformed),
        }
    }

    /// An array of at most `limit` items, each read by `read`.
    pub(crate) fn list<T>(
        &mut self,
        limit: usize,
        mut read: impl FnMut(&mut Reader) -> Result<T, FormatError>,
    ) -> Result<Vec<T>, FormatError> {
        let mut items = self.nested()?;
        if items.0.len() > limit {
            return Err(FormatError::Malformed);
        }
        let mut out = Vec::with_capacity(items.0.len());
        while items.0.len() > 0 {
            out.push(read(&mut items)?);
        }
        Ok(out)
    }

    /// An array of at most `limit` unsigned integers.
    pub(crate) fn uints<T: TryFrom<u64>>(&mut self, limit: usize) -> Result<Vec<T>, FormatError> {
        self.list(limit, Self::uint)
    }

    /// What `read` makes of the next item, unless that is null.
    pub(crate) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Reader) -> Result<T, FormatError>,
    ) -> Result<Option<T>, FormatError> {
        if self.0.as_slice().first() == Some(&Value::Null) {
            self.0.next();
            return Ok(None);
        }
        read(self).map(Some)
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), FormatError> {
        if self.0.len() == 0 {
            Ok(())
        } else {
            Err(FormatError::Malformed)
        }
    }

    fn next(&mut self) -> Result<Value, FormatError> {
        self.0.next().ok_or(FormatError::Malformed)
    }
}

fn byte_string(value: Value, limit: usize) -> Result<Vec<u8>, FormatError> {
    let bytes = value.into_bytes().map_err(|_| FormatError::Malformed)?;
    if bytes.len() > limit {
        Err(FormatError::TooLong { limit })
    } else {
        Ok(bytes)
    }
}

fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to memory fails for no value that is built or was parsed here; were it to, the empty
    // bytes are refused by every reader.
    if ciborium::into_writer(value, &mut out).is_err() {
        out.clear();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_shortest_encoding_is_read() {
        let good = array().uint(7u8).bytes(b"ab").finish();
        assert_eq!(good, [0x83, 0x01, 0x07, 0x42, b'a', b'b']);
        let mut reader = Reader::versioned(&good, 6).unwrap();
        assert_eq!(reader.uint::<u8>(), Ok(7));
        assert_eq!(reader.exactly(), Ok(*b"ab"));
        assert_eq!(reader.end(), Ok(()));

        let others: [&[u8]; 8] = [
            &[0x83, 0x01, 0x18, 0x07, 0x42, b'a', b'b'], // a longer head than needed
            &[0x9f, 0x01, 0x07, 0x42, b'a', b'b', 0xff], // indefinite length
            &[0x98, 0x03, 0x01, 0x07, 0x42, b'a', b'b'], // a longer array head
            &[0x83, 0x01, 0x07, 0x5f, 0x42, b'a', b'b', 0xff], // a byte string in chunks
            &[0x83, 0x01, 0x07, 0x42, b'a', b'b', 0x00], // something behind
            &[0x83, 0x01, 0x07, 0x42, b'a'],             // cut short
            &[0x83, 0x01, 0xc2, 0x41, 0x07, 0x42, b'a', b'b'], // a bignum
            &[0x83, 0x00, 0x07, 0x42, b'a', b'b'],       // no version 0
        ];
        for other in others {
            assert_eq!(
                Reader::versioned(other, 100).err(),
                Some(FormatError::Malformed),
                "{other:x?}"
            );
        }
    }

    #[test]
    fn limits_and_versions_have_errors_of_their_own() {
        let payload = array().bytes(&[0; 9]).finish();
        assert_eq!(
            Reader::versioned(&payload, 11).err(),
            Some(FormatError::TooLong { limit: 11 })
        );
        let mut reader = Reader::versioned(&payload, 12).unwrap();
        assert_eq!(reader.bytes(8), Err(FormatError::TooLong { limit: 8 }));
        assert_eq!(
            Reader::versioned(&[0x81, 0x02], 9).err(),
            Some(FormatError::NewerVersion(2)),
            "a newer side is told apart from damage"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in any::<Vec<u8>>()) {
            if let Ok(reader) = Reader::bare(&bytes, 4096) {
                prop_assert_eq!(encode(&Value::Array(reader.0.collect())), bytes);
            }
        }
    }
}
