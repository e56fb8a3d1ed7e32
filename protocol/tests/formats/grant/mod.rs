//! Grants: keys become Aliro documents, and exactly those keys again.

use std::num::NonZeroU32;

use aliro::document::{
    AccessData, Capabilities, DeviceResponse, Iterations, Now, RawDocument, Refusal,
    TrustedIssuers, Verdict, VerifiedAccess, Verifier, VerifyContext, evaluate,
};
use chrono::{DateTime, Utc};
use latchkey_protocol::grant::*;
use latchkey_protocol::ids::{BudgetId, DoorNumber, ElementId};
use latchkey_protocol::rules::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::test_key::TestKey;
use crate::values;

mod cases;

const SIGNED: i64 = 1_800_000_000;
const LIFETIME: Lifetime = Lifetime {
    signed: SIGNED,
    seconds: 7 * 86_400,
    iteration: 12,
};
const DOOR: DoorNumber = DoorNumber(7);

fn issue(keys: &[KeyAt], offsets: &Offsets) -> Result<(Grant, Vec<RawDocument>), GrantError> {
    let issuer = TestKey::of("issuer");
    let request = GrantRequest {
        issuer: &issuer.public(),
        holder: &TestKey::of("phone").public(),
        keys,
        offsets,
        lifetime: LIFETIME,
    };
    let mut salt = 0;
    let grant = prepare(&request, || {
        salt += 1;
        [salt; 16]
    })?;
    let documents = grant.documents.iter().map(|document| {
        let signature = issuer.sign(&document.unsigned.to_be_signed());
        let issued = document.unsigned.clone().finish(signature).unwrap();
        // Over the wire, as a door gets it.
        let response = DeviceResponse {
            documents: vec![issued],
            status: 0,
        };
        let mut read = DeviceResponse::decode(&response.encode()).unwrap();
        read.documents.remove(0)
    });
    let documents = documents.collect();
    Ok((grant, documents))
}

fn verify(document: &RawDocument, door: DoorNumber) -> Result<VerifiedAccess, Refusal> {
    // Late in its life, when it holds even if all its keys begin later than it was signed.
    verify_at(document, door, SIGNED + i64::from(LIFETIME.seconds) - 1)
}

fn verify_at(document: &RawDocument, door: DoorNumber, at: i64) -> Result<VerifiedAccess, Refusal> {
    let mut trusted = TrustedIssuers::new();
    trusted.add_issuer(TestKey::of("issuer").public());
    verify_grant(
        &Verifier::new(&trusted),
        document,
        &VerifyContext {
            credential: &TestKey::of("phone").public(),
            asked: &asked_elements(door),
            clock: Some(Now { utc: at, local: at }),
            iterations: &Iterations::new(),
            known_reader_rules: &knows_reader_rule,
            understands: &understands,
        },
    )
}

/// What a door of this number reads of the document that serves it.
fn held(documents: &[RawDocument], door: DoorNumber, offsets: &Offsets) -> HeldKeys {
    let Some(document) = document_for(documents, door) else {
        return HeldKeys::default();
    };
    match verify(document, door) {
        Ok(verified) => held_keys(&verified.elements, door, offsets),
        Err(Refusal::NotAsked) => HeldKeys::default(),
        Err(other) => panic!("{other}"),
    }
}

/// Zurich from 2024 to 2034, near enough: +1 h, +2 h from the end of March to the end of October.
fn zurich() -> Offsets {
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let changes = (2024..2034).flat_map(|year| {
        [
            OffsetChange {
                at: at(&format!("{year}-03-30T01:00:00Z")),
                offset: 7200,
            },
            OffsetChange {
                at: at(&format!("{year}-10-28T01:00:00Z")),
                offset: 3600,
            },
        ]
    });
    let span = Span {
        from: at("2024-01-01T00:00:00Z"),
        until: at("2034-01-01T00:00:00Z"),
    };
    Offsets::new("Europe/Zurich", "2026b", span, 3600, changes).unwrap()
}

fn rights() -> impl Strategy<Value = Rights> {
    prop_oneof![3 => Just(Rights::NONE), 1 => (0u8..8).prop_map(|bits| Rights::from_bits(bits).unwrap())]
}

prop_compose! {
    fn rules(most_windows: usize)(
        range in values::range(), windows in vec(values::window(), 0..=most_windows),
        closed in any::<bool>(), uses in option::weighted(0.2, 1u32..),
    ) -> AccessRules {
        AccessRules::new(range, windows, closed, uses.and_then(NonZeroU32::new)).unwrap()
    }
}

fn keys() -> impl Strategy<Value = Vec<KeyAt>> {
    let place = prop_oneof![
        Just(Place::AllDoors),
        (1u16..4).prop_map(|number| Place::Door(DoorNumber(number))),
    ];
    vec((place, rules(12), rights()), 0..9).prop_map(|keys| {
        let numbered = (1u64..).zip(keys);
        let keys = numbered.map(|(id, (place, rules, rights))| KeyAt {
            place,
            id: ElementId(id.to_be_bytes()),
            budget: rules.max_uses().map(|_| BudgetId(id.to_le_bytes())),
            rules,
            rights,
        });
        keys.collect()
    })
}

type Comparable = Vec<(ElementId, Vec<u8>, Option<BudgetId>, u8)>;

fn sorted(
    keys: impl Iterator<Item = (ElementId, AccessRules, Option<BudgetId>, Rights)>,
) -> Comparable {
    let mut all: Vec<_> = keys
        .map(|(id, rules, budget, rights)| (id, rules.to_compact(), budget, rights.bits()))
        .collect();
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_grant_gives_back_exactly_the_keys_it_was_made_from(
        keys in keys(), offsets in values::offsets(),
    ) {
        let (grant, documents) = match issue(&keys, &offsets) {
            Ok(issued) => issued,
            Err(GrantError::TooManyKeys(_)) => return Ok(()),
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        };
        for door in (1..5).map(DoorNumber) {
            let here = |place| place == Place::AllDoors || place == Place::Door(door);
            let expected = keys.iter().zip(&grant.elements).filter(|(key, _)| here(key.place));
            let expected =
                sorted(expected.map(|(key, id)| (*id, key.rules.clone(), key.budget, key.rights)));
            let held = held(&documents, door, &offsets);
            prop_assert_eq!(&held.unreadable, &Vec::<String>::new());
            let found = held.keys.into_iter().map(|key| (key.id, key.rules, key.budget, key.rights));
            prop_assert_eq!(sorted(found), expected, "at door {}", door.0);
        }
    }

    /// Our decision and the standard's evaluator, wherever both can speak: no holidays, no uses.
    #[test]
    fn aliro_decides_as_we_do(
        ranges in vec((values::range(), vec(values::window(), 0..10)), 1..6),
        at in vec(27_000_000u32..41_000_000, 20), wild in values::offsets(), near in any::<bool>(),
    ) {
        let offsets = if near { zurich() } else { wild };
        let keys: Vec<_> = (1u64..).zip(&ranges).map(|(id, (range, windows))| KeyAt {
            place: Place::Door(DOOR),
            id: ElementId(id.to_be_bytes()),
            rules: AccessRules::new(*range, windows.clone(), false, None).unwrap(),
            budget: None,
            rights: Rights::NONE,
        }).collect();
        let Ok((_, documents)) = issue(&keys, &offsets) else { return Ok(()) };
        let elements = verify(&documents[0], DOOR).unwrap().elements;

        let calendar = Calendar { offsets: &offsets, holidays: Holidays::NONE };
        let edges = ranges.iter().flat_map(|(range, _)| {
            let start = range.from().map(|from| offsets.start(from).timestamp());
            let end = range.until().map(|until| offsets.end(until).timestamp());
            start.into_iter().chain(end).flat_map(|at| [at - 1, at, at + 1])
        });
        let changes = offsets.changes().flat_map(|change| {
            let at = change.at.timestamp();
            [at - 3601, at - 1, at, at + 1799, at + 3600]
        });
        let instants = at.iter().map(|minutes| i64::from(*minutes) * 60).chain(edges).chain(changes);
        for at in instants {
            let instant = DateTime::from_timestamp(at, 0).unwrap();
            let now = Now { utc: at, local: offsets.local(instant).and_utc().timestamp() };
            let theirs = elements.iter().any(|(_, data)| {
                evaluate(data, Capabilities::MOMENTARY_UNSECURE, Some(now)) == Verdict::Allowed
            });
            let ours = keys.iter().any(|key| {
                verdict(&key.rules, &calendar, &Facts::at(instant)).is_ok()
            });
            prop_assert_eq!(theirs, ours, "at {}", instant);
        }
    }

    #[test]
    fn any_element_is_answered(
        keys in keys(), number in any::<u16>(), id in vec(any::<u8>(), 0..12), text in "\\PC*",
    ) {
        let offsets = zurich();
        let _ = text.parse::<ElementName>();
        let elements: Vec<(String, AccessData)> = match issue(&keys, &offsets) {
            Ok((_, documents)) if !documents.is_empty() => {
                verify(&documents[0], DoorNumber(1)).map(|read| read.elements).unwrap_or_default()
            }
            _ => return Ok(()),
        };
        for (name, mut data) in elements {
            data.id = id.clone();
            data.reader_rules.push(number);
            let read = held_keys(&[(name, data)], DoorNumber(1), &offsets);
            prop_assert!(read.keys.is_empty(), "what is not ours opens nothing");
        }
    }
}
