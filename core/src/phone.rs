//! [`Phone`]: where an app starts.
//!
//! ```text
//! Phone::open(PhoneConfig { folder, sealing, keys, clock, random })
//!   sign_in_start(portal, email) -> PendingSignIn, sign_in_finish(pending, code, device name)
//!   sync(), follow() -> Follow                 in step with every portal
//!   properties(), keys(), doors()              what to draw, decided for this moment
//!   unlock(door, options, listener)            opens a door
//!   current_code(key) -> CodeView              a rotating code
//!   host(property) -> HostDesk                 guest keys from keys of one's own
//!   staff(property) -> StaffDesk               what staff do
//!   outbox(), forget(id)                       what waits for a network, and what became of it
//!   sign_out(portal)
//! ```
//!
//! Calls that read return at once and work without a network. Calls that wait are async, want a tokio
//! runtime around them, and may be dropped at any moment: what they had done stays, nothing is half-done.

use std::path::PathBuf;
use std::sync::Arc;

use latchkey_env::{SharedClock, SharedRandom};
use latchkey_protocol::ids::PropertyId;

use crate::codes::{self, CodeView};
use crate::context::Context;
use crate::error::Error;
use crate::follow::{self, Follow};
use crate::host::HostDesk;
use crate::keys::{DeviceKeys, Protection, SoftwareKeys};
use crate::outbox::{self, OutboxEntry, OutboxId};
use crate::portal::{self, Shared};
use crate::sign_in::{self, PendingSignIn};
use crate::staff::StaffDesk;
use crate::sync::{self, SyncReport};
use crate::unlock::{self, Opened, UnlockListener, UnlockOptions};
use crate::views::{self, DoorRef, DoorView, KeyRef, KeyView, PropertyView};
use crate::wallet::{SealingKeyStore, SealingPlace, Wallet, WalletError, WalletId};

/// What a phone needs.
pub struct PhoneConfig {
    /// The wallet's folder; it is made when it is not there.
    pub folder: PathBuf,
    /// Keeps the key that seals the wallet, outside that folder.
    pub sealing: Arc<dyn SealingKeyStore>,
    /// The platform's keystore; none for keys in software, sealed in the wallet.
    pub keys: Option<Arc<dyn DeviceKeys>>,
    /// The device's clock, right or wrong.
    pub clock: SharedClock,
    /// Random bytes.
    pub random: SharedRandom,
}

/// A person's phone: one wallet, any number of portals and properties.
pub struct Phone {
    context: Arc<Context>,
    sealed_by: SealingPlace,
}

impl Phone {
    /// Opens the wallet, or makes a new one.
    ///
    /// # Errors
    /// [`Error::Wallet`]: see [`WalletError`] for what to do about it.
    pub fn open(config: PhoneConfig) -> Result<Arc<Self>, Error> {
        let wallet = Wallet::open(&config.folder, &*config.sealing, config.random.clone())?;
        let sealed_by = config
            .sealing
            .place(wallet.id())
            .map_err(WalletError::from)?;
        let keys = config
            .keys
            .unwrap_or_else(|| Arc::new(SoftwareKeys::new(wallet.clone())));
        let context = Arc::new(Context::new(Shared {
            wallet,
            keys,
            clock: config.clock,
            random: config.random,
            http: portal::http_client()?,
        }));
        Ok(Arc::new(Self { context, sealed_by }))
    }

    /// The wallet's id, under which its sealing key is kept.
    #[must_use]
    pub fn wallet(&self) -> WalletId {
        self.context.shared.wallet.id()
    }

    /// Where the key was kept that sealed the wallet when it was opened.
    #[must_use]
    pub fn sealed_by(&self) -> &SealingPlace {
        &self.sealed_by
    }

    /// Where this phone's long-term keys live.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.context.shared.keys.protection()
    }

    /// Asks a portal to send a sign-in code to an address that a property registered.
    ///
    /// # Errors
    /// [`Error::Offline`], [`Error::Invalid`] for an address of a portal that cannot be,
    /// [`Error::Refused`].
    pub async fn sign_in_start(
        &self,
        portal_url: &str,
        email: &str,
    ) -> Result<PendingSignIn, Error> {
        sign_in::start(&self.context, portal_url, email).await
    }

    /// Hands in the code, registers this device, and syncs for the first time. Signed in even if that
    /// first sync failed: the report says so.
    ///
    /// # Errors
    /// [`Error::Refused`] for a wrong code, [`Error::Offline`], [`Error::KeystoreRefused`].
    pub async fn sign_in_finish(
        &self,
        pending: &PendingSignIn,
        code: &str,
        device_name: &str,
    ) -> Result<SyncReport, Error> {
        sign_in::finish(&self.context, pending, code, device_name).await?;
        sync::reported(&self.context).await
    }

    /// Sends what waits, and brings everything up to date.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`] without any portal; otherwise the first failure, when no portal at all could
    /// be reached.
    pub async fn sync(&self) -> Result<SyncReport, Error> {
        sync::everything(&self.context).await
    }

    /// Follows what changes from now on, until the result is dropped. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn follow(&self) -> Result<Follow, Error> {
        follow::follow(&self.context)
    }

    /// The properties that this person belongs to.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn properties(&self) -> Result<Vec<PropertyView>, Error> {
        views::properties(&self.context)
    }

    /// The keys that this person holds, and whether each opens its doors now.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn keys(&self) -> Result<Vec<KeyView>, Error> {
        views::keys(&self.context)
    }

    /// The doors that this person may see.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn doors(&self) -> Result<Vec<DoorView>, Error> {
        views::doors(&self.context)
    }

    /// Opens a door. The listener hears how far it has come; the last event and the result say the same.
    ///
    /// # Errors
    /// [`Error::Denied`] with the door's reason, [`Error::DoorNotReached`], [`Error::WrongDoor`] for an
    /// impostor, [`Error::Cancelled`], [`Error::KeystoreRefused`], [`Error::TooOld`], [`Error::Invalid`].
    pub async fn unlock(
        &self,
        door: DoorRef,
        options: &UnlockOptions,
        listener: &dyn UnlockListener,
    ) -> Result<Opened, Error> {
        unlock::unlock(&self.context, door, options, listener).await
    }

    /// Goes to a door without opening it, to carry lock sync: its bundle in, its log and signed state out.
    /// It goes on where an earlier visit broke off. Whoever opens a door carries as well, as far as it gets.
    ///
    /// # Errors
    /// As for [`unlock`](Self::unlock), but for reasons of the door's.
    pub async fn carry_lock_sync(
        &self,
        door: DoorRef,
        options: &UnlockOptions,
        listener: &dyn UnlockListener,
    ) -> Result<(), Error> {
        Box::pin(unlock::carry(&self.context, door, options, listener)).await
    }

    /// The rotating code of this moment for a key: short for a door that is proved to know the pass (with no
    /// door given: when all of the key's doors are), else long.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key without codes on this phone, [`Error::KeystoreRefused`].
    pub async fn current_code(
        &self,
        key: KeyRef,
        door: Option<DoorRef>,
    ) -> Result<CodeView, Error> {
        codes::current(&self.context, key, door).await
    }

    /// What this person does for guests at a property.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a property that is not on this phone.
    pub fn host(&self, property: PropertyId) -> Result<HostDesk, Error> {
        HostDesk::at(self.context.clone(), property)
    }

    /// What staff do at a property.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a property that is not on this phone.
    pub fn staff(&self, property: PropertyId) -> Result<StaffDesk, Error> {
        StaffDesk::at(self.context.clone(), property)
    }

    /// What waits to be sent, and what became of what was.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn outbox(&self) -> Result<Vec<OutboxEntry>, Error> {
        outbox::entries(&self.context)
    }

    /// Deletes an entry of the outbox that was read, or is not wanted any more.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none.
    pub fn forget(&self, entry: OutboxId) -> Result<(), Error> {
        outbox::forget(&self.context, entry)
    }

    /// Forgets a portal, and everything that came from it.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`] when there is no such portal, [`Error::KeystoreRefused`].
    pub async fn sign_out(&self, portal_url: &str) -> Result<(), Error> {
        sign_in::sign_out(&self.context, portal_url).await
    }
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Phone")
            .field(&self.context.shared.wallet)
            .finish()
    }
}
