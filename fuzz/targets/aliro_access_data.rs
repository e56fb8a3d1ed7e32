//! An element of an Access Document, and what it allows at any moment.
#![no_main]

use aliro::document::AccessData;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(data) = AccessData::decode(bytes) {
        let encoded = data.encode().expect("what was read can be written");
        assert_eq!(AccessData::decode(&encoded), Ok(data));
    }
});
