//! The controller's own keys: made here, never leaving.

use aliro::crypto::{PublicKey, Signature};
use latchkey_protocol::sealing::SealingKey;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use zeroize::Zeroizing;

use crate::env::Env;
use crate::seal::PhoneSeal;
use crate::store::StoredKeys;

/// A key pair could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No randomness, or signing failed for want of it.
    #[error("the system gives no randomness")]
    NoRandomness,
    /// What was stored is no key.
    #[error("a stored key does not read")]
    Damaged,
}

/// The reader key, which is Aliro's and signs all that this door says, the key that things are sealed to,
/// and what seals the phones that it remembers.
pub(crate) struct OwnKeys {
    reader: EcdsaKeyPair,
    reader_public: PublicKey,
    sealing: SealingKey,
    sealing_public: PublicKey,
    phones: PhoneSeal,
}

/// New keys, as they are to be stored.
pub(crate) fn new_keys(env: &Env) -> Result<StoredKeys, KeyError> {
    let reader =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| KeyError::NoRandomness)?;
    let seed = Zeroizing::new(env.random::<32>());
    Ok(StoredKeys {
        reader: Zeroizing::new(reader.as_ref().to_vec()),
        sealing: SealingKey::from_seed(&seed).to_bytes(),
    })
}

impl OwnKeys {
    /// Reads what was stored.
    pub(crate) fn from_stored(stored: &StoredKeys) -> Result<Self, KeyError> {
        let reader = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &stored.reader,
            &SystemRandom::new(),
        )
        .map_err(|_| KeyError::Damaged)?;
        let reader_public = PublicKey::from_uncompressed(reader.public_key().as_ref())
            .map_err(|_| KeyError::Damaged)?;
        let sealing = SealingKey::from_bytes(&stored.sealing).map_err(|_| KeyError::Damaged)?;
        Ok(Self {
            reader,
            reader_public,
            sealing_public: sealing.public().map_err(|_| KeyError::Damaged)?,
            phones: PhoneSeal::derived_from(&stored.sealing)?,
            sealing,
        })
    }

    /// Signs with the reader key: ES256, r || s.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Signature, KeyError> {
        let signature = self
            .reader
            .sign(&SystemRandom::new(), message)
            .map_err(|_| KeyError::NoRandomness)?;
        Signature::from_slice(signature.as_ref()).map_err(|_| KeyError::NoRandomness)
    }

    /// The reader key's public half.
    pub(crate) fn reader(&self) -> &PublicKey {
        &self.reader_public
    }

    /// Seals the phones that this controller remembers.
    pub(crate) fn phone_seal(&self) -> &PhoneSeal {
        &self.phones
    }

    /// The sealing key's public half.
    pub(crate) fn sealing(&self) -> &PublicKey {
        &self.sealing_public
    }

    /// Opens what is sealed to this door.
    pub(crate) fn opener(&self) -> &SealingKey {
        &self.sealing
    }
}
