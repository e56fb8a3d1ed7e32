//! The user device: the side that wants in.
//!
//! [`Session`] runs a whole transaction over messages, [`Card`] over bare APDUs
//! (NFC). Inside both stand the typed steps of [`steps`].
//!
//! Before the reader has proved who it is, the device sends a constant and a
//! fresh point, nothing else. A group that it does not know and a reader that
//! cannot prove itself get the same answer at the same moment.

mod card;
mod memory;
mod services;
mod session;
pub mod steps;
mod transaction;

use crate::certificate::Certificate;
use crate::command::{ControlFlow, Policy, ReaderStatus, Signaling, StatusWord};
use crate::crypto::PublicKey;
use crate::identifier::{Interface, ReaderIdentifier, VERSION_1_0};
use crate::keys::BleVersions;
use crate::message::{ErrorCode, OperationSource, ReaderState, Reporting};
use crate::proprietary::ProprietaryInformation;

pub use card::{Card, CardEvent};
pub use memory::{BoundedMemory, Memory, Remembered};
pub use services::Services;
pub use session::Session;
pub use transaction::{Output, Transaction};

/// What one device is.
#[derive(Debug, Clone)]
pub struct DeviceConfig {
    /// The credentials, the preferred one first: of several that know a
    /// reader's group, the first answers.
    pub credentials: Vec<Credential>,
    /// What the device announces.
    pub proprietary: ProprietaryInformation,
    /// Over what the messages travel; both sides must say the same.
    pub interface: Interface,
    /// What was said about versions when the connection was made.
    pub ble_versions: BleVersions,
}

impl DeviceConfig {
    /// A device over BLE with Aliro 1.0 and short APDUs.
    pub fn new(credentials: Vec<Credential>) -> Self {
        Self {
            credentials,
            proprietary: ProprietaryInformation::new(&[VERSION_1_0], None),
            interface: Interface::BLE,
            ble_versions: BleVersions::default(),
        }
    }
}

/// One access credential: a key pair, of which only the public half is here.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The public half.
    pub public_key: PublicKey,
    /// The reader groups that it serves.
    pub groups: Vec<GroupBinding>,
}

/// What a credential knows of a reader group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupBinding {
    /// `reader_group_identifier`.
    pub group: [u8; 16],
    /// How readers of that group prove themselves.
    pub trust: Trust,
}

/// How readers of a group prove themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// They hold this very key.
    DirectKey(PublicKey),
    /// They show a certificate by this key.
    IssuerCa(PublicKey),
}

impl Trust {
    /// `reader_group_identifier_key`: the first thing that enters every key.
    pub fn group_key(&self) -> &PublicKey {
        match self {
            Self::DirectKey(key) | Self::IssuerCa(key) => key,
        }
    }
}

/// A reader that has proved itself. Nothing about the user has been signed or
/// sent at this point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderAuthenticated {
    /// The name that the reader gave. Its group is proved; its sub-identifier
    /// is what the reader says, unless the caller checks it against the
    /// certificate's subject.
    pub identifier: ReaderIdentifier,
    /// The key that signed.
    pub reader_key: PublicKey,
    /// The verified certificate, where the group's readers have one. Its
    /// validity dates are *not* checked: see [`Certificate::is_valid_at`].
    pub certificate: Option<Certificate>,
    /// The credential that would answer.
    pub credential: PublicKey,
    /// Whether the reader wants the user to be asked.
    pub policy: Policy,
}

impl ReaderAuthenticated {
    /// The subject's common name in the certificate.
    pub fn certificate_subject(&self) -> Option<&str> {
        self.certificate.as_ref().map(Certificate::subject)
    }
}

/// What the device tells a proved reader about the documents that it holds for
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disclosure {
    /// What is on offer.
    pub signaling: Signaling,
    /// When the Access Document was signed (`YYYY-MM-DDTHH:MM:SSZ`).
    pub access_signed: Option<[u8; 20]>,
    /// When the Revocation Document was signed.
    pub revocation_signed: Option<[u8; 20]>,
}

impl Disclosure {
    /// The documents held, with the signaling bits that follow from them.
    pub fn documents(access_signed: Option<[u8; 20]>, revocation_signed: Option<[u8; 20]>) -> Self {
        let mut signaling = Signaling::default();
        if access_signed.is_some() {
            signaling = signaling | Signaling::ACCESS_DOCUMENT;
        }
        if revocation_signed.is_some() {
            signaling = signaling | Signaling::REVOCATION_DOCUMENT;
        }
        Self {
            signaling,
            access_signed,
            revocation_signed,
        }
    }
}

/// What a [`Session`] wants done, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Put this whole message on the wire.
    Send(Vec<u8>),
    /// The reader proved itself. Answer with [`Session::approve`] when it is
    /// the one that was meant, else with [`Session::abort`].
    ReaderAuthenticated(Box<ReaderAuthenticated>),
    /// Sign `message` with the private key of `credential` (ECDSA/SHA-256) and
    /// answer with [`Session::signed`].
    Sign {
        /// Whose key.
        credential: PublicKey,
        /// What to sign.
        message: Vec<u8>,
    },
    /// The reader asks for documents: a plain DeviceRequest. Answer with
    /// [`Session::documents`].
    DocumentsRequested(Vec<u8>),
    /// The reader has something for the credential issuer's back end or for an
    /// application (value of tag AE).
    Notified(Vec<u8>),
    /// The reader is done with the access protocol and ready for
    /// [`Session::rke_request`].
    AccessCompleted {
        /// To whom it reports later changes.
        reporting: Reporting,
        /// The lock's state.
        state: ReaderState,
    },
    /// The lock moved.
    StatusChanged {
        /// Why.
        source: OperationSource,
        /// To what.
        state: ReaderState,
    },
    /// A message of an application's own.
    ThirdParty(Vec<u8>),
    /// The reader needs more time; its deadline starts afresh.
    Busy,
    /// The transaction failed; [`Event::Closed`] follows.
    Failed(Failure),
    /// The session is over and takes nothing more: send what precedes, then
    /// disconnect.
    Closed,
}

/// Why a transaction failed, as the device sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The reader did not go on in time.
    #[error("the reader did not go on in time")]
    Timeout,
    /// The reader gave up.
    #[error("the reader reported {0:?}")]
    ReaderError(ErrorCode),
    /// The reader ended the transaction (CONTROL FLOW).
    #[error("the reader ended the transaction ({0:?})")]
    ReaderEnded(ControlFlow),
    /// The reader knows the credential and refuses it (EXCHANGE with a failure
    /// status).
    #[error("the reader refused ({0:?})")]
    ReaderRefused(ReaderStatus),
    /// No credential knows the reader's group. On the wire this looks like
    /// [`Failure::ReaderNotProved`].
    #[error("no credential for this reader")]
    UnknownReader,
    /// The reader's signature or certificate does not verify.
    #[error("the reader did not prove itself")]
    ReaderNotProved,
    /// [`Session::abort`] was called.
    #[error("this is not the reader that was meant")]
    Aborted,
    /// The reader broke the protocol and was told so with this status word.
    #[error("the reader broke the protocol ({0:?})")]
    Protocol(StatusWord),
    /// A message was malformed or had no place here.
    #[error("the reader sent something malformed or out of order")]
    Malformed,
    /// An encrypted message did not open.
    #[error("an encrypted message did not open")]
    Channel,
    /// The reader wants UWB ranging.
    #[error("the reader wants ranging, which is not supported")]
    Ranging,
    /// [`Session::fail`] was called.
    #[error("given up by the caller")]
    Local,
}

/// A call that has no place in the session's state. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this call has no place here")]
pub struct OutOfTurn;
