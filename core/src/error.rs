//! What an app can act on. The rich error stands inside, for logs; nobody matches strings.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::problem::Problem;
use latchkey_protocol::rules::Reason;

use crate::keys::DeviceKeyError;
use crate::wallet::WalletError;

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The portal was not reached: no network, or the portal is down. Try again later; keys keep working.
    #[error("the portal cannot be reached: {0}")]
    Offline(String),
    /// Nobody is signed in at that portal any more, or never was: sign in.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// A door, or the decision made beforehand on the phone, said no.
    #[error("denied: {reason}")]
    Denied {
        /// Why.
        reason: Reason,
        /// When the calendar next says yes, where it is a matter of the calendar.
        next: Option<DateTime<Utc>>,
    },
    /// No carrier reached the door, or it did not answer in time: come closer, check the network.
    #[error("the door was not reached: {0}")]
    DoorNotReached(DoorFault),
    /// What answered is not the door that was chosen. Nothing about the person was told to it.
    #[error("this is not the door that was chosen")]
    WrongDoor,
    /// The keystore did not sign, or has lost the key.
    #[error("the keystore refused: {0}")]
    KeystoreRefused(#[source] DeviceKeyError),
    /// Two sides have no common version.
    #[error("{what} is too old")]
    TooOld {
        /// Which side has to be updated.
        what: TooOld,
    },
    /// The caller gave something that cannot be: a malformed address, an unknown door.
    #[error("{0}")]
    Invalid(Invalid),
    /// The portal refused, and says why.
    #[error("the portal refused: {}", .0.title)]
    Refused(Problem),
    /// The wallet cannot be opened, read or written.
    #[error(transparent)]
    Wallet(WalletError),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The portal's answer does not read.
    #[error("the portal's answer does not read: {0}")]
    BadAnswer(String),
}

/// Which side has to be updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TooOld {
    /// This app.
    App,
    /// The door's controller.
    Door,
    /// The portal.
    Portal,
}

impl std::fmt::Display for TooOld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::App => "this app",
            Self::Door => "the door",
            Self::Portal => "the portal",
        })
    }
}

/// What of a caller's wishes cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// Not an `https` address (or `http` on this machine).
    #[error("{0:?} is not a portal's address: https is needed")]
    PortalAddress(String),
    /// No such property on this phone.
    #[error("the property is not on this phone")]
    Property,
    /// No such door on this phone.
    #[error("the door is not on this phone")]
    Door,
    /// No such key on this phone.
    #[error("the key is not on this phone")]
    Key,
    /// The key shows no codes on this phone.
    #[error("the key has no codes on this phone")]
    NoCode,
    /// The outbox has no such entry.
    #[error("the outbox has no such entry")]
    OutboxEntry,
}

/// How a door was not reached, over the last carrier that was tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorFault {
    /// The door has no address that this phone could use now.
    #[error("there is no way to it")]
    NoCarrier,
    /// No connection.
    #[error("no connection: {0}")]
    Connect(#[source] std::io::Error),
    /// The connection broke before the door had answered.
    #[error("the connection broke: {0}")]
    Broken(#[source] std::io::Error),
    /// The door did not answer in time.
    #[error("it did not answer in time")]
    Timeout,
    /// What came is not the protocol, or was altered on the way.
    #[error("the conversation failed: {0}")]
    Protocol(String),
    /// The lock is jammed: it should have moved and did not.
    #[error("the lock is jammed")]
    Jammed,
    /// The portal could not relay.
    #[error("the portal did not relay: {0}")]
    Relay(String),
}

impl From<WalletError> for Error {
    fn from(error: WalletError) -> Self {
        Self::Wallet(error)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<DeviceKeyError> for Error {
    fn from(error: DeviceKeyError) -> Self {
        match error {
            DeviceKeyError::Wallet(error) => Self::Wallet(error),
            error => Self::KeystoreRefused(error),
        }
    }
}
