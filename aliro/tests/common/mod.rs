//! What the integration tests share: fixed keys, both ends in one process.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]

use std::collections::VecDeque;
use std::sync::Mutex;

use aliro::crypto::{CryptoError, Entropy, Ephemeral, PublicKey, Signature};
use p256::ecdsa::signature::Signer;
use p256::elliptic_curve::sec1::ToSec1Point;
use zeroize::Zeroizing;

/// A long-term key of a test.
#[derive(Clone)]
pub(crate) struct Key(p256::SecretKey);

impl Key {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(p256::SecretKey::from_slice(bytes).unwrap())
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::new(ring::digest::digest(&ring::digest::SHA256, name.as_bytes()).as_ref())
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_uncompressed(self.0.public_key().to_sec1_point(false).as_bytes()).unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let signature: p256::ecdsa::Signature =
            p256::ecdsa::SigningKey::from(self.0.clone()).sign(message);
        Signature(signature.to_bytes().into())
    }
}

/// Ephemeral keys and random bytes in a fixed order.
pub(crate) struct Fixed {
    keys: Mutex<VecDeque<Key>>,
    bytes: Mutex<VecDeque<u8>>,
}

impl Fixed {
    pub(crate) fn new(keys: &[&[u8]], bytes: &[u8]) -> Self {
        Self {
            keys: Mutex::new(keys.iter().map(|key| Key::new(key)).collect()),
            bytes: Mutex::new(bytes.iter().copied().collect()),
        }
    }
}

impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        let mut bytes = self.bytes.lock().unwrap();
        out.fill_with(|| bytes.pop_front().unwrap_or(0x77));
        Ok(())
    }

    fn ephemeral(&self) -> Result<Box<dyn Ephemeral>, CryptoError> {
        let key = self.keys.lock().unwrap().pop_front().unwrap();
        Ok(Box::new(FixedEphemeral(key)))
    }
}

struct FixedEphemeral(Key);

impl Ephemeral for FixedEphemeral {
    fn public_key(&self) -> PublicKey {
        self.0.public()
    }

    fn agree(self: Box<Self>, peer: &PublicKey) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let peer = p256::PublicKey::from_sec1_bytes(peer.as_bytes())
            .map_err(|_| CryptoError::InvalidPoint)?;
        let shared = p256::ecdh::diffie_hellman(self.0.0.to_nonzero_scalar(), peer.as_affine());
        Ok(Zeroizing::new((*shared.raw_secret_bytes()).into()))
    }
}
