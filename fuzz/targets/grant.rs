//! An element that the issuer has signed, whatever it is: read as keys, which can be granted again.
#![no_main]

use std::sync::LazyLock;

use aliro::crypto::PublicKey;
use aliro::document::AccessData;
use latchkey_protocol::grant::{
    ElementName, GrantError, GrantRequest, KeyAt, Lifetime, Place, held_keys, prepare,
};
use latchkey_protocol::ids::DoorNumber;
use latchkey_protocol::rules::{AccessRules, OffsetChange, Offsets, Span};

const DOOR: DoorNumber = DoorNumber(7);

/// The generator of P-256.
const KEY: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
    0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
    0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
    0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51,
    0xf5,
];

static OFFSETS: LazyLock<Offsets> = LazyLock::new(|| {
    let at = |text: &str| text.parse().expect("an instant");
    let changes = [
        OffsetChange {
            at: at("2026-03-29T01:00:00Z"),
            offset: 7200,
        },
        OffsetChange {
            at: at("2026-10-25T01:00:00Z"),
            offset: 3600,
        },
    ];
    let span = Span {
        from: at("2026-01-01T00:00:00Z"),
        until: at("2027-01-01T00:00:00Z"),
    };
    Offsets::new("Europe/Zurich", "2026b", span, 3600, changes).expect("a zone")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(name) = text.parse::<ElementName>()
    {
        assert_eq!(name.to_string(), text);
    }
    let Ok(data) = AccessData::decode(bytes) else {
        return;
    };
    let names = ["d7.1", "d7.2", "x.d7.1", "all.1", "d8.1"];
    let elements: Vec<_> = names.map(|name| (name.to_owned(), data.clone())).into();
    let held = held_keys(&elements, DOOR, &OFFSETS);
    let keys: Vec<_> = held
        .keys
        .iter()
        .map(|key| KeyAt {
            place: Place::Door(DOOR),
            id: key.id,
            rules: key.rules.clone(),
            budget: key.budget,
            rights: key.rights,
        })
        .collect();
    for key in &keys {
        assert_eq!(
            AccessRules::from_compact(&key.rules.to_compact()).as_ref(),
            Ok(&key.rules)
        );
        let issuer = PublicKey::from_uncompressed(&KEY).expect("the generator");
        let request = GrantRequest {
            issuer: &issuer,
            holder: &issuer,
            keys: std::slice::from_ref(key),
            offsets: &OFFSETS,
            lifetime: Lifetime {
                signed: 1_800_000_000,
                seconds: 86_400,
                iteration: 1,
            },
        };
        let again = prepare(&request, || [1; 16]);
        assert!(matches!(again, Ok(_) | Err(GrantError::TooManyKeys(_))));
    }
});
