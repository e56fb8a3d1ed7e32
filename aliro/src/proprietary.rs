//! The device's proprietary information (tag A5): what a device supports. It
//! stands in the SELECT response, or over BLE in the *initiate access protocol*
//! message, and enters every key byte for byte as it was sent.

use crate::identifier::Version;
use crate::tlv::{self, Tag, TlvError};

const PROPRIETARY: Tag = 0xa5;
const TYPE: Tag = 0x80;
const VERSIONS: Tag = 0x5c;
const EXTENDED_LENGTH: Tag = 0x7f66;
const VENDOR: Tag = 0xb3;

/// The largest APDUs that a device takes, in bytes, headers included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedLength {
    /// Largest command APDU.
    pub max_command: u16,
    /// Largest response APDU, status word included.
    pub max_response: u16,
}

/// A parsed A5 object that remembers its own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProprietaryInformation {
    versions: Vec<Version>,
    extended_length: Option<ExtendedLength>,
    encoded: Vec<u8>,
}

impl ProprietaryInformation {
    /// What a device announces: its versions, best first, and the sizes beyond
    /// which it wants chaining (`None`: short APDUs only).
    pub fn new(versions: &[Version], extended_length: Option<ExtendedLength>) -> Self {
        let mut inner = Vec::new();
        tlv::push(&mut inner, TYPE, &[0, 0]);
        let list: Vec<u8> = versions.iter().flat_map(|v| v.to_be_bytes()).collect();
        tlv::push(&mut inner, VERSIONS, &list);
        if let Some(limits) = extended_length {
            let mut sizes = Vec::new();
            tlv::push(&mut sizes, 0x02, &limits.max_command.to_be_bytes());
            tlv::push(&mut sizes, 0x02, &limits.max_response.to_be_bytes());
            tlv::push(&mut inner, EXTENDED_LENGTH, &sizes);
        }
        let mut encoded = Vec::new();
        tlv::push(&mut encoded, PROPRIETARY, &inner);
        Self {
            versions: versions.to_vec(),
            extended_length,
            encoded,
        }
    }

    /// Reads a whole A5 object, header included, with nothing after it.
    ///
    /// # Errors
    /// [`TlvError`], also for an application type other than 0000 and for an
    /// empty or odd version list.
    pub fn parse(encoded: &[u8]) -> Result<Self, TlvError> {
        let (tag, inner, rest) = tlv::split_first(encoded)?;
        if tag != PROPRIETARY || !rest.is_empty() {
            return Err(TlvError::Missing(PROPRIETARY));
        }
        let [kind, versions, sizes, vendor] =
            tlv::pick(inner, [TYPE, VERSIONS, EXTENDED_LENGTH, VENDOR])?;
        if tlv::exactly::<2>(TYPE, kind)? != [0, 0] {
            return Err(TlvError::Missing(TYPE));
        }
        tlv::at_most(VENDOR, vendor, 127)?;
        let versions = versions.ok_or(TlvError::Missing(VERSIONS))?;
        if versions.is_empty() || versions.len() % 2 != 0 {
            return Err(TlvError::Length(VERSIONS));
        }
        Ok(Self {
            versions: versions
                .chunks_exact(2)
                .map(|pair| Version::from_be_bytes([pair[0], pair[1]]))
                .collect(),
            extended_length: sizes.map(parse_sizes).transpose()?.flatten(),
            encoded: encoded.to_vec(),
        })
    }

    /// Reads the A5 object at the front; what follows it (a device descriptor)
    /// is skipped and enters no key.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_first(input: &[u8]) -> Result<Self, TlvError> {
        let (_, _, rest) = tlv::split_first(input)?;
        Self::parse(&input[..input.len() - rest.len()])
    }

    /// The versions, in the device's order.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The announced sizes, if extended length is supported.
    pub fn extended_length(&self) -> Option<ExtendedLength> {
        self.extended_length
    }

    /// The object as it is on the wire, header included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.encoded
    }

    /// The same, where nothing else of it is needed any more.
    pub fn into_bytes(self) -> Vec<u8> {
        self.encoded
    }
}

/// Two integers; phones were seen that send one, of value 0: they mean that
/// they announce nothing.
fn parse_sizes(input: &[u8]) -> Result<Option<ExtendedLength>, TlvError> {
    let (_, first, rest) = tlv::split_first(input)?;
    if rest.is_empty() {
        return Ok(None);
    }
    let (_, second, _) = tlv::split_first(rest)?;
    let max_command = u16::from_be_bytes(tlv::exactly(0x02, Some(first))?);
    let max_response = u16::from_be_bytes(tlv::exactly(0x02, Some(second))?);
    Ok(
        (max_command >= 261 && max_response >= 258).then_some(ExtendedLength {
            max_command,
            max_response,
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_phone_was_seen_to_send() {
        let seen = hex::decode("a51580020000 5c0401000009 7f660802020e0002020e00".replace(' ', ""))
            .unwrap();
        let parsed = ProprietaryInformation::parse(&seen).unwrap();
        let sizes = ExtendedLength {
            max_command: 0x0e00,
            max_response: 0x0e00,
        };
        assert_eq!(parsed.versions(), [0x0100, 0x0009]);
        assert_eq!(parsed.extended_length(), Some(sizes));
        assert_eq!(
            ProprietaryInformation::new(&[0x0100, 0x0009], Some(sizes)),
            parsed
        );
    }

    #[test]
    fn the_smallest_form_is_ten_bytes() {
        let smallest = ProprietaryInformation::new(&[0x0100], None);
        assert_eq!(hex::encode(smallest.as_bytes()), "a508800200005c020100");
    }

    #[test]
    fn truncations_are_refused() {
        let whole = ProprietaryInformation::new(&[0x0100], None);
        for cut in 0..whole.as_bytes().len() {
            assert!(ProprietaryInformation::parse(&whole.as_bytes()[..cut]).is_err());
        }
    }
}
