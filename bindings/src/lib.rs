//! The uniffi facade over `latchkey-core`: objects, records, errors and foreign traits, for Kotlin
//! and Swift. It holds no rules: each method hands over to `core` and translates.

mod code;
mod error;
mod follow;
mod keystore;
mod mirror;
mod phone;
mod reason;
mod unlock;
mod views;

pub use code::Code;
pub use error::{InvalidInput, KeystoreFault, LatchkeyError, Refusal, Side, WalletFault};
pub use follow::{ChangeKind, Follow, PhoneChange};
pub use keystore::{DeviceKey, KeyUse, KeystoreError, Protection, SealingKeyStore};
pub use phone::{PendingSignIn, Phone, SyncFailure, SyncReport};
pub use reason::DenialReason;
pub use unlock::{CancelHandle, CarrierKind, ListenerError, Opened, UnlockEvent, UnlockListener};
pub use views::{
    Decision, Door, DoorKind, DoorReach, DoorRef, Key, KeyAtDoor, KeyKind, KeyRef, KeyStatus,
    Property, Role,
};

uniffi::setup_scaffolding!();

/// The version of this library, as `major.minor.patch`.
#[uniffi::export]
#[must_use]
pub fn library_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
