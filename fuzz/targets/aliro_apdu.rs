//! APDUs as they come over NFC, whole or chained.
#![no_main]

use aliro::apdu::{Command, Response};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Command::parse(bytes);
    if let Ok(response) = Response::parse(bytes) {
        assert_eq!(Response::parse(&response.encode()), Ok(response));
    }
});
