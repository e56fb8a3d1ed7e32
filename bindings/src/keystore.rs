//! The platform's keystore, as the library calls it: foreign traits, and what makes `core`'s own of
//! them.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use latchkey_core::keys as core_keys;
use latchkey_core::wallet as core_wallet;

use crate::mirror::mirror;

mirror! {
    core_keys::KeyUse =>
    /// What a key is for. No key serves two uses.
    KeyUse {
        /// Signs requests to a portal. One a portal.
        Account,
        /// Proves at doors who is there. One a property.
        Access,
        /// Signs rotating codes. One a property.
        Code,
    }
}

mirror! {
    core_keys::Protection =>
    /// Where keys live. An app says which.
    Protection {
        /// A secure element or trusted environment: the private key cannot be read out.
        Hardware,
        /// Sealed in the wallet.
        Software,
    }
}

/// What a platform's keystore answers when it does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum KeystoreError {
    /// There is no such key: deleted, or made invalid by the platform (a new fingerprint).
    #[error("the keystore has no such key")]
    Missing,
    /// The person did not confirm, or the device is locked.
    #[error("the person did not confirm")]
    NotConfirmed,
    /// It failed. The text is for a log.
    #[error("the keystore failed: {detail}")]
    Failed {
        /// For a log, never shown and never matched.
        detail: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for KeystoreError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed {
            detail: error.reason,
        }
    }
}

/// The phone's long-term keys: P-256, they sign and do nothing else.
///
/// Backed by the Android keystore (StrongBox where there is one) or the Secure Enclave; an app that has
/// neither gives none, and keys live sealed in the wallet. A signature may take seconds: hardware is
/// slow, and a platform may ask for a fingerprint. Calls may overlap; an implementation never calls back
/// into the library.
#[uniffi::export(rust, foreign)]
#[async_trait]
pub trait DeviceKey: Send + Sync {
    /// Where these keys live.
    fn protection(&self) -> Protection;

    /// Whether an access credential signs only for somebody who is there: the platform asks for a
    /// fingerprint, or signs while the device is unlocked and not else. Every door then gets a signature;
    /// else one that has met this phone may know it again without. One that throws here counts as *yes*.
    fn needs_presence(&self) -> Result<bool, KeystoreError>;

    /// Makes a key, durable when this returns, in place of one of the same label. The public key: 65
    /// bytes uncompressed (SEC 1, section 2.3.3).
    async fn create(&self, label: String, usage: KeyUse) -> Result<Vec<u8>, KeystoreError>;

    /// The public key of a label; null when there is no such key.
    async fn public_key(&self, label: String) -> Result<Option<Vec<u8>>, KeystoreError>;

    /// Signs a message with ECDSA over P-256 and SHA-256; the message is not hashed yet. r || s, 32 bytes
    /// each: keystores return DER, convert it.
    async fn sign(&self, label: String, message: Vec<u8>) -> Result<Vec<u8>, KeystoreError>;

    /// Deletes a key, if there is one.
    async fn delete(&self, label: String) -> Result<(), KeystoreError>;
}

/// Keeps the key that seals a wallet, outside the wallet's folder.
///
/// Backed by the Android keystore or the iOS keychain: 32 random bytes, wrapped by a key that never
/// leaves the device and in no backup. Called while a wallet opens, at most twice, from the opening
/// thread; never re-entered. May block for some tens of milliseconds.
#[uniffi::export(rust, foreign)]
pub trait SealingKeyStore: Send + Sync {
    /// The 32 bytes kept for this wallet (32 hex digits name it); null when this store has never made
    /// them or has lost them.
    fn load(&self, wallet: String) -> Result<Option<Vec<u8>>, KeystoreError>;

    /// Draws 32 bytes for a new wallet from the platform's secure generator and keeps them durably before
    /// it returns them.
    fn create(&self, wallet: String) -> Result<Vec<u8>, KeystoreError>;
}

/// A platform's keys, as `core` asks for them.
pub(crate) struct ForeignKeys(pub(crate) Arc<dyn DeviceKey>);

#[async_trait]
impl core_keys::DeviceKeys for ForeignKeys {
    fn protection(&self) -> core_keys::Protection {
        match self.0.protection() {
            Protection::Hardware => core_keys::Protection::Hardware,
            Protection::Software => core_keys::Protection::Software,
        }
    }

    fn needs_presence(&self) -> bool {
        self.0.needs_presence().unwrap_or(true)
    }

    async fn create(
        &self,
        label: &str,
        usage: core_keys::KeyUse,
    ) -> Result<[u8; 65], core_keys::DeviceKeyError> {
        let public = self.0.create(label.to_owned(), usage.into()).await;
        sized(public.map_err(|error| key_error(label, error))?)
    }

    async fn public_key(&self, label: &str) -> Result<Option<[u8; 65]>, core_keys::DeviceKeyError> {
        let public = self.0.public_key(label.to_owned()).await;
        public
            .map_err(|error| key_error(label, error))?
            .map(sized)
            .transpose()
    }

    async fn sign(
        &self,
        label: &str,
        message: &[u8],
    ) -> Result<[u8; 64], core_keys::DeviceKeyError> {
        let signature = self.0.sign(label.to_owned(), message.to_owned()).await;
        sized(signature.map_err(|error| key_error(label, error))?)
    }

    async fn delete(&self, label: &str) -> Result<(), core_keys::DeviceKeyError> {
        let deleted = self.0.delete(label.to_owned()).await;
        deleted.map_err(|error| key_error(label, error))
    }
}

fn key_error(label: &str, error: KeystoreError) -> core_keys::DeviceKeyError {
    match error {
        KeystoreError::Missing => core_keys::DeviceKeyError::Missing(label.to_owned()),
        KeystoreError::NotConfirmed => core_keys::DeviceKeyError::NotConfirmed,
        KeystoreError::Failed { detail } => core_keys::DeviceKeyError::Failed(detail),
    }
}

fn sized<const N: usize>(bytes: Vec<u8>) -> Result<[u8; N], core_keys::DeviceKeyError> {
    bytes.try_into().map_err(|bytes: Vec<u8>| {
        let detail = format!("{} bytes instead of {N}", bytes.len());
        core_keys::DeviceKeyError::Failed(detail)
    })
}

/// A platform's store of sealing keys, as `core` asks for it.
pub(crate) struct ForeignSealingKeys(pub(crate) Arc<dyn SealingKeyStore>);

impl core_wallet::SealingKeyStore for ForeignSealingKeys {
    fn load(
        &self,
        wallet: core_wallet::WalletId,
    ) -> Result<Option<core_wallet::SealingKey>, core_wallet::SealingKeyError> {
        let key = self.0.load(wallet.to_string()).map_err(refused)?;
        key.map(sealing_key).transpose()
    }

    fn create(
        &self,
        wallet: core_wallet::WalletId,
    ) -> Result<core_wallet::SealingKey, core_wallet::SealingKeyError> {
        sealing_key(self.0.create(wallet.to_string()).map_err(refused)?)
    }

    fn folder(&self) -> Option<&Path> {
        None
    }
}

fn sealing_key(bytes: Vec<u8>) -> Result<core_wallet::SealingKey, core_wallet::SealingKeyError> {
    let length = bytes.len();
    let key = bytes.try_into().map_err(|_| {
        let detail = format!("{length} bytes instead of 32");
        core_wallet::SealingKeyError::Refused(detail)
    })?;
    Ok(core_wallet::SealingKey::new(key))
}

fn refused(error: KeystoreError) -> core_wallet::SealingKeyError {
    core_wallet::SealingKeyError::Refused(error.to_string())
}
