//! The bytes of every format, frozen in `tests/vectors/*.json`, so that no change of code changes
//! what phones, doors and pages in the field say to each other.
//!
//! With `LATCHKEY_WRITE_VECTORS` set (`cargo xtask vectors`), the files are written instead of compared. A difference in
//! a published file is a new format version, never an update of the file.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot make its values fails by it"
)]

#[path = "../test_key/mod.rs"]
mod test_key;

mod carried;
mod documents;
mod lock_sync;
mod signed;

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use latchkey_protocol::ids::*;
use latchkey_protocol::rules::*;
use serde_json::{Value, json};

use test_key::TestKey;

pub(crate) const PROPERTY: PropertyId = PropertyId(*b"property 16 byte");
pub(crate) const DOOR: DoorId = DoorId(*b"door12 bytes");
pub(crate) const GENERATION: Generation = Generation(1);

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

/// Compares what the code makes with the file of this name, or writes it.
pub(crate) fn check(name: &str, made: &Value) {
    if std::env::var_os("LATCHKEY_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(made).unwrap();
        std::fs::write(path(name), format!("{text}\n")).unwrap();
        return;
    }
    assert_eq!(
        &read(name),
        made,
        "{name}.json: a published format has changed"
    );
}

/// What the file of this name holds.
pub(crate) fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(path(name)).unwrap_or_else(|_| {
        panic!("{name}.json is missing: write it with LATCHKEY_WRITE_VECTORS=1")
    });
    serde_json::from_str(&text).unwrap()
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/vectors")
        .join(format!("{name}.json"))
}

/// How the key of this name signs these bytes, for somebody who wants to check it elsewhere.
pub(crate) fn signed_by(key: &str, input: &[u8]) -> Value {
    let signer = TestKey::of(key);
    json!({
        "key": key,
        "public": hex::encode(signer.public().as_bytes()),
        "input": hex::encode(input),
        "signature": hex::encode(signer.sign(input).0),
    })
}

pub(crate) fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Zurich's summer times of two years.
pub(crate) fn zurich() -> Offsets {
    let change = |at, offset| OffsetChange {
        at: instant(at),
        offset,
    };
    let span = Span {
        from: instant("2026-01-01T00:00:00Z"),
        until: instant("2028-01-01T00:00:00Z"),
    };
    let changes = [
        change("2026-03-29T01:00:00Z", 7200),
        change("2026-10-25T01:00:00Z", 3600),
        change("2027-03-28T01:00:00Z", 7200),
        change("2027-10-31T01:00:00Z", 3600),
    ];
    Offsets::new("Europe/Zurich", "2026b", span, 3600, changes).unwrap()
}

pub(crate) fn holidays() -> Holidays {
    Holidays::new([
        NaiveDate::from_ymd_opt(2027, 1, 1).unwrap(),
        NaiveDate::from_ymd_opt(2027, 8, 1).unwrap(),
    ])
    .unwrap()
}

/// A stay with two windows, closed on holidays.
pub(crate) fn rules() -> AccessRules {
    let days = |bits| Weekdays::from_bits(bits).unwrap();
    let range = Range::new(
        Some(LocalMoment::parse_start("2027-01-15T15:00").unwrap()),
        Some(LocalMoment::parse_end("2027-01-22T11:00").unwrap()),
    );
    let windows = [
        WeeklyWindow::parse(days(0b001_1111), "07:00", "22:00").unwrap(),
        WeeklyWindow::parse(days(0b110_0000), "09:30", "02:00").unwrap(),
    ];
    AccessRules::new(range.unwrap(), windows, true, None).unwrap()
}

/// Says how to read the files.
#[test]
fn keys() {
    let keys = [
        "issuer",
        "reader ca",
        "door",
        "sealing",
        "phone",
        "guest",
        "log",
    ]
    .map(|name| {
        let secret = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
        json!({
            "key": name,
            "secret": hex::encode(secret),
            "public": hex::encode(TestKey::of(name).public().as_bytes()),
        })
    });
    check(
        "keys",
        &json!({
            "note": "P-256. The secret scalar is SHA-256 of the key's name. Signatures are ES256 (r || s) with the \
                     deterministic nonce of RFC 6979.",
            "keys": keys,
        }),
    );
}

/// What is signed, and every file of vectors, is told of in the document that others implement from.
#[test]
fn the_document_names_every_prefix_and_every_file() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = std::fs::read_to_string(root.join("docs/protocol.md")).unwrap();
    for purpose in latchkey_protocol::signing::Purpose::ALL {
        let prefix = String::from_utf8(purpose.prefix().to_vec()).unwrap();
        let shown = prefix.replace('\0', "\\0");
        assert!(document.contains(&format!("`{shown}`")), "{shown}");
    }
    for file in std::fs::read_dir(root.join("tests/vectors")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(document.contains(&format!("`{name}`")), "{name}");
    }
}
