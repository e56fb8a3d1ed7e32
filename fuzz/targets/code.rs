//! The text of a QR code, from whatever reader stands at a gate.
#![no_main]

use latchkey_protocol::code::Code;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(code) = Code::parse(text) {
        assert_eq!(
            code.to_text(),
            text.trim_matches(|c: char| c.is_ascii_whitespace())
        );
    }
});
