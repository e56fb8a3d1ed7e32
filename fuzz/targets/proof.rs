//! Proofs of possession over a nonce: two of them are signed alike only when they say the same, and each verifies for
//! itself alone.
#![no_main]

use latchkey_fuzz::{Key, Script};
use latchkey_protocol::ids::{AccountId, DoorId, Generation, LinkId, PropertyId};
use latchkey_protocol::proof::{CredentialProof, DoorSignIn, KeyKind, NONCE_LEN, Registrant};

#[derive(Debug, PartialEq, Eq)]
enum Proof {
    Door(DoorSignIn),
    Credential(CredentialProof),
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let one = proof(&mut script);
    let other = proof(&mut script);
    let alike = one.to_be_signed() == other.to_be_signed();
    assert_eq!(alike, one == other, "{one:?} {other:?}");
    // Arithmetic takes a hundred times as long as the rest: only some are signed, and not more of them
    // because an input that was is kept.
    if sum_of(bytes).is_multiple_of(256) {
        let key = one.key();
        let signature = key.sign(&one.to_be_signed());
        assert!(one.verifies(&signature));
        let same_key = other.key() == key;
        assert_eq!(other.verifies(&signature), alike && same_key);
    }
});

/// A sum that a changed byte changes (FNV-1a).
fn sum_of(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

impl Proof {
    fn to_be_signed(&self) -> Vec<u8> {
        match self {
            Self::Door(proof) => proof.to_be_signed(),
            Self::Credential(proof) => proof.to_be_signed(),
        }
    }

    fn key(&self) -> Key {
        let Self::Credential(proof) = self else {
            return Key(0);
        };
        let keys = (0..4).map(Key);
        let mut mine = keys.filter(|key| key.public() == proof.key);
        mine.next().expect("one of four")
    }

    fn verifies(&self, signature: &aliro::crypto::Signature) -> bool {
        match self {
            Self::Door(proof) => proof.verify(&Key(0).public(), signature).is_ok(),
            Self::Credential(proof) => proof.verify(signature).is_ok(),
        }
    }
}

/// Few values, so that two proofs meet.
fn proof(script: &mut Script<'_>) -> Proof {
    let kind = script.byte();
    let property = PropertyId([script.byte() % 4; 16]);
    let mut nonce = [0; NONCE_LEN];
    nonce[usize::from(script.byte()) % NONCE_LEN] = script.byte() % 2;
    let who = script.byte() % 4;
    if kind % 2 == 0 {
        return Proof::Door(DoorSignIn {
            property,
            door: DoorId([who; 12]),
            generation: Generation(script.byte().into()),
            nonce,
        });
    }
    Proof::Credential(CredentialProof {
        property,
        kind: if kind & 2 == 0 {
            KeyKind::AccessCredential
        } else {
            KeyKind::CodeKey
        },
        registrant: if kind & 4 == 0 {
            Registrant::Account(AccountId([who; 16]))
        } else {
            Registrant::Link(LinkId([who; 16]))
        },
        nonce,
        key: Key(script.byte() % 4).public(),
    })
}
