//! What an app can act on.

use std::time::SystemTime;

use latchkey_core::error as inner;
use latchkey_core::keys::DeviceKeyError;
use latchkey_core::wallet::WalletError;
use latchkey_protocol::api::problem::ProblemType;

use crate::mirror::mirror;
use crate::reason::DenialReason;

/// Why a call did not do what was asked. `detail` is for a log: never shown, never matched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum LatchkeyError {
    /// The portal was not reached. Try again later; keys keep working.
    #[error("offline: {detail}")]
    Offline {
        /// For a log.
        detail: String,
    },
    /// Nobody is signed in at that portal any more, or never was: sign in.
    #[error("not signed in")]
    NotSignedIn,
    /// A door, or the decision made beforehand on the phone, said no.
    #[error("denied: {reason:?}")]
    Denied {
        /// Why.
        reason: DenialReason,
        /// When the calendar next says yes, where it is a matter of the calendar.
        next: Option<SystemTime>,
    },
    /// No carrier reached the door, or it did not answer in time: come closer, check the network.
    #[error("door not reached: {detail}")]
    DoorNotReached {
        /// For a log.
        detail: String,
    },
    /// What answered is not the door that was chosen. Nothing about the person was told to it.
    #[error("wrong door")]
    WrongDoor,
    /// The keystore did not sign, or has lost the key.
    #[error("keystore refused: {fault:?}")]
    KeystoreRefused {
        /// In what way.
        fault: KeystoreFault,
    },
    /// Two sides have no common version: update that side.
    #[error("too old: {side:?}")]
    TooOld {
        /// Which.
        side: Side,
    },
    /// The caller gave something that cannot be.
    #[error("invalid: {what:?}")]
    Invalid {
        /// What.
        what: InvalidInput,
    },
    /// The portal refused.
    #[error("refused: {why:?}: {detail}")]
    Refused {
        /// Why.
        why: Refusal,
        /// For a log.
        detail: String,
    },
    /// The wallet cannot be opened, read or written.
    #[error("wallet: {fault:?}: {detail}")]
    Wallet {
        /// In what way.
        fault: WalletFault,
        /// For a log.
        detail: String,
    },
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The portal failed, or answered what no portal should.
    #[error("portal failed: {detail}")]
    PortalFailed {
        /// For a log.
        detail: String,
    },
}

/// In what way a keystore refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum KeystoreFault {
    /// The key is gone: deleted, or made invalid by the platform. Sign in again.
    KeyMissing,
    /// The person did not confirm, or the device is locked.
    NotConfirmed,
    /// It failed.
    Failed,
}

mirror! {
    // Not named like a variant of the error: in Kotlin the two would hide each other.
    inner::TooOld =>
    /// A side that has to be updated.
    Side {
        /// This app.
        App,
        /// The door's controller.
        Door,
        /// The portal.
        Portal,
    }
}

/// What of a caller's wishes cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum InvalidInput {
    /// Not an `https` address (or `http` on this machine).
    PortalAddress,
    /// No such property on this phone.
    Property,
    /// No such door on this phone.
    Door,
    /// No such key on this phone.
    Key,
    /// The key shows no codes on this phone.
    NoCode,
    /// Something else.
    Other,
}

/// Why a portal refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Refusal {
    /// The sign-in code is wrong, used or too old.
    WrongCode,
    /// This person's role does not allow it.
    NotAllowed,
    /// There is no such thing, or none that this person may see.
    NotFound,
    /// The state changed in between and does not allow it any more.
    Conflict,
    /// The link is no longer good.
    LinkEnded,
    /// Too many requests: wait.
    TooManyRequests,
    /// A value is not accepted.
    InvalidValue,
    /// Another reason.
    Other,
}

/// In what way a wallet failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum WalletFault {
    /// The sealing key is gone, or the folder came from another device: make a new wallet and sign in.
    SealingKeyLost,
    /// The sealing key's store refused: try again when the device is unlocked.
    SealingKeyRefused,
    /// A newer version of the app wrote it: update.
    TooNew,
    /// Its file is not as the wallet left it: altered, set back in part, or copied in part. Say so, keep the
    /// folder for whoever looks into it, make a new wallet elsewhere and sign in.
    Tampered,
    /// The device has no room left; nothing was changed.
    NoRoom,
    /// The folder or its file system failed.
    Storage,
}

impl From<inner::Error> for LatchkeyError {
    fn from(error: inner::Error) -> Self {
        let detail = full(&error);
        match error {
            inner::Error::Offline(_) => Self::Offline { detail },
            inner::Error::NotSignedIn => Self::NotSignedIn,
            inner::Error::Denied { reason, next } => Self::Denied {
                reason: reason.into(),
                next: next.map(SystemTime::from),
            },
            inner::Error::DoorNotReached(_) => Self::DoorNotReached { detail },
            inner::Error::WrongDoor => Self::WrongDoor,
            inner::Error::KeystoreRefused(error) => Self::KeystoreRefused {
                fault: keystore_fault(&error),
            },
            inner::Error::TooOld { what } => Self::TooOld { side: what.into() },
            inner::Error::Invalid(what) => Self::Invalid {
                what: invalid(&what),
            },
            inner::Error::Refused(problem) => match problem.problem_type() {
                Some(
                    ProblemType::Internal
                    | ProblemType::SignerUnavailable
                    | ProblemType::StoreUnavailable
                    | ProblemType::Full,
                ) => Self::PortalFailed { detail },
                kind => Self::Refused {
                    why: refusal(kind),
                    detail,
                },
            },
            inner::Error::Wallet(error) => Self::Wallet {
                fault: wallet_fault(&error),
                detail,
            },
            inner::Error::Cancelled => Self::Cancelled,
            inner::Error::BadAnswer(_) => Self::PortalFailed { detail },
            _ => Self::PortalFailed { detail },
        }
    }
}

fn keystore_fault(error: &DeviceKeyError) -> KeystoreFault {
    match error {
        DeviceKeyError::Missing(_) => KeystoreFault::KeyMissing,
        DeviceKeyError::NotConfirmed => KeystoreFault::NotConfirmed,
        _ => KeystoreFault::Failed,
    }
}

fn invalid(what: &inner::Invalid) -> InvalidInput {
    match what {
        inner::Invalid::PortalAddress(_) => InvalidInput::PortalAddress,
        inner::Invalid::Property => InvalidInput::Property,
        inner::Invalid::Door => InvalidInput::Door,
        inner::Invalid::Key => InvalidInput::Key,
        inner::Invalid::NoCode => InvalidInput::NoCode,
        _ => InvalidInput::Other,
    }
}

fn refusal(kind: Option<ProblemType>) -> Refusal {
    match kind {
        Some(ProblemType::WrongCode) => Refusal::WrongCode,
        Some(ProblemType::NotAllowed) => Refusal::NotAllowed,
        Some(ProblemType::NotFound) => Refusal::NotFound,
        Some(ProblemType::Conflict) => Refusal::Conflict,
        Some(ProblemType::LinkEnded) => Refusal::LinkEnded,
        Some(ProblemType::TooManyRequests) => Refusal::TooManyRequests,
        Some(ProblemType::InvalidValue) => Refusal::InvalidValue,
        _ => Refusal::Other,
    }
}

fn wallet_fault(error: &WalletError) -> WalletFault {
    match error {
        WalletError::SealingKeyMissing(_) | WalletError::SealingKeyWrong => {
            WalletFault::SealingKeyLost
        }
        WalletError::SealingKey(_) => WalletFault::SealingKeyRefused,
        WalletError::TooNew => WalletFault::TooNew,
        WalletError::Full => WalletFault::NoRoom,
        WalletError::Changed | WalletError::Tampered { .. } | WalletError::Malformed { .. } => {
            WalletFault::Tampered
        }
        _ => WalletFault::Storage,
    }
}

/// An error with its causes, for a log.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
