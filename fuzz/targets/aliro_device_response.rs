//! What a phone answers in the step-up phase.
#![no_main]

use aliro::document::{DeviceResponse, RawDocument};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(response) = DeviceResponse::decode(bytes) {
        let again = DeviceResponse::decode(&response.encode());
        assert_eq!(again.as_ref(), Ok(&response));
    }
    if let Ok(document) = RawDocument::decode(bytes) {
        assert_eq!(document.as_bytes(), bytes);
    }
});
