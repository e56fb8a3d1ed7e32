//! The contents of the commands and their answers: what stands inside the
//! APDUs, whatever carries those.

mod auth0;
mod auth1;
mod cryptogram;
mod exchange;
mod session_data;

pub use auth0::{Auth0Command, Auth0Response};
pub use auth1::{Auth1Command, Auth1Response, CredentialName, Usage, signature_input};
pub use cryptogram::Cryptogram;
pub use exchange::{ExchangeCommand, ExchangeResult, exchange_response, parse_exchange_response};
pub use session_data::{SessionDataError, parse_session_data, session_data};

use crate::tlv::{self, Tag, TlvError};

/// Instruction bytes.
pub mod ins {
    /// SELECT, ISO 7816-4.
    pub const SELECT: u8 = 0xa4;
    /// AUTH0.
    pub const AUTH0: u8 = 0x80;
    /// LOAD CERT.
    pub const LOAD_CERT: u8 = 0xd1;
    /// AUTH1.
    pub const AUTH1: u8 = 0x81;
    /// EXCHANGE.
    pub const EXCHANGE: u8 = 0xc9;
    /// CONTROL FLOW.
    pub const CONTROL_FLOW: u8 = 0x3c;
    /// ENVELOPE, ISO 7816-4.
    pub const ENVELOPE: u8 = 0xc3;
    /// GET RESPONSE, ISO 7816-4.
    pub const GET_RESPONSE: u8 = 0xc0;
}

/// Whether the device must ask its user before it answers AUTH1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Policy {
    /// As the device is set.
    DeviceSetting = 1,
    /// As the device is set for a secure action.
    SecureAction = 2,
    /// Always.
    ForceUserAuthentication = 3,
}

impl Policy {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::DeviceSetting),
            2 => Some(Self::SecureAction),
            3 => Some(Self::ForceUserAuthentication),
            _ => None,
        }
    }
}

/// What a device offers after AUTH1 (`signaling_bitmap`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Signaling(pub u16);

impl Signaling {
    /// An Access Document can be asked for.
    pub const ACCESS_DOCUMENT: Self = Self(1);
    /// A Revocation Document can be asked for.
    pub const REVOCATION_DOCUMENT: Self = Self(1 << 1);
    /// Over NFC, the step-up application must be selected before ENVELOPE.
    pub const SELECT_STEP_UP: Self = Self(1 << 2);
    /// The mailbox holds something.
    pub const MAILBOX_NOT_EMPTY: Self = Self(1 << 3);
    /// The mailbox can be read.
    pub const MAILBOX_READABLE: Self = Self(1 << 4);
    /// The mailbox can be written.
    pub const MAILBOX_WRITABLE: Self = Self(1 << 5);

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Signaling {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How a reader ends a transaction (tag 97): the first byte is 0 for failure,
/// 1 for success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReaderStatus(pub u16);

impl ReaderStatus {
    /// The credential's public key is not known.
    pub const KEY_NOT_FOUND: Self = Self(0x0001);
    /// It has expired.
    pub const EXPIRED: Self = Self(0x0002);
    /// It is known and not trusted.
    pub const NOT_TRUSTED: Self = Self(0x0003);
    /// The device's signature does not verify.
    pub const INVALID_SIGNATURE: Self = Self(0x0004);
    /// Something does not parse.
    pub const INVALID_FORMAT: Self = Self(0x0006);
    /// Something parses and makes no sense.
    pub const INVALID_CONTENT: Self = Self(0x0007);
    /// The device answered with an error status word.
    pub const STATUS_WORD: Self = Self(0x0020);
    /// No key slot in AUTH1's answer.
    pub const NO_KEY_SLOT: Self = Self(0x0021);
    /// No public key in AUTH1's answer.
    pub const NO_PUBLIC_KEY: Self = Self(0x0022);
    /// No signature in AUTH1's answer.
    pub const NO_SIGNATURE: Self = Self(0x0023);
    /// The access rights do not suffice.
    pub const INVALID_ACCESS_RIGHTS: Self = Self(0x0025);
    /// The lock has a fault.
    pub const HARDWARE: Self = Self(0x0026);
    /// Success: locked now.
    pub const SECURED: Self = Self(0x0100);
    /// Success: unlocked now.
    pub const UNSECURED: Self = Self(0x0101);
    /// Success: jammed.
    pub const JAMMED: Self = Self(0x0102);
    /// Success: locking has begun.
    pub const SECURING: Self = Self(0x0180);
    /// Success: unlocking has begun.
    pub const UNSECURING: Self = Self(0x0181);
    /// Success: state not known.
    pub const STATE_UNKNOWN: Self = Self(0x0182);

    /// Whether it says that access was granted.
    pub fn is_success(self) -> bool {
        self.0 >> 8 == 1
    }
}

/// The two status bytes that close every response APDU.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusWord(pub u16);

impl StatusWord {
    /// Done.
    pub const OK: Self = Self(0x9000);
    /// A certificate does not parse.
    pub const BAD_CERTIFICATE: Self = Self(0x6400);
    /// A TLV object is malformed, missing or misplaced.
    pub const MALFORMED: Self = Self(0x6701);
    /// Wrong class byte.
    pub const BAD_CLASS: Self = Self(0x6800);
    /// The last command of a chain was expected.
    pub const CHAIN_BROKEN: Self = Self(0x6883);
    /// Command chaining is not possible here.
    pub const CHAIN_REFUSED: Self = Self(0x6884);
    /// Authentication failed: certificate, signature or GCM tag.
    pub const SECURITY: Self = Self(0x6982);
    /// Conditions not met: unsupported version.
    pub const CONDITIONS: Self = Self(0x6985);
    /// Unknown application.
    pub const UNKNOWN_APPLICATION: Self = Self(0x6a82);
    /// Wrong P1 or P2.
    pub const BAD_PARAMETERS: Self = Self(0x6a86);
    /// No such command in this state.
    pub const WRONG_STATE: Self = Self(0x6d00);
}

impl std::fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

/// CONTROL FLOW, by which a reader reports failure when no channel is usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlFlow {
    /// 00: finished with failure.
    pub s1: u8,
    /// 00: no information; 27: protocol version not supported.
    pub s2: u8,
}

impl ControlFlow {
    /// Failure without a reason.
    pub const FAILURE: Self = Self { s1: 0, s2: 0 };
    /// Failure: no protocol version in common.
    pub const VERSION: Self = Self { s1: 0, s2: 0x27 };

    const S1: Tag = 0x41;
    const S2: Tag = 0x42;
    const DOMAIN: Tag = 0x43;

    /// The command's data.
    pub fn encode(self) -> Vec<u8> {
        vec![0x41, 1, self.s1, 0x42, 1, self.s2]
    }

    /// Reads the command's data; domain data is skipped.
    ///
    /// # Errors
    /// [`TlvError`].
    pub fn parse(data: &[u8]) -> Result<Self, TlvError> {
        let [s1, s2, domain] = tlv::pick(data, [Self::S1, Self::S2, Self::DOMAIN])?;
        tlv::at_most(Self::DOMAIN, domain, 250)?;
        let [s1] = tlv::exactly(Self::S1, s1)?;
        let [s2] = tlv::exactly(Self::S2, s2)?;
        Ok(Self { s1, s2 })
    }
}
