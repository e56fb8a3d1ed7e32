//! [`Phone`]: where an app starts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use latchkey_core::{phone as inner, sign_in, sync};
use latchkey_env::{SystemClock, SystemRandom};

use crate::error::LatchkeyError;
use crate::keystore::{DeviceKey, ForeignKeys, ForeignSealingKeys, Protection, SealingKeyStore};
use crate::views::{Door, Key, Property};

/// A person's phone: one wallet, any number of portals and properties.
///
/// Calls that read return at once and work without a network. Calls that wait are async; what they had
/// done stays when they are cancelled.
#[derive(uniffi::Object)]
pub struct Phone {
    pub(crate) inner: Arc<inner::Phone>,
}

#[uniffi::export(async_runtime = "tokio")]
impl Phone {
    /// Opens the wallet in `folder`, or makes one there. May block for as long as the keystore takes: not
    /// on the thread that draws.
    ///
    /// `device_key` is the platform's keystore; null for keys in software, sealed in the wallet.
    #[uniffi::constructor]
    pub fn open(
        folder: String,
        sealing: Arc<dyn SealingKeyStore>,
        device_key: Option<Arc<dyn DeviceKey>>,
    ) -> Result<Arc<Self>, LatchkeyError> {
        let inner = inner::Phone::open(inner::PhoneConfig {
            folder: PathBuf::from(folder),
            sealing: Arc::new(ForeignSealingKeys(sealing)),
            keys: device_key.map(|keys| Arc::new(ForeignKeys(keys)) as _),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        })?;
        Ok(Arc::new(Self { inner }))
    }

    /// Where this phone's long-term keys live.
    pub fn protection(&self) -> Protection {
        self.inner.protection().into()
    }

    /// Asks a portal to send a code to an address that a property registered.
    pub async fn sign_in_start(
        &self,
        portal_url: String,
        email: String,
    ) -> Result<PendingSignIn, LatchkeyError> {
        let pending = self.inner.sign_in_start(&portal_url, &email).await?;
        Ok(pending.into())
    }

    /// Hands in the code, registers this device under the name that the person knows it by, and syncs for
    /// the first time. Signed in even if that sync failed: the report says so.
    pub async fn sign_in_finish(
        &self,
        pending: PendingSignIn,
        code: String,
        device_name: String,
    ) -> Result<SyncReport, LatchkeyError> {
        let pending = pending.into();
        let finish = self.inner.sign_in_finish(&pending, &code, &device_name);
        Ok(finish.await?.into())
    }

    /// Forgets a portal and everything that came from it.
    pub async fn sign_out(&self, portal_url: String) -> Result<(), LatchkeyError> {
        Ok(self.inner.sign_out(&portal_url).await?)
    }

    /// Sends what waits, and brings everything up to date.
    pub async fn sync(&self) -> Result<SyncReport, LatchkeyError> {
        Ok(self.inner.sync().await?.into())
    }

    /// The properties that this person belongs to.
    pub fn properties(&self) -> Result<Vec<Property>, LatchkeyError> {
        let views = self.inner.properties()?;
        Ok(views.into_iter().map(Property::from).collect())
    }

    /// The keys that this person holds, and whether each opens its doors now.
    pub fn keys(&self) -> Result<Vec<Key>, LatchkeyError> {
        let views = self.inner.keys()?;
        Ok(views.into_iter().map(Key::from).collect())
    }

    /// The doors that this person may see.
    pub fn doors(&self) -> Result<Vec<Door>, LatchkeyError> {
        let views = self.inner.doors()?;
        Ok(views.into_iter().map(Door::from).collect())
    }
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

/// A sign-in that waits for the code from the e-mail. Not secret; may be kept over a restart of the app.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PendingSignIn {
    /// Where.
    pub portal_url: String,
    /// Who.
    pub email: String,
    /// The portal's name for it.
    pub sign_in: String,
    /// When the code stops counting, by the portal's clock.
    pub expires_at: SystemTime,
}

impl From<sign_in::PendingSignIn> for PendingSignIn {
    fn from(pending: sign_in::PendingSignIn) -> Self {
        Self {
            portal_url: pending.portal_url,
            email: pending.email,
            sign_in: pending.sign_in,
            expires_at: pending.expires_at.into(),
        }
    }
}

impl From<PendingSignIn> for sign_in::PendingSignIn {
    fn from(pending: PendingSignIn) -> Self {
        Self {
            portal_url: pending.portal_url,
            email: pending.email,
            sign_in: pending.sign_in,
            expires_at: pending.expires_at.into(),
        }
    }
}

/// What a sync did.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SyncReport {
    /// How many things changed on this phone.
    pub changes: u64,
    /// What could not be brought up to date; the rest was.
    pub failures: Vec<SyncFailure>,
}

/// A part of a sync that failed.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SyncFailure {
    /// The portal.
    pub portal_url: String,
    /// The property's id, when it was only one of the portal's.
    pub property: Option<String>,
    /// Why.
    pub error: LatchkeyError,
}

impl From<sync::SyncReport> for SyncReport {
    fn from(report: sync::SyncReport) -> Self {
        let failures = report.failures.into_iter().map(|failure| SyncFailure {
            portal_url: failure.portal_url,
            property: failure.property.map(|id| id.to_string()),
            error: failure.error.into(),
        });
        Self {
            changes: report.changes as u64,
            failures: failures.collect(),
        }
    }
}
