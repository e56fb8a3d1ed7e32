//! Grants: keys become Aliro documents, and exactly those keys again.

use std::num::NonZeroU32;

use aliro::document::{
    AccessData, Capabilities, DeviceResponse, Iterations, Now, RawDocument, Refusal,
    TrustedIssuers, Verdict, VerifiedAccess, Verifier, VerifyContext, evaluate,
};
use chrono::{DateTime, Utc};
use latchkey_protocol::grant::*;
use latchkey_protocol::ids::{DoorNumber, ElementId};
use latchkey_protocol::rules::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::test_key::TestKey;
use super::values;

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
    let mut trusted = TrustedIssuers::new();
    trusted.add_issuer(TestKey::of("issuer").public());
    Verifier::new(&trusted).access(
        document,
        &VerifyContext {
            credential: &TestKey::of("phone").public(),
            asked: &asked_elements(door),
            clock: Some(Now {
                utc: SIGNED,
                local: SIGNED,
            }),
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
            rules,
            rights,
        });
        keys.collect()
    })
}

type Comparable = Vec<(ElementId, Vec<u8>, u8)>;

fn sorted(keys: impl Iterator<Item = (ElementId, AccessRules, Rights)>) -> Comparable {
    let mut all: Vec<_> = keys
        .map(|(id, rules, rights)| (id, rules.to_compact(), rights.bits()))
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
                sorted(expected.map(|(key, id)| (*id, key.rules.clone(), key.rights)));
            let held = held(&documents, door, &offsets);
            prop_assert_eq!(&held.unreadable, &Vec::<String>::new());
            let found = held.keys.into_iter().map(|key| (key.id, key.rules, key.rights));
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

fn key(place: Place, id: u8, rules: AccessRules) -> KeyAt {
    KeyAt {
        place,
        id: ElementId([id; 8]),
        rules,
        rights: Rights::NONE,
    }
}

fn windows(count: u16) -> AccessRules {
    let all = (0..count).map(|n| WeeklyWindow::new(Weekdays::ALL, n * 60, n * 60 + 30).unwrap());
    AccessRules::new(Range::ALWAYS, all, false, None).unwrap()
}

fn stay(from: &str, until: &str) -> AccessRules {
    let from = (!from.is_empty()).then(|| LocalMoment::parse_start(from).unwrap());
    let until = (!until.is_empty()).then(|| LocalMoment::parse_end(until).unwrap());
    AccessRules::new(Range::new(from, until).unwrap(), [], false, None).unwrap()
}

#[test]
fn a_range_at_readings_that_the_clock_skips_reads_back() {
    let offsets = zurich();
    // 2026-03-30 02:10 does not exist here: it is the moment after the gap, 03:00.
    for rules in [
        stay("2026-03-30T02:10", "2026-03-30T12:00"),
        stay("2026-03-29", "2026-03-30T02:50"),
        stay("2026-03-30T02:10", "2026-03-30T02:50"),
        stay("2026-10-28T02:30", "2026-10-28T02:45"),
        stay("1970-01-01T00:30", "2026-01-01"),
        stay("", "1970-01-01T00:30"),
    ] {
        let (_, documents) = issue(&[key(Place::Door(DOOR), 1, rules.clone())], &offsets).unwrap();
        let held = held(&documents, DOOR, &offsets);
        assert_eq!(held.keys[0].rules, rules);
    }
}

#[test]
fn under_newer_offsets_the_signed_instants_count() {
    let offsets = zurich();
    let rules = stay("2026-03-30T02:10", "2026-03-30T12:00");
    let (_, documents) = issue(&[key(Place::Door(DOOR), 1, rules)], &offsets).unwrap();
    // The country has done away with the change in the meantime.
    let newer = Offsets::new("Europe/Zurich", "2027a", offsets.span(), 3600, []).unwrap();
    let held = held(&documents, DOOR, &newer);
    assert_eq!(
        held.keys[0].rules,
        stay("2026-03-30T02:00", "2026-03-30T11:00")
    );
}

#[test]
fn many_windows_take_several_elements_and_are_one_key_again() {
    let offsets = zurich();
    let rules = windows(20);
    let (_, documents) = issue(&[key(Place::Door(DOOR), 1, rules.clone())], &offsets).unwrap();
    let names: Vec<_> = documents[0].identifiers().collect();
    assert_eq!(names, ["d7.1", "d7.2", "d7.3"]);
    let held = held(&documents, DOOR, &offsets);
    assert_eq!(held.keys.len(), 1);
    assert_eq!(held.keys[0].rules, rules);
}

#[test]
fn what_needs_a_fifth_element_joins_where_it_can() {
    let offsets = zurich();
    let place = Place::Door(DOOR);
    let always = || stay("", "");
    let keys: Vec<_> = (1..=7).map(|id| key(place, id, always())).collect();
    let (grant, documents) = issue(&keys, &offsets).unwrap();
    assert_eq!(documents[0].identifiers().count(), 4);
    assert_eq!(held(&documents, DOOR, &offsets).keys.len(), 7);
    let mut ids = grant.elements.clone();
    ids.sort();
    ids.dedup();
    assert_eq!(
        ids.len(),
        4,
        "the joined keys share an id, which the caller learns"
    );

    // Five with two windows each: two of them share one element of four schedules.
    let hours = |id: u8| {
        let window = |from| WeeklyWindow::new(Weekdays::ALL, from, from + 5).unwrap();
        let windows = [window(u16::from(id) * 10), window(u16::from(id) * 10 + 600)];
        AccessRules::new(Range::ALWAYS, windows, false, None).unwrap()
    };
    let five: Vec<_> = (1..=5).map(|id| key(place, id, hours(id))).collect();
    assert!(issue(&five, &offsets).is_ok());

    // Five with as many windows as an element holds, all different: no two fit into one.
    let full = |id: u8| {
        let windows = (0..8).map(|n| {
            let from = u16::from(id) * 200 + n * 20;
            WeeklyWindow::new(Weekdays::ALL, from, from + 5).unwrap()
        });
        key(
            place,
            id,
            AccessRules::new(Range::ALWAYS, windows, false, None).unwrap(),
        )
    };
    let five: Vec<_> = (1..=5).map(full).collect();
    assert_eq!(
        issue(&five, &offsets).unwrap_err(),
        GrantError::TooManyKeys(place)
    );
    let alike: Vec<_> = (1..=5).map(|id| key(place, id, windows(8))).collect();
    assert!(
        issue(&alike, &offsets).is_ok(),
        "equal schedules are written once"
    );

    // Counted keys are never joined: one count must not serve two keys.
    let uses = NonZeroU32::new(3);
    let counted: Vec<_> = (1..=5)
        .map(|id| {
            key(
                place,
                id,
                AccessRules::new(Range::ALWAYS, [], false, uses).unwrap(),
            )
        })
        .collect();
    assert_eq!(
        issue(&counted, &offsets).unwrap_err(),
        GrantError::TooManyKeys(place)
    );

    // Nor are keys of which one heeds holidays.
    let holidays = |id: u8| {
        let rules = AccessRules::new(Range::ALWAYS, [], id.is_multiple_of(2), None).unwrap();
        key(place, id, rules)
    };
    let mixed: Vec<_> = (1..=5).map(holidays).collect();
    let (_, documents) = issue(&mixed, &offsets).unwrap();
    let closed = held(&documents, DOOR, &offsets).keys;
    assert_eq!(
        closed
            .iter()
            .filter(|key| key.rules.closed_on_holidays())
            .count(),
        2
    );
}

#[test]
fn a_document_names_sixteen_doors_and_those_for_all_stand_in_each() {
    let offsets = zurich();
    let mut keys: Vec<_> = (1..=33u16)
        .map(|number| {
            let mut key = key(Place::Door(DoorNumber(number)), 1, stay("", ""));
            key.id = ElementId([0, 0, 0, 0, 0, 0, 1, number.to_be_bytes()[1]]);
            key
        })
        .collect();
    keys.push(key(Place::AllDoors, 9, windows(2)));
    let (grant, documents) = issue(&keys, &offsets).unwrap();
    let doors: Vec<_> = grant
        .documents
        .iter()
        .map(|document| document.doors.len())
        .collect();
    assert_eq!(doors, [16, 16, 1]);
    for number in [1, 16, 17, 33] {
        let held = held(&documents, DoorNumber(number), &offsets);
        assert_eq!(
            held.keys.len(),
            2,
            "its own key and that for all, in one document"
        );
    }
    assert_eq!(
        held(&documents, DoorNumber(99), &offsets).keys.len(),
        1,
        "the first serves others"
    );
    assert!(
        grant
            .documents
            .iter()
            .all(|document| document.keys.contains(&33))
    );
}

#[test]
fn a_door_reads_no_elements_of_other_doors() {
    let offsets = zurich();
    let (_, documents) = issue(&[key(Place::Door(DOOR), 1, stay("", ""))], &offsets).unwrap();
    let elements = verify(&documents[0], DOOR).unwrap().elements;
    assert_eq!(held_keys(&elements, DOOR, &offsets).keys.len(), 1);
    assert_eq!(
        held_keys(&elements, DoorNumber(8), &offsets),
        HeldKeys::default()
    );
    let renamed = vec![("x.d7.1".to_owned(), elements[0].1.clone())];
    assert_eq!(held_keys(&renamed, DOOR, &offsets).unreadable, ["x.d7.1"]);
}

#[test]
fn the_documents_own_fields_are_the_loosest_of_its_elements() {
    let offsets = zurich();
    let of = |rules: Vec<AccessRules>| {
        let keys: Vec<_> = (1..)
            .zip(rules)
            .map(|(id, rules)| key(Place::Door(DOOR), id, rules))
            .collect();
        let (_, documents) = issue(&keys, &offsets).unwrap();
        let verified = verify_late(&documents[0]);
        (
            verified.validity.valid_from.epoch() - SIGNED,
            verified.time_required,
        )
    };
    // Signed 2027-01-15T08:00:00Z.
    let tomorrow = || stay("2027-01-16", "");
    assert_eq!(of(vec![stay("", "")]), (-3600, false));
    assert_eq!(
        of(vec![tomorrow()]),
        (15 * 3600, true),
        "the earliest start"
    );
    assert_eq!(
        of(vec![tomorrow(), stay("2027-01-17", "")]),
        (15 * 3600, true)
    );
    assert_eq!(of(vec![tomorrow(), stay("2026-01-01", "")]), (-3600, true));
    assert_eq!(
        of(vec![tomorrow(), stay("", "")]),
        (-3600, false),
        "one works without a clock"
    );
    assert_eq!(
        of(vec![stay("2028-01-01", "")]),
        (-3600, true),
        "beyond its life"
    );
}

/// Verified without a clock, or by one that is far ahead where time is required.
fn verify_late(document: &RawDocument) -> VerifiedAccess {
    let mut trusted = TrustedIssuers::new();
    trusted.add_issuer(TestKey::of("issuer").public());
    let late = SIGNED + 3 * 86_400;
    Verifier::new(&trusted)
        .access(
            document,
            &VerifyContext {
                credential: &TestKey::of("phone").public(),
                asked: &asked_elements(DOOR),
                clock: Some(Now {
                    utc: late,
                    local: late,
                }),
                iterations: &Iterations::new(),
                known_reader_rules: &knows_reader_rule,
                understands: &understands,
            },
        )
        .unwrap()
}

#[test]
fn no_other_makers_reader_opens_by_ignoring_what_is_ours() {
    let offsets = zurich();
    let holiday = AccessRules::new(Range::ALWAYS, [], true, None).unwrap();
    let counted = AccessRules::new(Range::ALWAYS, [], false, NonZeroU32::new(1)).unwrap();
    let keys = [
        key(Place::Door(DOOR), 1, holiday),
        key(Place::Door(DOOR), 2, counted),
    ];
    let (_, documents) = issue(&keys, &offsets).unwrap();
    let names: Vec<_> = documents[0].identifiers().collect();
    assert_eq!(names, ["d7.1", "x.d7.1"]);

    let mut trusted = TrustedIssuers::new();
    trusted.add_issuer(TestKey::of("issuer").public());
    let asks = |asked: &[&str]| {
        let asked: Vec<_> = asked.iter().map(|&name| name.to_owned()).collect();
        let context = VerifyContext {
            credential: &TestKey::of("phone").public(),
            asked: &asked,
            clock: Some(Now {
                utc: SIGNED,
                local: SIGNED,
            }),
            iterations: &Iterations::new(),
            known_reader_rules: &|_| false,
            understands: &|_, _, _| false,
        };
        Verifier::new(&trusted)
            .access(&documents[0], &context)
            .unwrap_err()
    };
    assert_eq!(asks(&["d7.1"]), Refusal::UnknownReaderRule);
    assert_eq!(asks(&["x.d7.1"]), Refusal::UnknownCriticalExtension);
}

#[test]
fn a_door_without_a_clock_refuses_by_itself_what_needs_one() {
    let offsets = zurich();
    let keys = [
        key(Place::Door(DOOR), 1, stay("", "")),
        key(Place::Door(DOOR), 2, stay("2026-01-01", "")),
        key(Place::Door(DOOR), 3, windows(2)),
    ];
    let (_, documents) = issue(&keys, &offsets).unwrap();
    let elements = verify(&documents[0], DOOR).unwrap().elements;
    let verdicts: Vec<_> = elements
        .iter()
        .map(|(_, data)| evaluate(data, Capabilities::UNSECURE, None))
        .collect();
    assert_eq!(
        verdicts,
        [Verdict::Allowed, Verdict::NeedsClock, Verdict::NeedsClock]
    );
    let held = held_keys(&elements, DOOR, &offsets);
    let need: Vec<_> = held.keys.iter().map(|key| key.rules.need_time()).collect();
    assert_eq!(need, [false, true, true]);
}

#[test]
fn names_have_one_spelling() {
    let names = asked_elements(DoorNumber(12));
    assert_eq!(names.len(), 16);
    assert_eq!(names[0], "d12.1");
    assert_eq!(names[7], "x.d12.4");
    assert_eq!(names[15], "x.all.4");
    for name in &names {
        assert_eq!(&name.parse::<ElementName>().unwrap().to_string(), name);
    }
    for bad in [
        "",
        "d.1",
        "d1.0",
        "d1.5",
        "d01.1",
        "d+1.1",
        "d65536.1",
        "all.+1",
        "x.x.all.1",
    ] {
        assert_eq!(bad.parse::<ElementName>(), Err(BadElementName), "{bad}");
    }
}

#[test]
fn keys_that_share_an_id_and_lifetimes_out_of_bounds_are_refused() {
    let offsets = zurich();
    let place = Place::Door(DOOR);
    let twice = [key(place, 1, stay("", "")), key(place, 1, windows(1))];
    assert_eq!(
        issue(&twice, &offsets).unwrap_err(),
        GrantError::RepeatedId(place)
    );
    let issuer = TestKey::of("issuer").public();
    for seconds in [0, 3599, 30 * 86_400 + 1] {
        let request = GrantRequest {
            issuer: &issuer,
            holder: &issuer,
            keys: &[key(place, 1, stay("", ""))],
            offsets: &offsets,
            lifetime: Lifetime {
                seconds,
                ..LIFETIME
            },
        };
        assert_eq!(
            prepare(&request, || [1; 16]).unwrap_err(),
            GrantError::BadLifetime
        );
    }
    assert!(
        issue(&[], &offsets).unwrap().1.is_empty(),
        "nothing to grant, nothing signed"
    );
}
