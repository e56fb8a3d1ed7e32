//! What portal and door say to each other over the WebSocket, as JSON.
#![no_main]

use latchkey_protocol::doorlink::{FromDoor, FromPortal};
use serde::Serialize;
use serde::de::DeserializeOwned;

libfuzzer_sys::fuzz_target!(|text: &str| {
    both_ways::<FromPortal>(text);
    both_ways::<FromDoor>(text);
});

fn both_ways<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) {
    if let Ok(message) = serde_json::from_str::<T>(text) {
        let json = serde_json::to_string(&message).expect("what was read can be written");
        let again: T = serde_json::from_str(&json).expect("what was written can be read");
        assert_eq!(again, message);
    }
}
