//! What instances that share a database hear from each other: notifications with wakes, and conversations as JSON.
#![no_main]

use latchkey_portal::told::{Instance, Said, Wake};

const OWN: Instance = Instance([1; 8]);
const OTHER: Instance = Instance([2; 8]);

libfuzzer_sys::fuzz_target!(|text: &str| {
    let wakes = Wake::heard(OWN, text);
    assert!(wakes.len() <= text.matches(' ').count());
    let words: Vec<_> = wakes.iter().map(|wake| wake.word()).collect();
    for (wake, word) in wakes.iter().zip(&words) {
        assert!(
            *wake == Wake::Anything || text.contains(word),
            "one wake has one word"
        );
    }
    let again = format!("{OTHER} {}", words.join(" "));
    if !wakes.is_empty() {
        assert_eq!(Wake::heard(OWN, &again), wakes);
        assert!(Wake::heard(OTHER, &again).is_empty(), "its own");
    }

    if let Ok(instance) = Instance::try_from(text.to_owned()) {
        assert_eq!(instance.to_string(), text, "one instance has one name");
    }
    if let Ok(said) = Said::read(text) {
        let written = said.to_text().expect("what was read can be written");
        assert_eq!(Said::read(&written).ok(), Some(said));
    }
});
