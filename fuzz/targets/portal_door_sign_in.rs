//! A controller's first message on the door's socket: who it says it is, which only its key proves.
#![no_main]

use latchkey_fuzz::Key;
use latchkey_portal::auth::door::Claim;
use latchkey_protocol::doorlink::{FromDoor, VERSIONS};
use latchkey_protocol::proof::{DoorSignIn, NONCE_LEN};

const DOOR: Key = Key(1);
const NONCE: [u8; NONCE_LEN] = [7; NONCE_LEN];

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(claim) = Claim::read(text) else {
        return;
    };
    assert!(VERSIONS.contains(&claim.version));
    let Ok(FromDoor::SignIn {
        property,
        door,
        generation,
        versions,
        signature,
    }) = serde_json::from_str(text)
    else {
        panic!("a claim is a sign-in");
    };
    assert!(versions.contains(&claim.version));
    assert_eq!(
        (property, door, generation),
        (claim.property, claim.door, claim.generation)
    );
    let to_be_signed = DoorSignIn {
        property,
        door,
        generation,
        nonce: NONCE,
    }
    .to_be_signed();
    // Only the genuine signature is checked by arithmetic: forging one is beyond mutation.
    let genuine = DOOR.sign(&to_be_signed);
    if signature.0 == genuine.0 {
        assert!(claim.is_proved(&DOOR.public(), NONCE));
        assert!(!claim.is_proved(&DOOR.public(), [8; NONCE_LEN]));
        assert!(!claim.is_proved(&Key(2).public(), NONCE));
    }
});
