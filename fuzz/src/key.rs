//! P-256 keys by number.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};

use aliro::crypto::{CryptoError, Entropy, Ephemeral, PublicKey, Signature};
use p256::SecretKey;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;
use p256::elliptic_curve::sec1::ToSec1Point;
use zeroize::Zeroizing;

/// So much is remembered, then it is all forgotten.
const REMEMBERED: usize = 10_000;

thread_local! {
    static PUBLIC: RefCell<HashMap<u8, PublicKey>> = RefCell::default();
    static SIGNED: RefCell<HashMap<(u8, Vec<u8>), Signature>> = RefCell::default();
    static AGREED: RefCell<HashMap<(u8, PublicKey), [u8; 32]>> = RefCell::default();
}

/// A key pair, the same for the same number in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(pub u8);

impl Key {
    fn secret(self) -> SecretKey {
        let mut scalar = [0x42; 32];
        scalar[31] = self.0;
        SecretKey::from_slice(&scalar).expect("below the order")
    }

    pub fn public(self) -> PublicKey {
        remembered(&PUBLIC, self.0, || {
            let point = self.secret().public_key().to_sec1_point(false);
            PublicKey::from_uncompressed(point.as_bytes()).expect("a point")
        })
    }

    /// Signs without randomness (RFC 6979).
    pub fn sign(self, message: &[u8]) -> Signature {
        remembered(&SIGNED, (self.0, message.to_vec()), || {
            let signature: p256::ecdsa::Signature = SigningKey::from(self.secret()).sign(message);
            Signature(signature.to_bytes().into())
        })
    }
}

impl Ephemeral for Key {
    fn public_key(&self) -> PublicKey {
        self.public()
    }

    fn agree(self: Box<Self>, peer: &PublicKey) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let shared = remembered(&AGREED, (self.0, *peer), || {
            let peer = p256::PublicKey::from_sec1_bytes(peer.as_bytes()).expect("a point");
            let secret = self.secret().to_nonzero_scalar();
            let shared = p256::ecdh::diffie_hellman(secret, peer.as_affine());
            (*shared.raw_secret_bytes()).into()
        });
        Ok(Zeroizing::new(shared))
    }
}

/// Ephemeral keys in the order of their numbers, and bytes that are never the same twice.
#[derive(Debug)]
pub struct Dealt(AtomicU8);

impl Dealt {
    pub fn from(first: u8) -> Self {
        Self(AtomicU8::new(first))
    }
}

impl Entropy for Dealt {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        out.fill(self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }

    fn ephemeral(&self) -> Result<Box<dyn Ephemeral>, CryptoError> {
        Ok(Box::new(Key(self.0.fetch_add(1, Ordering::Relaxed))))
    }
}

type Memory<K, V> = std::thread::LocalKey<RefCell<HashMap<K, V>>>;

fn remembered<K: Eq + std::hash::Hash, V: Clone>(
    memory: &'static Memory<K, V>,
    key: K,
    work: impl FnOnce() -> V,
) -> V {
    if let Some(known) = memory.with_borrow(|memory| memory.get(&key).cloned()) {
        return known;
    }
    let value = work();
    memory.with_borrow_mut(|memory| {
        if memory.len() >= REMEMBERED {
            memory.clear();
        }
        memory.insert(key, value.clone());
    });
    value
}
