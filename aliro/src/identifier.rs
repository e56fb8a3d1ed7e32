//! Names on the wire: reader, transaction, protocol version, interface.

use std::fmt;

use crate::crypto::hex;

/// A reader's name: which group (it selects credential and trust on the
/// device), and which reader of that group (it selects the persistent key).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReaderIdentifier {
    /// `reader_group_identifier`.
    pub group: [u8; 16],
    /// `reader_group_sub_identifier`.
    pub sub: [u8; 16],
}

impl ReaderIdentifier {
    /// Group and reader.
    pub fn new(group: [u8; 16], sub: [u8; 16]) -> Self {
        Self { group, sub }
    }

    /// The 32 bytes on the wire: group, then reader.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out[..16].copy_from_slice(&self.group);
        out[16..].copy_from_slice(&self.sub);
        out
    }
}

impl From<[u8; 32]> for ReaderIdentifier {
    fn from(bytes: [u8; 32]) -> Self {
        let (mut group, mut sub) = ([0; 16], [0; 16]);
        group.copy_from_slice(&bytes[..16]);
        sub.copy_from_slice(&bytes[16..]);
        Self { group, sub }
    }
}

impl fmt::Debug for ReaderIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", hex(&self.group), hex(&self.sub))
    }
}

/// The reader's random number for one transaction.
pub type TransactionIdentifier = [u8; 16];

/// A protocol version as on the wire, for example `0x0100` for 1.0.
pub type Version = u16;

/// Aliro 1.0, the one version that this crate speaks.
pub const VERSION_1_0: Version = 0x0100;

/// Over what the messages travel. It enters every key, so that what was agreed
/// over one interface is of no use on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interface(pub u8);

impl Interface {
    /// ISO 14443 near field.
    pub const NFC: Self = Self(0x5e);
    /// Bluetooth LE, whatever carries the messages there.
    pub const BLE: Self = Self(0xc3);
}
