//! Messages of ours between phone and door, within the encrypted channel.
#![no_main]

use latchkey_protocol::private::PrivateMessage;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = PrivateMessage::decode(bytes) {
        assert_eq!(message.encode(), bytes, "one meaning has one encoding");
    }
});
