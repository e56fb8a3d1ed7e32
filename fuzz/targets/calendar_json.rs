//! A property's zone and holidays as JSON and CBOR: what is read is written as it was read.
#![no_main]

use latchkey_protocol::rules::{Holidays, Offsets};
use serde::Serialize;
use serde::de::DeserializeOwned;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    both_ways::<Offsets>(bytes);
    both_ways::<Holidays>(bytes);
});

fn both_ways<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        let json = serde_json::to_vec(&value).expect("what was read can be written");
        let again: T = serde_json::from_slice(&json).expect("what was written can be read");
        assert_eq!(again, value);
    }
    if let Ok(value) = ciborium::from_reader::<T, _>(bytes) {
        let mut cbor = Vec::new();
        ciborium::into_writer(&value, &mut cbor).expect("what was read can be written");
        let again: T = ciborium::from_reader(&cbor[..]).expect("what was written can be read");
        assert_eq!(again, value);
    }
}
