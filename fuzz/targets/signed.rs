//! Everything signed: as bytes of anybody's, and as payloads that the right key has signed, which
//! is what an issuer or a door of a later version, or a broken one, may send.
#![no_main]

use std::sync::LazyLock;

use aliro::crypto::{PublicKey, Signature};
use latchkey_protocol::clock::{SignedTimeAnswer, TimeAnswer};
use latchkey_protocol::commissioning::SignedOffer;
use latchkey_protocol::doorstate::{DoorState, SignedDoorState};
use latchkey_protocol::ids::{DoorId, PropertyId};
use latchkey_protocol::pass::{Pass, SignedPass};
use latchkey_protocol::revocation::RevocationList;
use latchkey_protocol::statement::{SignedStatement, Statement};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

/// A statement, pass, state or answer is for this property and door when its ids are all zero.
const PROPERTY: PropertyId = PropertyId([0; PropertyId::LEN]);
const DOOR: DoorId = DoorId([0; DoorId::LEN]);

static KEY: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).expect("a key");
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &SystemRandom::new()).expect("a key")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    as_sent(bytes);
    if let [kind, payload @ ..] = bytes {
        as_signed(*kind, payload);
    }
});

fn as_sent(bytes: &[u8]) {
    if let Ok(signed) = SignedStatement::from_bytes(bytes) {
        assert_eq!(signed.to_bytes(), bytes);
    }
    if let Ok(signed) = SignedPass::from_bytes(bytes) {
        assert_eq!(signed.to_bytes(), bytes);
    }
    if let Ok(signed) = SignedDoorState::from_bytes(bytes) {
        assert_eq!(signed.to_bytes(), bytes);
        let _ = signed.claimed();
    }
    if let Ok(signed) = SignedTimeAnswer::from_bytes(bytes) {
        assert_eq!(signed.to_bytes(), bytes);
    }
    if let Ok(signed) = SignedOffer::from_bytes(bytes) {
        assert_eq!(signed.to_bytes(), bytes);
        let _ = signed.verify();
    }
    let _ = RevocationList::verify(bytes, &public());
}

fn as_signed(kind: u8, payload: &[u8]) {
    let owned = payload.to_vec();
    let key = &public();
    let encoded_again = match kind % 5 {
        0 => {
            let signature = sign(&Statement::to_be_signed(payload));
            let statement = SignedStatement::new(owned, signature).verify(key, PROPERTY);
            statement.ok().map(|statement| statement.payload())
        }
        1 => {
            let signature = sign(&Pass::to_be_signed(PROPERTY, payload));
            let pass = SignedPass::new(owned, signature).verify(key, PROPERTY);
            pass.ok()
                .map(|pass| pass.payload().expect("a pass that was read"))
        }
        2 => {
            let signature = sign(&DoorState::to_be_signed(payload));
            let state = SignedDoorState::new(owned, signature);
            let verified = state.verify(key);
            assert_eq!(verified.is_ok(), state.claimed().is_ok());
            verified.ok().map(|state| state.payload())
        }
        3 => {
            let signature = sign(&TimeAnswer::to_be_signed(payload));
            let answer = SignedTimeAnswer::new(owned, signature).verify(key, PROPERTY, DOOR);
            answer.ok().map(|answer| answer.payload())
        }
        // An offer shows by itself who signed it.
        _ => None,
    };
    if let Some(encoded) = encoded_again {
        assert_eq!(encoded, payload, "one meaning has one encoding");
    }
}

fn sign(message: &[u8]) -> Signature {
    let signature = KEY.sign(&SystemRandom::new(), message).expect("signed");
    Signature::from_slice(signature.as_ref()).expect("64 bytes")
}

fn public() -> PublicKey {
    PublicKey::from_uncompressed(KEY.public_key().as_ref()).expect("a point")
}
