//! What nobody can do without, done by ring, which is what we do it with.

use std::rc::Rc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{
    ECDH_P256, EphemeralPrivateKey, PublicKey, UnparsedPublicKey, agree_ephemeral,
};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING as ES256, EcdsaKeyPair, KeyPair as _,
    Signature, UnparsedPublicKey as VerifyingKey,
};

use crate::measure::Timed;

/// A fresh pair of keys on P-256.
pub(crate) fn key_pair() -> Timed {
    Timed::new(fresh)
}

/// An agreement of two pairs, on one side.
pub(crate) fn agreement() -> Timed {
    let prepare = || (fresh().0, fresh().1);
    Timed::prepared(
        prepare,
        |(mine, theirs): (EphemeralPrivateKey, PublicKey)| {
            let theirs = UnparsedPublicKey::new(&ECDH_P256, theirs);
            agree_ephemeral(mine, &theirs, |secret| {
                let mut out = [0; 32];
                out.copy_from_slice(secret);
                out
            })
            .expect("agreed")
        },
    )
}

/// A signature over so many bytes.
pub(crate) fn signature(length: usize) -> Timed {
    let key = signing_key();
    let message = vec![7; length];
    Timed::new(move || sign(&key, &message))
}

/// A check of a signature over so many bytes, each time of another one: how long it takes depends on it.
pub(crate) fn check(length: usize) -> Timed {
    let key = Rc::new(signing_key());
    let message = vec![7; length];
    let signed = (Rc::clone(&key), message.clone());
    Timed::prepared(
        move || sign(&signed.0, &signed.1),
        move |signature| {
            VerifyingKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref())
                .verify(&message, signature.as_ref())
                .expect("verified");
        },
    )
}

/// HKDF-SHA-256 over a 32-byte secret: one extraction with a salt of so many bytes, and an expansion to
/// each of these lengths.
pub(crate) fn hkdf<const N: usize>(salt: usize, lengths: [usize; N]) -> Timed {
    let salt = vec![7; salt];
    Timed::new(move || {
        let prk = Salt::new(HKDF_SHA256, &salt).extract(&[8; 32]);
        lengths.map(|length| {
            let mut out = [0; 160];
            let okm = prk.expand(&[&[9; 32]], Length(length)).expect("a length");
            okm.fill(&mut out[..length]).expect("that length");
            out
        })
    })
}

/// AES-256-GCM, sealing so many bytes under a new key.
pub(crate) fn seal(length: usize) -> Timed {
    Timed::prepared(
        move || Vec::from_iter(std::iter::repeat_n(7, length)),
        |mut buffer: Vec<u8>| gcm().seal_in_place_separate_tag(nonce(), Aad::empty(), &mut buffer),
    )
}

/// AES-256-GCM, opening so many bytes under a new key.
pub(crate) fn open(length: usize) -> Timed {
    let mut sealed = vec![7; length];
    gcm()
        .seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed)
        .expect("sealed");
    Timed::prepared(
        move || sealed.clone(),
        |mut buffer| {
            let plain = gcm().open_in_place(nonce(), Aad::empty(), &mut buffer);
            plain.expect("opened").len()
        },
    )
}

/// AES-256-GCM, finding that so many bytes were sealed under another key.
pub(crate) fn open_in_vain(length: usize) -> Timed {
    let sealed = vec![7; length + AES_256_GCM.tag_len()];
    Timed::prepared(
        move || sealed.clone(),
        |mut buffer| {
            let failed = gcm().open_in_place(nonce(), Aad::empty(), &mut buffer);
            failed.expect_err("another key");
        },
    )
}

fn fresh() -> (EphemeralPrivateKey, PublicKey) {
    let private = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).expect("a key");
    let public = private.compute_public_key().expect("a point");
    (private, public)
}

fn signing_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ES256, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(&ES256, pkcs8.as_ref(), &random).expect("a key")
}

fn sign(key: &EcdsaKeyPair, message: &[u8]) -> Signature {
    key.sign(&SystemRandom::new(), message).expect("signed")
}

fn gcm() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key"))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
