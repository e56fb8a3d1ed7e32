//! Hearing of changes.

use latchkey_core::follow as inner;
use latchkey_protocol::api::sync as sync_api;
use tokio::sync::Mutex;

use crate::error::LatchkeyError;
use crate::mirror::mirror;
use crate::phone::Phone;

/// Something that the app may want to draw anew.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum PhoneChange {
    /// Things of a property changed.
    Changed {
        /// The property's id.
        property: String,
        /// Of these kinds; empty when many did.
        kinds: Vec<ChangeKind>,
    },
    /// The portal was reached, and everything is up to date.
    UpToDate {
        /// Which.
        portal_url: String,
    },
    /// The portal cannot be reached; it is tried again and again.
    Offline {
        /// Which.
        portal_url: String,
    },
    /// The portal has ended the sign-in.
    SignedOut {
        /// Which.
        portal_url: String,
    },
}

mirror! {
    sync_api::EntityKind =>
    /// A kind of thing that syncs.
    ChangeKind {
        /// The property's settings.
        Property,
        /// A door.
        Door,
        /// A key.
        Key,
        /// A grant of this phone.
        Grant,
        /// A pass of this phone.
        Pass,
        /// The revocation list that this phone carries.
        Revocation,
        /// A statement that this phone carries.
        Statement,
        /// A person, for staff.
        Person,
        /// An event.
        Event,
        /// A bundle that this phone carries to a door.
        Bundle,
        /// A receipt that this phone carries to a door.
        LogReceipt,
    }
}

/// A subscription to changes. It ends when it is closed.
#[derive(Debug, uniffi::Object)]
pub struct Follow {
    inner: Mutex<inner::Follow>,
}

#[uniffi::export(async_runtime = "tokio")]
impl Follow {
    /// The next change; null when there is no portal left to follow. May be cancelled without loss.
    pub async fn next(&self) -> Option<PhoneChange> {
        let change = self.inner.lock().await.next().await?;
        Some(change.into())
    }
}

#[uniffi::export(async_runtime = "tokio")]
impl Phone {
    /// Follows what changes from now on at every portal, for as long as the app shows anything.
    pub async fn follow(&self) -> Result<Follow, LatchkeyError> {
        Ok(Follow {
            inner: Mutex::new(self.inner.follow()?),
        })
    }
}

impl From<inner::PhoneChange> for PhoneChange {
    fn from(change: inner::PhoneChange) -> Self {
        match change {
            inner::PhoneChange::Changed { property, kinds } => Self::Changed {
                property: property.to_string(),
                kinds: kinds.into_iter().map(ChangeKind::from).collect(),
            },
            inner::PhoneChange::UpToDate { portal_url } => Self::UpToDate { portal_url },
            inner::PhoneChange::Offline { portal_url } => Self::Offline { portal_url },
            inner::PhoneChange::SignedOut { portal_url } => Self::SignedOut { portal_url },
        }
    }
}
