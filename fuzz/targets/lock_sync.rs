//! Bundles, logs and receipts: as bytes of anybody's, and as what the right key has signed and sealed, which is what a
//! portal or a door of a later version, or a broken one, may send.
#![no_main]

use std::sync::LazyLock;

use aliro::crypto::{PublicKey, Signature};
use latchkey_protocol::bundle::{Content, Header, SignedHeader};
use latchkey_protocol::doorlog::{Parcel, Receipt, SignedParcel, SignedReceipt};
use latchkey_protocol::ids::PropertyId;
use latchkey_protocol::sealing::SealingKey;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

/// A header or a parcel is of this property when its id is all zero.
const PROPERTY: PropertyId = PropertyId([0; PropertyId::LEN]);

static KEY: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).expect("a key");
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &SystemRandom::new()).expect("a key")
});

static SEALING: LazyLock<SealingKey> = LazyLock::new(|| SealingKey::from_seed(&[1; 32]));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [kind, bytes @ ..] = bytes else { return };
    match kind % 4 {
        0 => {
            if let Ok(signed) = SignedHeader::from_bytes(bytes) {
                assert_eq!(signed.to_bytes(), bytes);
            }
            if let Ok(signed) = SignedReceipt::from_bytes(bytes) {
                assert_eq!(signed.to_bytes(), bytes);
            }
            assert!(SignedParcel::open(bytes, PROPERTY, &SEALING).is_err());
            if let Ok(content) = Content::from_bytes(bytes) {
                assert_eq!(content.to_bytes(), bytes, "one meaning has one encoding");
            }
        }
        1 => header(bytes),
        2 => {
            let signed = SignedReceipt::new(bytes.to_vec(), sign(&Receipt::to_be_signed(bytes)));
            if let Ok(receipt) = signed.verify(&public()) {
                assert_eq!(receipt.payload(), bytes, "one meaning has one encoding");
            }
        }
        _ => {
            let signed = SignedParcel::new(bytes.to_vec(), sign(&Parcel::to_be_signed(bytes)));
            assert_eq!(signed.claimed().is_ok(), signed.verify(&public()).is_ok());
        }
    }
});

fn header(payload: &[u8]) {
    let signed = SignedHeader::new(payload.to_vec(), sign(&Header::to_be_signed(payload)));
    let Ok(header) = signed.verify(&public(), PROPERTY) else {
        return;
    };
    assert_eq!(header.payload(), payload, "one meaning has one encoding");
    let last = u16::try_from(header.pages.len()).expect("at most 256");
    assert!(header.check_page(last, b"behind the last").is_err());
    assert!(header.open(&SEALING, vec![0; 40]).is_err());
}

fn sign(message: &[u8]) -> Signature {
    let signature = KEY.sign(&SystemRandom::new(), message).expect("signed");
    Signature::from_slice(signature.as_ref()).expect("64 bytes")
}

fn public() -> PublicKey {
    PublicKey::from_uncompressed(KEY.public_key().as_ref()).expect("a point")
}
