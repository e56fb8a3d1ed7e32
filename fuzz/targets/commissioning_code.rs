//! The code that a controller shows, typed by an installer.
#![no_main]

use latchkey_protocol::commissioning::CommissioningCode;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(code) = text.parse::<CommissioningCode>() {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
});
