//! Grants, case by case.

use std::num::NonZeroU32;

use aliro::document::{
    Capabilities, Iterations, Now, Refusal, TrustedIssuers, Verdict, Verifier, VerifyContext,
    evaluate,
};
use chrono::{DateTime, Utc};
use latchkey_protocol::grant::*;
use latchkey_protocol::ids::{DoorNumber, ElementId};
use latchkey_protocol::rules::*;

use super::{DOOR, LIFETIME, SIGNED, held, issue, verify, verify_at, zurich};
use crate::test_key::TestKey;

fn key(place: Place, id: u8, rules: AccessRules) -> KeyAt {
    KeyAt {
        place,
        id: ElementId([id; 8]),
        rules,
        budget: None,
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
        let verified = verify(&documents[0], DOOR).unwrap();
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

#[test]
fn a_door_says_when_a_key_begins_that_its_grant_does_not_hold_for_yet() {
    let offsets = zurich();
    let window = WeeklyWindow::parse(Weekdays::ALL, "10:00", "12:00").unwrap();
    let range = *stay("2027-01-16", "").range();
    let rules = AccessRules::new(range, [window], false, None).unwrap();
    let (_, documents) = issue(&[key(Place::Door(DOOR), 1, rules)], &offsets).unwrap();
    let verified = verify_at(&documents[0], DOOR, SIGNED).unwrap();
    let held = held_keys(&verified.elements, DOOR, &offsets);
    let calendar = Calendar {
        offsets: &offsets,
        holidays: Holidays::NONE,
    };
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let now = Facts::at(at("2027-01-15T08:00:00Z"));
    assert_eq!(
        decide(&held.keys[0].rules, &calendar, &now),
        Decision::Denied {
            reason: Reason::TooEarly,
            next: Some(at("2027-01-16T09:00:00Z")),
        }
    );

    // A clock that is hours behind is another matter.
    let (_, documents) = issue(&[key(Place::Door(DOOR), 1, stay("", ""))], &offsets).unwrap();
    assert_eq!(
        verify_at(&documents[0], DOOR, SIGNED - 7200).unwrap_err(),
        Refusal::NotYetValid
    );
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
