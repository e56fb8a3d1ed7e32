//! Key pairs of tests. Their signatures are deterministic (RFC 6979), so that bytes can be pinned.

use aliro::crypto::{PublicKey, Signature};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;

/// A key pair made of a word, which no other word makes.
pub(crate) struct TestKey(SigningKey);

impl TestKey {
    pub(crate) fn of(word: &str) -> Self {
        let seed = ring::digest::digest(&ring::digest::SHA256, word.as_bytes());
        Self(SigningKey::from_slice(seed.as_ref()).expect("a scalar below the order"))
    }

    pub(crate) fn public(&self) -> PublicKey {
        let point = self.0.verifying_key().to_sec1_point(false);
        PublicKey::from_uncompressed(point.as_bytes()).expect("a point")
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let signature: p256::ecdsa::Signature = self.0.sign(message);
        Signature::from_slice(&signature.to_bytes()).expect("64 bytes")
    }
}
