//! Keys in software, sealed in the wallet.

use std::sync::Arc;

use async_trait::async_trait;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use zeroize::Zeroizing;

use super::{DeviceKeyError, DeviceKeys, KeyUse, Protection};
use crate::wallet::Wallet;

/// The fallback for devices without a keystore of their own: PKCS#8 in a sealed column, opened for each
/// signature.
#[derive(Debug, Clone)]
pub struct SoftwareKeys {
    wallet: Arc<Wallet>,
}

impl SoftwareKeys {
    /// Keys in this wallet.
    #[must_use]
    pub fn new(wallet: Arc<Wallet>) -> Self {
        Self { wallet }
    }

    fn load(&self, label: &str) -> Result<Option<EcdsaKeyPair>, DeviceKeyError> {
        self.wallet
            .read(|tx| tx.device_key(label))?
            .map(|pkcs8| key_pair(&pkcs8))
            .transpose()
    }
}

#[async_trait]
impl DeviceKeys for SoftwareKeys {
    fn protection(&self) -> Protection {
        Protection::Software
    }

    fn needs_presence(&self) -> bool {
        false
    }

    async fn create(&self, label: &str, _usage: KeyUse) -> Result<[u8; 65], DeviceKeyError> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|error| failed(&error))?;
        let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
        self.wallet.write(|tx| tx.put_device_key(label, &pkcs8))?;
        public(&key_pair(&pkcs8)?)
    }

    async fn public_key(&self, label: &str) -> Result<Option<[u8; 65]>, DeviceKeyError> {
        self.load(label)?.map(|pair| public(&pair)).transpose()
    }

    async fn sign(&self, label: &str, message: &[u8]) -> Result<[u8; 64], DeviceKeyError> {
        let pair = self
            .load(label)?
            .ok_or_else(|| DeviceKeyError::Missing(label.to_owned()))?;
        let signature = pair
            .sign(&SystemRandom::new(), message)
            .map_err(|error| failed(&error))?;
        signature
            .as_ref()
            .try_into()
            .map_err(|error| failed(&error))
    }

    async fn delete(&self, label: &str) -> Result<(), DeviceKeyError> {
        Ok(self.wallet.write(|tx| tx.delete_device_key(label))?)
    }
}

fn key_pair(pkcs8: &[u8]) -> Result<EcdsaKeyPair, DeviceKeyError> {
    EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        pkcs8,
        &SystemRandom::new(),
    )
    .map_err(|error| failed(&error))
}

fn public(pair: &EcdsaKeyPair) -> Result<[u8; 65], DeviceKeyError> {
    pair.public_key()
        .as_ref()
        .try_into()
        .map_err(|error| failed(&error))
}

fn failed(error: &impl std::fmt::Display) -> DeviceKeyError {
    DeviceKeyError::Failed(error.to_string())
}
