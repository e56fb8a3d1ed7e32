//! Everything that is signed: first as it comes, then as a payload that the right key has signed, since
//! a key that leaked, or a peer with a fault, gets that far. The first byte says which.
#![no_main]

use std::sync::LazyLock;

use aliro::crypto::{PublicKey, Signature};
use latchkey_protocol::clock::{SignedTimeAnswer, TimeAnswer};
use latchkey_protocol::commissioning::SignedOffer;
use latchkey_protocol::doorstate::{DoorState, SignedDoorState};
use latchkey_protocol::ids::{DoorId, PropertyId};
use latchkey_protocol::pass::{Pass, SignedPass};
use latchkey_protocol::statement::{SignedStatement, Statement};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

const PROPERTY: PropertyId = PropertyId([0; PropertyId::LEN]);

static KEY: LazyLock<(EcdsaKeyPair, PublicKey)> = LazyLock::new(|| {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key");
    let public = PublicKey::from_uncompressed(pair.public_key().as_ref()).expect("a point");
    (pair, public)
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let payload = bytes.to_vec();
    let key = &KEY.1;
    match which {
        0 => {
            let _ = SignedStatement::from_bytes(bytes).map(|it| it.verify(key, PROPERTY));
            let signature = sign(Statement::to_be_signed(bytes));
            let _ = SignedStatement::new(payload, signature).verify(key, PROPERTY);
        }
        1 => {
            let _ = SignedDoorState::from_bytes(bytes).map(|it| it.claimed());
            let signature = sign(DoorState::to_be_signed(bytes));
            let state = SignedDoorState::new(payload, signature);
            assert_eq!(state.verify(key).is_ok(), state.claimed().is_ok());
        }
        2 => {
            let _ = SignedPass::from_bytes(bytes).map(|it| it.verify(key, PROPERTY));
            let signature = sign(Pass::to_be_signed(PROPERTY, bytes));
            let _ = SignedPass::new(payload, signature).verify(key, PROPERTY);
        }
        3 => {
            let door = DoorId([0; DoorId::LEN]);
            let _ = SignedTimeAnswer::from_bytes(bytes).map(|it| it.verify(key, PROPERTY, door));
            let signature = sign(TimeAnswer::to_be_signed(bytes));
            let _ = SignedTimeAnswer::new(payload, signature).verify(key, PROPERTY, door);
        }
        _ => drop(SignedOffer::from_bytes(bytes).map(|it| it.verify())),
    }
});

fn sign(bytes: Vec<u8>) -> Signature {
    let signature = KEY.0.sign(&SystemRandom::new(), &bytes).expect("signed");
    Signature::from_slice(signature.as_ref()).expect("64 bytes")
}
