//! The compact form of access rules: one encoding for each value.
#![no_main]

use latchkey_protocol::rules::AccessRules;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(rules) = AccessRules::from_compact(bytes) {
        assert_eq!(rules.to_compact(), bytes);
    }
});
