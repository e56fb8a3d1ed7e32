//! Cursors that come back: only what was handed out to this person, in its one text.
#![no_main]

use std::sync::LazyLock;

use latchkey_fuzz::Script;
use latchkey_portal::cursor::{Cursor, CursorKey, read_ordinal, write_ordinal};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{PersonId, PropertyId};

const PROPERTY: PropertyId = PropertyId([1; 16]);
const PERSON: PersonId = PersonId([2; 16]);
const OTHER: PersonId = PersonId([3; 16]);

static KEY: LazyLock<CursorKey> = LazyLock::new(|| CursorKey::new(&[7; 32]));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        as_sent(text);
    }
    let mut script = Script::new(bytes);
    let cursor = Cursor {
        epoch: u32::from_be_bytes(taken(&mut script)),
        number: i64::from_be_bytes(taken(&mut script)),
        floor: i64::from_be_bytes(taken(&mut script)),
        sight: script.byte(),
    };
    let text = KEY.write(PROPERTY, PERSON, cursor);
    assert_eq!(KEY.read(PROPERTY, PERSON, &text), Some(cursor));
    assert_eq!(KEY.read(PROPERTY, OTHER, &text), None);
    let mut spoiled = Base64::from_text(&text).expect("as written").0;
    script.spoil(&mut spoiled);
    spoiled.extend(script.piece());
    let spoiled = Base64(spoiled).to_text();
    assert_eq!(
        KEY.read(PROPERTY, PERSON, &spoiled).is_some(),
        spoiled == text
    );
});

fn as_sent(text: &str) {
    if let Some(cursor) = KEY.read(PROPERTY, PERSON, text) {
        assert_eq!(KEY.write(PROPERTY, PERSON, cursor), text);
    }
    if let Some(ordinal) = read_ordinal(text) {
        assert!(ordinal >= 0);
        assert_eq!(write_ordinal(ordinal), text);
    }
}

fn taken<const N: usize>(script: &mut Script<'_>) -> [u8; N] {
    std::array::from_fn(|_| script.byte())
}
