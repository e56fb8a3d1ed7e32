//! What portals and a signer that is a process of its own say to each other: frames of JSON.
#![no_main]

use latchkey_portal::signer_wire::{Answer, Hello, Request, decode, encode};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = decode::<Hello>(bytes);
    if let Ok(request) = decode::<Request>(bytes) {
        let frame = encode(&request).expect("what was read can be said");
        assert_eq!(decode::<Request>(&frame[4..]), Ok(request));
    }
    if let Ok(answer) = decode::<Answer>(bytes) {
        let frame = encode(&answer).expect("what was read can be said");
        assert_eq!(decode::<Answer>(&frame[4..]), Ok(answer));
    }
});
