//! Where a desk keeps sealing keys: in the session's Secret Service where there is one, else in files.

use std::path::{Path, PathBuf};

use latchkey_env::SharedRandom;

use super::sealing_key::{
    FileSealingKey, SealingKey, SealingKeyError, SealingKeyStore, SealingPlace, WalletId,
};
#[cfg(target_os = "linux")]
use super::secret_service;

/// Keeps sealing keys as a desk can: a new one in the Secret Service of the session (Linux), where there is one, else in
/// a file of this folder.
///
/// Where a wallet's key was made it stays, until [`move_to_service`](Self::move_to_service). A wallet without a key file
/// has its key in the service: while that is away, or the keyring stays locked, the wallet does not open, and no other
/// key is made for it.
#[derive(Clone)]
pub struct DeskSealingKeys {
    files: FileSealingKey,
    folder: PathBuf,
    random: SharedRandom,
}

impl DeskSealingKeys {
    /// Key files lie in `folder`, which is made when it is first needed.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, random: SharedRandom) -> Self {
        let folder = folder.into();
        Self {
            files: FileSealingKey::new(&folder, random.clone()),
            folder,
            random,
        }
    }

    /// Moves a wallet's key from its file into the Secret Service; one that is there stays. A kill in between leaves it
    /// in both.
    ///
    /// # Errors
    /// [`SealingKeyError::NoService`], [`SealingKeyError::NoKeyring`] and [`SealingKeyError::KeyringLocked`] leave it in
    /// its file.
    pub fn move_to_service(&self, wallet: WalletId) -> Result<(), SealingKeyError> {
        let Some(key) = self.files.load(wallet)? else {
            return Ok(());
        };
        if !secret_service::is_there()? {
            return Err(SealingKeyError::NoService(self.folder.clone()));
        }
        secret_service::keep(wallet, &key)?;
        self.files.remove(wallet)
    }
}

impl std::fmt::Debug for DeskSealingKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DeskSealingKeys")
            .field(&self.folder)
            .finish()
    }
}

impl SealingKeyStore for DeskSealingKeys {
    fn load(&self, wallet: WalletId) -> Result<Option<SealingKey>, SealingKeyError> {
        if let Some(key) = self.files.load(wallet)? {
            return Ok(Some(key));
        }
        if !secret_service::is_there()? {
            return Err(SealingKeyError::NoService(self.folder.clone()));
        }
        secret_service::load(wallet)
    }

    fn create(&self, wallet: WalletId) -> Result<SealingKey, SealingKeyError> {
        if !secret_service::is_there()? {
            return self.files.create(wallet);
        }
        let key = SealingKey::random(&*self.random);
        secret_service::keep(wallet, &key)?;
        Ok(key)
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.folder)
    }

    fn place(&self, wallet: WalletId) -> Result<SealingPlace, SealingKeyError> {
        Ok(match self.files.load(wallet)? {
            Some(_) => self.files.place(wallet)?,
            None => SealingPlace::SecretService,
        })
    }
}

/// Elsewhere there is none.
#[cfg(not(target_os = "linux"))]
mod secret_service {
    use super::{SealingKey, SealingKeyError, WalletId};

    pub(super) fn is_there() -> Result<bool, SealingKeyError> {
        Ok(false)
    }

    pub(super) fn load(_: WalletId) -> Result<Option<SealingKey>, SealingKeyError> {
        Ok(None)
    }

    pub(super) fn keep(_: WalletId, _: &SealingKey) -> Result<(), SealingKeyError> {
        Err(SealingKeyError::NoKeyring)
    }
}
