//! A controller in its folder: with keys from the first moment, with a door once it is installed.

use std::path::{Path, PathBuf};

use aliro::crypto::PublicKey;
use latchkey_protocol::clock::{DoorClock, TimeChallenge, TimeRefused};
use latchkey_protocol::commissioning::{
    Commissioned, CommissioningCode, Offer, Package, PackageError, SignedOffer,
};
use latchkey_protocol::hello;
use latchkey_protocol::ids::{DoorId, PropertyId};

use crate::door::{self, DoorError, Inner, Installed};
use crate::env::Env;
use crate::keys::{OwnKeys, new_keys};
use crate::running::{RunConfig, Running, StartError};
use crate::store::{
    Store, StoreError, install, installed_package, keep_iterations, keep_keys, stored_keys,
};

/// The session of the clock's that the offer's challenge belongs to; lines to the portal count
/// from 1.
const OFFER_SESSION: u64 = 0;

/// Where nobody asks for the time: no answer to it sets anything.
const NO_CHALLENGE: TimeChallenge = TimeChallenge { nonce: [0; 16] };

/// A controller that does not run yet.
pub struct Controller {
    folder: PathBuf,
    env: Env,
    store: Store,
    keys: OwnKeys,
    clock: DoorClock,
    installed: Option<Installed>,
    offered: Option<Offer>,
}

/// Why a package was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Not a package.
    #[error("this is no package")]
    Malformed(#[from] serde_json::Error),
    /// It does not hold together, or is for another controller.
    #[error(transparent)]
    Refused(#[from] PackageError),
    /// The controller is at a door already. A door gets another controller, not the reverse.
    #[error("this controller is installed already")]
    InstalledAlready,
    /// The controller's own parts failed.
    #[error(transparent)]
    Door(#[from] DoorError),
}

/// What came of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation {
    /// The property.
    pub property: PropertyId,
    /// The door at which the controller now stands.
    pub door: DoorId,
    /// Whether the package set the clock. A door with a network asks again by itself.
    pub clock: Result<(), ClockNotSet>,
}

/// Why the package did not set the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockNotSet {
    /// It holds no time.
    #[error("the package holds no time")]
    NoTime,
    /// It answers another offer, or took longer than 10 seconds.
    #[error(transparent)]
    Refused(#[from] TimeRefused),
}

impl Controller {
    /// Makes a new controller, with keys of its own, in a folder that holds none yet.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn create(folder: impl AsRef<Path>, env: Env) -> Result<Self, DoorError> {
        let mut store = match Store::create(folder.as_ref()) {
            Err(StoreError::Exists) => without_keys(Store::open(folder.as_ref())?)?,
            created => created?,
        };
        let keys = new_keys(&env)?;
        store.write(|tx| Ok::<_, DoorError>(keep_keys(tx, &keys)?))?;
        Self::with_store(folder.as_ref(), env, store, false)
    }

    /// Opens a controller that was made before. Its clock is unsure until it is challenged, as
    /// after a loss of power.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn open(folder: impl AsRef<Path>, env: Env) -> Result<Self, DoorError> {
        let store = Store::open(folder.as_ref())?;
        Self::with_store(folder.as_ref(), env, store, false)
    }

    /// As [`open`](Self::open), for a controller whose wall clock is backed by a battery. That
    /// clock need not be right, but must go on while the controller is off, and nobody but the
    /// controller may set it: the door takes from it how long it was off.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn open_with_battery_clock(folder: impl AsRef<Path>, env: Env) -> Result<Self, DoorError> {
        let store = Store::open(folder.as_ref())?;
        Self::with_store(folder.as_ref(), env, store, true)
    }

    fn with_store(folder: &Path, env: Env, store: Store, battery: bool) -> Result<Self, DoorError> {
        let keys = OwnKeys::from_stored(&stored_keys(store.read())?)?;
        let clock = door::restart(&store, &env, battery)?;
        let installed = installed_package(store.read())?
            .map(|package| read_installed(&package, &keys))
            .transpose()?;
        Ok(Self {
            folder: folder.to_owned(),
            env,
            store,
            keys,
            clock,
            installed,
            offered: None,
        })
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// Where the portal is, as the package says; none for a door without a network.
    #[must_use]
    pub fn portal_url(&self) -> Option<url::Url> {
        self.installed.as_ref()?.portal_url.as_deref()?.parse().ok()
    }

    /// Where it keeps what it knows.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The door at which it stands, once it is installed.
    #[must_use]
    pub fn door(&self) -> Option<DoorId> {
        Some(self.installed.as_ref()?.door)
    }

    /// The code that it shows: a hash over its public keys, always the same.
    #[must_use]
    pub fn code(&self) -> CommissioningCode {
        CommissioningCode::of(self.keys.reader(), self.keys.sealing())
    }

    /// Its reader key's public half.
    #[must_use]
    pub fn reader_key(&self) -> &PublicKey {
        self.keys.reader()
    }

    /// A fresh offer of its keys. Its challenge for the time is good for 10 seconds; one of an
    /// earlier offer is given up.
    ///
    /// # Errors
    /// [`DoorError`] when signing fails.
    pub fn offer(&mut self) -> Result<SignedOffer, DoorError> {
        let challenge =
            self.clock
                .challenge(OFFER_SESSION, self.env.random(), self.env.clock.monotonic());
        let offer = offer_of(&self.keys, challenge);
        let payload = offer.payload();
        let signature = self.keys.sign(&Offer::to_be_signed(&payload))?;
        self.offered = Some(offer);
        Ok(SignedOffer::new(payload, signature))
    }

    /// Checks a package (JSON, as the portal hands it back) and keeps it. All of it is stored in
    /// one commit, or nothing.
    ///
    /// # Errors
    /// [`InstallError`].
    pub fn install(&mut self, package: &str) -> Result<Installation, InstallError> {
        // Read first: whatever takes time from here on is part of the round trip.
        let monotonic = self.env.clock.monotonic();
        if self.installed.is_some() {
            return Err(InstallError::InstalledAlready);
        }
        let mut package: Package = serde_json::from_str(package)?;
        let offer = self
            .offered
            .clone()
            .unwrap_or_else(|| offer_of(&self.keys, NO_CHALLENGE));
        let commissioned = match package.verify(&offer) {
            Err(PackageError::BadTime(_)) => {
                // The time alone answers an offer of before: a door can do without.
                package.time = None;
                package.verify(&offer)?
            }
            verified => verified?,
        };
        let clock = match &commissioned.time {
            Some(answer) => self
                .clock
                .answer(OFFER_SESSION, answer, monotonic)
                .map(|_| ())
                .map_err(ClockNotSet::from),
            None => Err(ClockNotSet::NoTime),
        };
        self.keep(&package, commissioned)?;
        let installed = self.installed.as_ref().ok_or(DoorError::Worker)?;
        Ok(Installation {
            property: installed.property,
            door: installed.door,
            clock,
        })
    }

    fn keep(&mut self, package: &Package, commissioned: Commissioned) -> Result<(), DoorError> {
        let mut iterations = aliro::document::Iterations::new();
        iterations.raise(
            commissioned.issuer.key_identifier(),
            Some(commissioned.iteration),
        );
        if let Some(list) = &commissioned.revocation {
            door::raise_bound(&mut self.clock, &self.env, list.signed());
        }
        let saved = door::clock_to_save(&self.clock, &self.env);
        let (numbers, list) = (commissioned.numbers, commissioned.revocation.clone());
        let installed = Installed::from(commissioned);
        // What goes on changing has tables of its own.
        let fixed = Package {
            statements: Vec::new(),
            revocation: None,
            time: None,
            ..package.clone()
        };
        let fixed = serde_json::to_vec(&fixed).map_err(|_| StoreError::Damaged("a package"))?;
        self.store.write(|tx| {
            install(tx, &fixed)?;
            keep_iterations(tx, &iterations)?;
            door::keep_first(tx, &installed, package, numbers, list.as_ref())?;
            crate::store::save_clock(tx, &saved)?;
            Ok::<_, DoorError>(())
        })?;
        self.installed = Some(installed);
        Ok(())
    }

    /// Puts the controller to work.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(self, config: RunConfig) -> Result<Running, StartError> {
        let installed = self.installed.ok_or(StartError::NotInstalled)?;
        let inner = Inner::load(self.store, self.clock, &installed).map_err(DoorError::from)?;
        Running::start(self.env, self.keys, installed, inner, config).await
    }
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller")
            .field("folder", &self.folder)
            .field("code", &self.code())
            .field("door", &self.door())
            .finish_non_exhaustive()
    }
}

fn offer_of(keys: &OwnKeys, challenge: TimeChallenge) -> Offer {
    Offer {
        reader_key: *keys.reader(),
        sealing_key: *keys.sealing(),
        challenge,
        versions: hello::SUPPORTED.to_vec(),
    }
}

/// A store whose making was interrupted may be made anew; one with keys is a controller.
fn without_keys(store: Store) -> Result<Store, StoreError> {
    match stored_keys(store.read()) {
        Err(StoreError::Damaged(_)) => Ok(store),
        Ok(_) => Err(StoreError::Exists),
        Err(error) => Err(error),
    }
}

/// What was checked when it was installed, read again against the controller's own keys.
pub(crate) fn read_installed(package: &[u8], keys: &OwnKeys) -> Result<Installed, DoorError> {
    let damaged = || StoreError::Damaged("the package");
    let package: Package = serde_json::from_slice(package).map_err(|_| damaged())?;
    let offer = offer_of(keys, NO_CHALLENGE);
    let commissioned = package.verify(&offer).map_err(|_| damaged())?;
    Ok(commissioned.into())
}
