//! A controller's whole store, stolen.

use std::collections::BTreeSet;

use latchkey_door::{FILE, SECRET_COLUMNS};
use latchkey_protocol::statement::Body;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::guest::Guest;
use crate::phone::Phone;
use crate::property::{Door, Property};

/// Every column of the store that is no secret. A new column has to be put here, or among the
/// secret ones, by somebody who has thought about it.
const PUBLIC_COLUMNS: &[(&str, &[&str])] = &[
    ("own_keys", &["id"]),
    ("installed", &["id", "package"]),
    ("counters", &["name", "value"]),
    ("series", &["id", "epoch", "all_doors", "own"]),
    ("settings", &["name", "statement"]),
    ("passes", &["pass", "statement", "ends_at", "number"]),
    ("accepted_codes", &["pass", "issued", "accepted_at"]),
    (
        "documents",
        &["credential", "signed", "valid_until", "document"],
    ),
    ("revocations", &["epoch", "version", "document"]),
    ("iterations", &["issuer", "highest"]),
    ("clock", &["id", "saved"]),
    (
        "attempts",
        &["attempt", "subject", "state", "event", "at_ms"],
    ),
    (
        "leases",
        &[
            "budget", "epoch", "number", "ceiling", "spent", "known", "until", "changed",
        ],
    ),
    ("events", &["sequence", "body", "opened", "kept"]),
    ("bundle", &["id", "epoch", "number"]),
    // Sealed to the key that stands beside it, which is among the secret ones.
    ("incoming_bundle", &["id", "header", "refused"]),
    ("incoming_page", &["page", "bytes"]),
    ("persistent_keys", &["sequence", "credential", "element"]),
];

/// A store in which everything has happened.
async fn stolen() -> (Property, Guest, Phone, Door, Connection) {
    let mut property = Property::new();
    let guest = Guest::new(&property, "{}");
    property.state(Body::Pass(guest.signed.clone()));
    let door = Door::new(&property).await;
    let list = property.revoke(Default::default());
    let phone = Phone::resident(&property, "{}").carrying(&list);
    assert!(phone.visit(&door).await.record.is_some());
    assert!(
        door.running
            .scan(&guest.long(property.now()))
            .await
            .unwrap()
            .opened
    );
    let store = Connection::open(door.folder.path().join(FILE)).unwrap();
    (property, guest, phone, door, store)
}

fn columns(store: &Connection) -> Vec<(String, String)> {
    let mut tables = store
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap();
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut all = Vec::new();
    for table in tables {
        let mut columns = store
            .prepare("SELECT name FROM pragma_table_info(?1)")
            .unwrap();
        let columns = columns.query_map([&table], |row| row.get(0)).unwrap();
        all.extend(columns.map(|column| (table.clone(), column.unwrap())));
    }
    all
}

#[tokio::test]
async fn every_column_is_either_public_or_named_as_secret() {
    let (_, _, _, _door, store) = stolen().await;
    let found: BTreeSet<_> = columns(&store).into_iter().collect();
    let public = PUBLIC_COLUMNS
        .iter()
        .flat_map(|(table, columns)| columns.iter().map(move |column| (*table, *column)));
    let known: BTreeSet<_> = public
        .chain(SECRET_COLUMNS.iter().copied())
        .map(|(table, column)| (table.to_owned(), column.to_owned()))
        .collect();
    assert_eq!(found, known);
}

#[tokio::test]
async fn nothing_in_it_makes_a_code_or_opens_another_door() {
    let (property, guest, phone, door, store) = stolen().await;
    let wanted = [
        guest.pass.code_key,
        phone.key.public(),
        property.issuer.public(),
        property.reader_ca.public(),
    ];
    let remembered = phone.met.key().expect("the phone has been here");
    let (mut candidates, mut own) = (0, 0);
    for (table, column) in columns(&store) {
        let mut rows = store
            .prepare(&format!("SELECT \"{column}\" FROM \"{table}\""))
            .unwrap();
        let values: Vec<Value> = rows
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for value in values {
            let bytes = match value {
                Value::Blob(bytes) => match std::str::from_utf8(&bytes) {
                    Ok(text) => decoded(text),
                    Err(_) => bytes,
                },
                Value::Text(text) => decoded(&text),
                _ => continue,
            };
            for scalar in bytes.windows(32) {
                candidates += 1;
                assert_ne!(scalar, remembered, "{table}.{column}: sealed");
                let Some(public) = public_half(scalar) else {
                    continue;
                };
                assert!(
                    !wanted.contains(&public),
                    "{table}.{column} holds a private key"
                );
                own += usize::from(public == door.reader_key);
            }
        }
    }
    assert!(candidates > 1000, "the search has searched: {candidates}");
    assert_eq!(
        own, 1,
        "and would have found a key: it found the door's own"
    );
}

/// The bytes that a text may hide: itself, and what stands in it as base64url.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') {
        if let Ok(decoded) = latchkey_protocol::bytes::Base64::from_text(word) {
            bytes.extend(decoded.0);
        }
    }
    bytes
}

/// The public key of this scalar, if it is one. `ring` takes a private key only beside its public
/// half, and refuses when the two do not fit: so the half is computed by another library.
fn public_half(scalar: &[u8]) -> Option<aliro::crypto::PublicKey> {
    use hpke::{Deserializable as _, Kem as _, Serializable as _};
    let private =
        <hpke::kem::DhP256HkdfSha256 as hpke::Kem>::PrivateKey::from_bytes(scalar).ok()?;
    let public = hpke::kem::DhP256HkdfSha256::sk_to_pk(&private).to_bytes();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        scalar,
        &public,
        &SystemRandom::new(),
    )
    .ok()?;
    aliro::crypto::PublicKey::from_uncompressed(pair.public_key().as_ref()).ok()
}
