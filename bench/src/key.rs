//! Keys as a phone or a door in software holds them.

use aliro::crypto::{PublicKey, Signature};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as ES256, EcdsaKeyPair, KeyPair as _};

/// A P-256 key that signs.
pub(crate) struct Key(EcdsaKeyPair);

impl Key {
    /// A new one.
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ES256, &random).expect("a key");
        Self(EcdsaKeyPair::from_pkcs8(&ES256, pkcs8.as_ref(), &random).expect("a key"))
    }

    /// Its public half.
    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_uncompressed(self.0.public_key().as_ref()).expect("a point")
    }

    /// Signs.
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let signature = self.0.sign(&SystemRandom::new(), message).expect("signed");
        Signature::from_slice(signature.as_ref()).expect("64 bytes")
    }
}
