//! The file that a property is made from.
#![no_main]

use std::collections::BTreeSet;

use latchkey_portal::property_file::parse;
use latchkey_protocol::rules::AccessRules;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let file = match parse(text, "harbour.toml") {
        Ok(file) => file,
        Err(error) => {
            assert!(error.to_string().starts_with("harbour.toml: "));
            return;
        }
    };
    let lifetime = file.property.grant_lifetime.seconds();
    assert!((3_600..=30 * 86_400).contains(&lifetime));
    let doors: BTreeSet<_> = file.doors.iter().map(|door| &door.name).collect();
    assert_eq!(doors.len(), file.doors.len());
    let mut people: BTreeSet<_> = file.people.iter().map(|person| &person.name).collect();
    assert!(people.insert(&file.owner.name));
    assert_eq!(people.len(), file.people.len() + 1);
    for key in &file.keys {
        let compact = key.rules.to_compact();
        assert_eq!(
            AccessRules::from_compact(&compact).as_ref(),
            Ok(&key.rules),
            "what a file says can be granted"
        );
    }
});
