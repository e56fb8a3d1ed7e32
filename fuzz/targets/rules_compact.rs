//! Access rules in a pass's statement: one encoding for each value, and no other is read.
#![no_main]

use latchkey_protocol::rules::AccessRules;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(rules) = AccessRules::from_compact(bytes) {
        assert_eq!(rules.to_compact(), bytes);
        let json = serde_json::to_string(&rules).expect("rules can be written");
        let again: AccessRules = serde_json::from_str(&json).expect("what was written can be read");
        assert_eq!(again, rules);
    }
});
