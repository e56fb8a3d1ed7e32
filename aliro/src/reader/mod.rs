//! The reader: the side that decides.
//!
//! [`Session`] runs a whole transaction over messages, [`Terminal`] over bare
//! APDUs (NFC). Inside both stand the typed steps of [`steps`], each of which
//! consumes its predecessor, so that a wrong order does not compile.

mod memory;
mod session;
pub mod steps;
mod terminal;
mod transaction;

use crate::certificate::CompressedCertificate;
use crate::command::{Policy, ReaderStatus, Signaling};
use crate::crypto::PublicKey;
use crate::identifier::{Interface, ReaderIdentifier, VERSION_1_0, Version};
use crate::keys::BleVersions;
use crate::message::{Action, ErrorCode};

pub use memory::{BoundedMemory, Memory};
pub use session::Session;
pub use terminal::{Terminal, TerminalEvent};
pub use transaction::{Output, Transaction};

/// What one reader is.
#[derive(Debug, Clone)]
pub struct ReaderConfig {
    /// Group and reader.
    pub identifier: ReaderIdentifier,
    /// The key that signs AUTH1, and why devices trust it.
    pub key: ReaderKey,
    /// Over what the messages travel; both sides must say the same.
    pub interface: Interface,
    /// Whether the device must ask its user.
    pub policy: Policy,
    /// What was said about versions when the connection was made.
    pub ble_versions: BleVersions,
    /// The protocol versions that this reader speaks, best first.
    pub versions: Vec<Version>,
    /// Credentials to look up by key slot. `None`, the usual: the device gives
    /// its whole public key. `Some`: it gives 8 bytes, and one that is not among
    /// these (or whose slot two of them share) is refused unseen.
    pub key_slots: Option<Vec<PublicKey>>,
    /// Whether this is a UWB reader, which also takes the flow that leads to
    /// ranging and has the device release its ranging key there (EXCHANGE with
    /// tag 98). Ranging itself is the caller's. The remote keyless flow does
    /// without that EXCHANGE and saves a round trip.
    pub ranging: bool,
}

impl ReaderConfig {
    /// A reader over BLE with Aliro 1.0, without UWB, that leaves user
    /// authentication to the device's setting for a secure action.
    pub fn new(identifier: ReaderIdentifier, key: ReaderKey) -> Self {
        Self {
            identifier,
            key,
            interface: Interface::BLE,
            policy: Policy::SecureAction,
            ble_versions: BleVersions::default(),
            versions: vec![VERSION_1_0],
            key_slots: None,
            ranging: false,
        }
    }
}

/// How devices trust a reader's key.
#[derive(Debug, Clone)]
pub enum ReaderKey {
    /// Devices know the reader's public key itself.
    Direct(PublicKey),
    /// Devices know the key of the issuer that certified the reader's key.
    Certified {
        /// The certificate of the reader's key.
        certificate: CompressedCertificate,
        /// The issuer's public key.
        issuer: PublicKey,
        /// In which command the certificate goes.
        delivery: CertificateDelivery,
    },
}

impl ReaderKey {
    /// `reader_group_identifier_key`: what the device has bound to the group,
    /// the first thing that enters every key.
    pub fn group_key(&self) -> &PublicKey {
        match self {
            Self::Direct(key) => key,
            Self::Certified { issuer, .. } => issuer,
        }
    }
}

/// In which command a reader certificate travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CertificateDelivery {
    /// Inside AUTH1: no round trip of its own.
    #[default]
    InAuth1,
    /// By LOAD CERT before AUTH1.
    LoadCert,
}

/// By what a device was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// By the key that both remember from a standard transaction: no signature,
    /// no forward secrecy, no documents.
    Fast,
    /// By its signature.
    Standard,
}

/// The device proved that it holds the private key of `credential` (in the fast
/// phase: that it once proved so here, and remembers), and that it agrees with
/// everything that was said. Whether that key may do anything is the caller's to
/// decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// By what.
    pub phase: Phase,
    /// The credential's public key.
    pub credential: PublicKey,
    /// What the device offers.
    pub signaling: Signaling,
    /// When the Access Document that it holds for this reader was signed
    /// (`YYYY-MM-DDTHH:MM:SSZ`), if it holds one.
    pub access_signed: Option<[u8; 20]>,
    /// The same for its Revocation Document.
    pub revocation_signed: Option<[u8; 20]>,
}

/// What a [`Session`] wants done, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Put this whole message on the wire.
    Send(Vec<u8>),
    /// Sign this with the reader's private key (ECDSA/SHA-256) and answer with
    /// [`Session::signed`].
    Sign(Vec<u8>),
    /// The device is known. Answer with [`Session::request_documents`] (after
    /// the standard phase), [`Session::prove`] (after the fast phase),
    /// [`Session::exchange`], [`Session::complete`] or [`Session::refuse`].
    Authenticated(Authenticated),
    /// The answer to [`Session::request_documents`]: a plain DeviceResponse.
    /// Go on as after [`Event::Authenticated`].
    Documents(Vec<u8>),
    /// The answer to [`Session::exchange`]: what was read. Go on as after
    /// [`Event::Authenticated`].
    Exchanged(Vec<Vec<u8>>),
    /// *Access protocol completed* is among the messages sent just now: the
    /// reader is ready for requests.
    Completed,
    /// The device asks for this to be done. Report with
    /// [`Session::send_status_changed`].
    RkeRequest {
        /// What to do.
        action: Action,
    },
    /// A message of an application's own.
    ThirdParty(Vec<u8>),
    /// The transaction failed; [`Event::Closed`] follows.
    Failed(Failure),
    /// The session is over and takes nothing more: send what precedes, then
    /// disconnect.
    Closed,
}

/// Why a transaction failed, as the reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The device did not answer in time.
    #[error("the device did not answer in time")]
    Timeout,
    /// The device gave up.
    #[error("the device reported {0:?}")]
    DeviceError(ErrorCode),
    /// The device refused a command with this status word.
    #[error("the device refused with status {0:04x}")]
    DeviceStatus(u16),
    /// No protocol version in common.
    #[error("no protocol version in common")]
    Version,
    /// The device did not do what EXCHANGE asked for; its own code.
    #[error("the device refused an exchange with {0:04x}")]
    ExchangeRefused(u16),
    /// A message or an answer was malformed.
    #[error("the device sent something malformed")]
    Malformed,
    /// A message came that has no place here.
    #[error("the device sent something out of order")]
    OutOfOrder,
    /// An encrypted message did not open.
    #[error("an encrypted message did not open")]
    Channel,
    /// The decrypted AUTH1 answer is not acceptable, for the reason that the
    /// device was told.
    #[error("the device was not authenticated ({0:?})")]
    NotAuthenticated(ReaderStatus),
    /// [`Session::refuse`] was called.
    #[error("refused ({0:?})")]
    Refused(ReaderStatus),
    /// The device wants UWB ranging.
    #[error("the device wants ranging, which is not supported")]
    Ranging,
    /// [`Session::fail`] was called.
    #[error("given up by the caller")]
    Local,
}

/// A call that has no place in the session's state. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this call has no place here")]
pub struct OutOfTurn;
