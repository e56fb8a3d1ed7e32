//! What a door asks for in the step-up phase.
#![no_main]

use aliro::document::DeviceRequest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = DeviceRequest::decode(bytes) {
        assert_eq!(DeviceRequest::decode(&request.encode()), Ok(request));
    }
});
