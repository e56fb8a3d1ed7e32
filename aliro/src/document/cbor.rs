//! CBOR with bounds.
//!
//! [`Reader`] walks bytes without copying and hands out the exact spans that
//! digests are taken over; nothing is ever re-encoded to be hashed. [`value`]
//! lets `ciborium` decode a part only after the walk has found it well-formed,
//! shallow and small, so that hostile lengths and nesting cost nothing.

use std::ops::Range;

use ciborium::value::Value;

use super::error::DocumentError;

/// Most bytes of one DeviceRequest, DeviceResponse or Document.
///
/// The standard names no limit; this holds a revocation list of about 7,000
/// keys.
pub const MAX_LEN: usize = 256 * 1024;

/// Deepest nesting of arrays, maps and tags. A document needs 8.
const MAX_DEPTH: u32 = 16;

/// Most items of one structure. [`MAX_LEN`] of revocation entries needs 30,000.
const MAX_ITEMS: u32 = 65_536;

/// Tag of a byte string that holds CBOR (RFC 8949, section 3.4.5.1).
pub(crate) const TAG_EMBEDDED: u64 = 24;

type Result<T> = std::result::Result<T, DocumentError>;

/// A cursor over definite-length CBOR.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    items_left: u32,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > MAX_LEN {
            return Err(DocumentError::TooLarge);
        }
        Ok(Self {
            rest: bytes,
            items_left: MAX_ITEMS,
        })
    }

    /// Number of pairs of a map.
    pub(crate) fn map(&mut self, what: &'static str) -> Result<u64> {
        self.expect(MAJOR_MAP, what)
    }

    /// Number of items of an array.
    pub(crate) fn array(&mut self, what: &'static str) -> Result<u64> {
        self.expect(MAJOR_ARRAY, what)
    }

    pub(crate) fn uint(&mut self, what: &'static str) -> Result<u64> {
        self.expect(MAJOR_UINT, what)
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let len = self.expect(MAJOR_BYTES, what)?;
        self.take(len)
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str> {
        let len = self.expect(MAJOR_TEXT, what)?;
        std::str::from_utf8(self.take(len)?).map_err(|_| DocumentError::NotCbor)
    }

    pub(crate) fn boolean(&mut self, what: &'static str) -> Result<bool> {
        match self.expect(MAJOR_SIMPLE, what)? {
            SIMPLE_FALSE => Ok(false),
            SIMPLE_TRUE => Ok(true),
            _ => Err(DocumentError::Malformed(what)),
        }
    }

    /// The content of `#6.24(bstr)`.
    pub(crate) fn embedded(&mut self, what: &'static str) -> Result<&'a [u8]> {
        if self.expect(MAJOR_TAG, what)? != TAG_EMBEDDED {
            return Err(DocumentError::Malformed(what));
        }
        self.bytes(what)
    }

    /// Steps over one item of any type and returns its bytes as they stand.
    pub(crate) fn item(&mut self) -> Result<&'a [u8]> {
        let before = self.rest;
        self.skip(MAX_DEPTH)?;
        Ok(&before[..before.len() - self.rest.len()])
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DocumentError::NotCbor)
        }
    }

    fn skip(&mut self, depth: u32) -> Result<()> {
        let depth = depth.checked_sub(1).ok_or(DocumentError::TooComplex)?;
        let (major, argument) = self.head()?;
        match major {
            MAJOR_BYTES => {
                self.take(argument)?;
            }
            MAJOR_TEXT => {
                std::str::from_utf8(self.take(argument)?).map_err(|_| DocumentError::NotCbor)?;
            }
            // Every turn takes a byte or ends, so a huge count costs nothing.
            MAJOR_ARRAY => {
                for _ in 0..argument {
                    self.skip(depth)?;
                }
            }
            MAJOR_MAP => {
                for _ in 0..argument {
                    self.skip(depth)?;
                    self.skip(depth)?;
                }
            }
            MAJOR_TAG => self.skip(depth)?,
            _ => {}
        }
        Ok(())
    }

    fn expect(&mut self, major: u8, what: &'static str) -> Result<u64> {
        match self.head()? {
            (found, argument) if found == major => Ok(argument),
            _ => Err(DocumentError::Malformed(what)),
        }
    }

    fn head(&mut self) -> Result<(u8, u64)> {
        self.items_left = self
            .items_left
            .checked_sub(1)
            .ok_or(DocumentError::TooComplex)?;
        let initial = self.take(1)?[0];
        let argument = match initial & 0x1f {
            small @ 0..=23 => u64::from(small),
            size @ 24..=27 => self
                .take(1 << (size - 24))?
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            // 31 is an indefinite length: neither deterministic encoding nor
            // any known issuer has it, and its spans would need joining.
            _ => return Err(DocumentError::NotCbor),
        };
        Ok((initial >> 5, argument))
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8]> {
        let len = usize::try_from(len).map_err(|_| DocumentError::NotCbor)?;
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DocumentError::NotCbor)?;
        self.rest = rest;
        Ok(taken)
    }
}

const MAJOR_UINT: u8 = 0;
const MAJOR_BYTES: u8 = 2;
const MAJOR_TEXT: u8 = 3;
const MAJOR_ARRAY: u8 = 4;
const MAJOR_MAP: u8 = 5;
const MAJOR_TAG: u8 = 6;
const MAJOR_SIMPLE: u8 = 7;
const SIMPLE_FALSE: u64 = 20;
const SIMPLE_TRUE: u64 = 21;

/// Writes heads with the shortest lengths, and spans as they are.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn map(&mut self, pairs: usize) -> &mut Self {
        self.head(MAJOR_MAP, pairs as u64)
    }

    pub(crate) fn array(&mut self, items: usize) -> &mut Self {
        self.head(MAJOR_ARRAY, items as u64)
    }

    pub(crate) fn uint(&mut self, number: u64) -> &mut Self {
        self.head(MAJOR_UINT, number)
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.head(MAJOR_TEXT, text.len() as u64)
            .raw(text.as_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.head(MAJOR_BYTES, bytes.len() as u64).raw(bytes)
    }

    pub(crate) fn boolean(&mut self, value: bool) -> &mut Self {
        self.head(MAJOR_SIMPLE, if value { SIMPLE_TRUE } else { SIMPLE_FALSE })
    }

    /// `#6.24(bstr)` around encoded CBOR.
    pub(crate) fn embedded(&mut self, content: &[u8]) -> &mut Self {
        self.head(MAJOR_TAG, TAG_EMBEDDED).bytes(content)
    }

    /// Already encoded items.
    pub(crate) fn raw(&mut self, encoded: &[u8]) -> &mut Self {
        self.0.extend_from_slice(encoded);
        self
    }

    /// Where that stands which is written meanwhile.
    pub(crate) fn span(&mut self, write: impl FnOnce(&mut Self)) -> Range<usize> {
        let start = self.0.len();
        write(self);
        start..self.0.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn head(&mut self, major: u8, argument: u64) -> &mut Self {
        let big_endian = argument.to_be_bytes();
        let (info, tail) = match argument {
            0..=23 => (argument as u8, &big_endian[8..]),
            24..=0xff => (24, &big_endian[7..]),
            0x100..=0xffff => (25, &big_endian[6..]),
            0x1_0000..=0xffff_ffff => (26, &big_endian[4..]),
            _ => (27, &big_endian[..]),
        };
        self.0.push(major << 5 | info);
        self.0.extend_from_slice(tail);
        self
    }
}

/// Decodes one item that fills `bytes`.
pub(crate) fn value(bytes: &[u8]) -> Result<Value> {
    let mut reader = Reader::new(bytes)?;
    reader.item()?;
    reader.end()?;
    ciborium::de::from_reader_with_recursion_limit(bytes, 2 * MAX_DEPTH as usize)
        .map_err(|_| DocumentError::NotCbor)
}

/// Encodes with the shortest lengths, maps in the order given.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).expect("writing to memory cannot fail");
    out
}
