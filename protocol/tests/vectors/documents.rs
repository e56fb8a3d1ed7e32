//! Aliro documents with what we put into them.

use std::num::NonZeroU32;

use aliro::document::{RawDocument, Timestamp, key_hash};
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::grant::{
    GrantRequest, KeyAt, Lifetime, Place, Right, Rights, asked_elements, prepare,
};
use latchkey_protocol::ids::*;
use latchkey_protocol::revocation::{RevocationList, Revocations};
use latchkey_protocol::rules::{AccessRules, LocalMoment, Range};
use serde_json::{Value, json};

use super::test_key::TestKey;
use super::{NOW, check, rules, signed_by, zurich};

fn keys() -> Vec<KeyAt> {
    let of = |place, id: &[u8; 8], rules, rights| KeyAt {
        place,
        id: ElementId(*id),
        rules,
        budget: None,
        rights,
    };
    let counted = AccessRules::new(Range::ALWAYS, [], false, NonZeroU32::new(30)).unwrap();
    // Begins at a reading that the clock skips.
    let skipped = Range::new(
        Some(LocalMoment::parse_start("2027-03-28T02:30").unwrap()),
        None,
    );
    let skipped = AccessRules::new(skipped.unwrap(), [], false, None).unwrap();
    let lockdown = Rights::NONE.with(Right::OpenInLockdown);
    vec![
        of(
            Place::Door(DoorNumber(7)),
            b"element1",
            rules(),
            Rights::NONE,
        ),
        of(
            Place::Door(DoorNumber(7)),
            b"element2",
            counted,
            Rights::NONE,
        ),
        of(
            Place::Door(DoorNumber(300)),
            b"element3",
            skipped,
            Rights::NONE,
        ),
        of(
            Place::AllDoors,
            b"element4",
            AccessRules::default(),
            lockdown,
        ),
        of(
            Place::AllDoors,
            b"element5",
            AccessRules::default(),
            Rights::NONE,
        ),
    ]
}

#[test]
fn grants() {
    check_grant("grant", &keys());
}

/// Of a counted key, as it is issued since portals count uses.
#[test]
fn grants_of_counted_keys() {
    let counted = AccessRules::new(Range::ALWAYS, [], false, NonZeroU32::new(30)).unwrap();
    let lockdown = Rights::NONE.with(Right::OpenInLockdown);
    let at = |place, id: &[u8; 8], rights| KeyAt {
        place,
        id: ElementId(*id),
        rules: counted.clone(),
        budget: Some(BudgetId(*b"budget 1")),
        rights,
    };
    check_grant(
        "grant-counted",
        &[
            at(Place::Door(DoorNumber(7)), b"element2", Rights::NONE),
            at(Place::AllDoors, b"element4", lockdown),
        ],
    );
}

fn check_grant(name: &str, keys: &[KeyAt]) {
    let issuer = TestKey::of("issuer").public();
    let offsets = zurich();
    let request = GrantRequest {
        issuer: &issuer,
        holder: &TestKey::of("phone").public(),
        keys,
        offsets: &offsets,
        lifetime: Lifetime {
            signed: NOW,
            seconds: 7 * 86_400,
            iteration: 12,
        },
    };
    let mut salt = 0;
    let grant = prepare(&request, || {
        salt += 1;
        [salt; 16]
    })
    .unwrap();
    let documents: Vec<Value> = grant
        .documents
        .into_iter()
        .map(|document| {
            let input = document.unsigned.to_be_signed();
            let signature = TestKey::of("issuer").sign(&input);
            let issued = document.unsigned.finish(signature).unwrap();
            assert_eq!(RawDocument::decode(issued.as_bytes()).as_ref(), Ok(&issued));
            let names: Vec<_> = issued.identifiers().map(str::to_owned).collect();
            json!({
                "doors": document.doors,
                "elements": names,
                "signed": signed_by("issuer", &input),
                "document": hex::encode(issued.as_bytes()),
            })
        })
        .collect();
    let keys: Vec<Value> = keys
        .iter()
        .map(|key| {
            let mut told = json!({
                "place": format!("{:?}", key.place),
                "element": key.id,
                "rules": key.rules,
                "rights": key.rights,
            });
            if let Some(budget) = key.budget {
                told["budget"] = json!(budget);
            }
            told
        })
        .collect();
    check(
        name,
        &json!({
            "keys": keys,
            "documents": documents,
            "asked by door 7": asked_elements(DoorNumber(7)),
        }),
    );
}

#[test]
fn revocation_lists() {
    let issuer = TestKey::of("issuer").public();
    let list = Revocations {
        number: ListNumber {
            epoch: 2,
            version: 42,
        },
        contains: [ListNumber {
            epoch: 1,
            version: 40,
        }]
        .into(),
        credentials: [key_hash(&TestKey::of("phone").public())].into(),
        elements: [ElementId(*b"element1")].into(),
        superseded: [ElementId(*b"element2")].into(),
        passes: [PassId(*b"pass 8 b")].into(),
    };
    let unsigned = list
        .prepare(
            &issuer,
            Timestamp::from_epoch(NOW).unwrap(),
            *b"salt of 16 bytes",
        )
        .unwrap();
    let input = unsigned.to_be_signed();
    let document = unsigned.finish(TestKey::of("issuer").sign(&input)).unwrap();
    let read = RevocationList::verify(document.as_bytes(), &issuer).unwrap();
    assert_eq!(read.content(), &list);
    check(
        "revocation",
        &json!([{
            "epoch": 2,
            "version": 42,
            "signed": signed_by("issuer", &input),
            "document": hex::encode(document.as_bytes()),
        }]),
    );
}
