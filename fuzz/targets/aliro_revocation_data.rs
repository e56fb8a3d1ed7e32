//! An element of a Revocation Document.
#![no_main]

use aliro::document::RevocationData;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(data) = RevocationData::decode(bytes) {
        let encoded = data.encode().expect("what was read can be written");
        assert_eq!(RevocationData::decode(&encoded), Ok(data));
    }
});
