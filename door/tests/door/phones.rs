//! Phones at a door without a network.

use std::time::Duration;

use aliro::device::Failure;
use aliro::document::key_hash;
use aliro::message::ReaderState;
use latchkey_door::{Report, RunConfig};
use latchkey_protocol::api::events::Means;
use latchkey_protocol::doorlink::Subject;
use latchkey_protocol::private::Outcome;
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::rules::Reason;
use latchkey_protocol::statement::Body;
use rstest::rstest;

use crate::guest::Guest;
use crate::phone::{Phone, denied};
use crate::property::{DAY, Door, Key, Property};

#[tokio::test]
async fn a_resident_gets_in_and_the_door_remembers_the_grant() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, "{}");
    let mut reports = door.running.reports();

    let visit = phone.visit(&door).await;
    assert_eq!(denied(&visit), None, "{visit:?}");
    assert_eq!(visit.lock, Some(ReaderState::Unsecured));
    assert!(
        visit.asked_for_documents,
        "the door did not know the credential"
    );
    assert_eq!(door.strike.count(), 1);
    let Report::Opened(happening) = reports.try_recv().unwrap() else {
        panic!("not opened");
    };
    assert_eq!(happening.means, Means::Stream);
    assert_eq!(happening.event, visit.record.unwrap().event);
    assert_eq!(
        happening.subject,
        Subject::Credential {
            key_hash: key_hash(&phone.key.public()).to_vec().into(),
            element: Some(phone.element),
        }
    );

    let again = phone.gesture(2).visit(&door).await;
    assert_eq!(denied(&again), None);
    assert!(
        !again.asked_for_documents,
        "the door holds the phone's newest document"
    );
    assert_eq!(door.strike.count(), 2);
}

#[tokio::test]
async fn a_newer_grant_is_asked_for_and_an_edit_counts_at_once() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let mut phone = Phone::resident(&property, "{}");
    phone.visit(&door).await;
    property.clock.advance(Duration::from_secs(60));
    phone.grant(
        &property,
        7,
        r#"{"windows": [{"days": ["fri"], "from": "09:00", "to": "10:00"}]}"#,
    );
    let visit = phone.gesture(2).visit(&door).await;
    assert!(visit.asked_for_documents);
    let record = visit.record.unwrap();
    assert_eq!(
        record.outcome,
        Outcome::Denied {
            reason: Reason::WrongDay,
            next: Some("2026-11-27T08:00:00Z".parse().unwrap()),
        }
    );
    assert_eq!(door.strike.count(), 1);
}

#[tokio::test]
async fn an_older_grant_does_not_take_the_place_of_the_one_that_the_door_has_seen() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let mut phone = Phone::resident(&property, "{}");
    let wide = phone.grant.clone();
    property.clock.advance(Duration::from_secs(60));
    let fridays = r#"{"windows": [{"days": ["fri"], "from": "09:00", "to": "10:00"}]}"#;
    phone.grant(&property, 7, fridays);
    assert_eq!(denied(&phone.visit(&door).await), Some(Reason::WrongDay));
    // The list that supersedes the old one has not come here, and the phone knows it.
    phone.grant = wide;
    let later = property.now().timestamp() + 60;
    phone.boasts = aliro::document::Timestamp::from_epoch(later);
    let visit = phone.gesture(2).visit(&door).await;
    assert!(visit.asked_for_documents);
    assert_eq!(denied(&visit), Some(Reason::WrongDay));
    assert_eq!(door.strike.count(), 0);
}

#[tokio::test]
async fn one_gesture_opens_once_however_often_it_comes() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, "{}");
    let first = phone.visit(&door).await;
    let again = phone.visit(&door).await;
    assert_eq!(denied(&again), None, "the same answer");
    assert_eq!(again.record.unwrap().event, first.record.unwrap().event);
    assert_eq!(door.strike.count(), 1, "and nothing moves");

    // Two carriers that race.
    let phone = phone.gesture(3);
    let (one, other) = tokio::join!(phone.visit(&door), phone.visit(&door));
    assert_eq!((denied(&one), denied(&other)), (None, None));
    assert_eq!(door.strike.count(), 2);

    // Somebody else's phone does not get in by naming the gesture.
    let mut other = Phone::resident(&property, "{}");
    other.attempt = phone.attempt;
    assert_eq!(denied(&other.visit(&door).await), Some(Reason::Unknown));
    assert_eq!(door.strike.count(), 2);
}

#[tokio::test]
async fn a_replaced_gesture_opens_nothing_any_more() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let mut phone = Phone::resident(&property, "{}").gesture(1);
    let replaced = phone.attempt;
    phone = phone.gesture(2);
    phone.replaces = vec![replaced];
    assert_eq!(denied(&phone.visit(&door).await), None);
    phone.replaces.clear();
    let late = phone.gesture(1).visit(&door).await;
    assert_eq!(denied(&late), Some(Reason::CodeUsedBefore));
    assert_eq!(door.strike.count(), 1);
}

#[rstest]
#[case::over(r#"{"range": {"until": "2026-11-23"}}"#, Reason::Expired)]
#[case::ahead(r#"{"range": {"from": "2026-11-25"}}"#, Reason::TooEarly)]
#[case::other_hours(
    r#"{"windows": [{"days": ["tue"], "from": "12:00", "to": "13:00"}]}"#,
    Reason::OutsideHours
)]
#[case::counted(r#"{"max_uses": 3}"#, Reason::NoUsesHeldHere)]
#[tokio::test]
async fn the_rules_of_the_key_hold_at_the_door(#[case] rules: &str, #[case] reason: Reason) {
    let property = Property::new();
    let door = Door::new(&property).await;
    let visit = Phone::resident(&property, rules).visit(&door).await;
    assert_eq!(denied(&visit), Some(reason));
    assert_eq!(visit.lock, Some(ReaderState::Secured));
    assert_eq!(door.strike.count(), 0);
}

#[tokio::test]
async fn a_key_that_begins_later_than_its_grant_was_signed_is_told_when() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, r#"{"range": {"from": "2026-11-25T08:00"}}"#);
    let record = phone.visit(&door).await.record.unwrap();
    assert_eq!(
        record.outcome,
        Outcome::Denied {
            reason: Reason::TooEarly,
            next: Some("2026-11-25T07:00:00Z".parse().unwrap()),
        }
    );
}

#[tokio::test]
async fn strangers_and_keys_of_other_doors_are_told_so() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let stranger = Phone::stranger(&property);
    assert_eq!(denied(&stranger.visit(&door).await), Some(Reason::Unknown));

    let mut neighbour = Phone::stranger(&property);
    neighbour.grant(&property, 8, "{}");
    assert_eq!(
        denied(&neighbour.visit(&door).await),
        Some(Reason::WrongDoor)
    );

    // Somebody who holds up another person's grant.
    let mut thief = Phone::stranger(&property);
    thief.grant = Phone::resident(&property, "{}").grant;
    assert_eq!(denied(&thief.visit(&door).await), Some(Reason::Unknown));

    // A grant by another property's issuer.
    let mut elsewhere = Property::new();
    elsewhere.reader_ca = Key::new();
    let mut impostor = Phone::stranger(&property);
    impostor.grant(&elsewhere, 7, "{}");
    assert_eq!(denied(&impostor.visit(&door).await), Some(Reason::Unknown));
    assert_eq!(door.strike.count(), 0);
}

#[tokio::test]
async fn whoever_has_not_got_the_key_is_a_stranger_in_the_log() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let mut reports = door.running.reports();
    let mut thief = Phone::resident(&property, "{}");
    thief.forged_by = Some(Key::new());
    let visit = thief.visit(&door).await;
    assert!(
        matches!(visit.failure, Some(Failure::ReaderRefused(_))),
        "{visit:?}"
    );
    let Report::Denied(happening) = reports.try_recv().unwrap() else {
        panic!("not denied");
    };
    assert_eq!(happening.subject, Subject::Stranger);
    assert_eq!(happening.reason, Some(Reason::Unknown));
    assert_eq!(door.strike.count(), 0);
}

#[tokio::test]
async fn an_offline_door_forgets_a_lost_phone_by_itself() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, "{}");
    assert_eq!(denied(&phone.visit(&door).await), None);
    property.clock.advance(7 * DAY + Duration::from_secs(60));
    let visit = phone.gesture(2).visit(&door).await;
    assert_eq!(denied(&visit), Some(Reason::GrantTooOld));
    assert_eq!(door.strike.count(), 1);
}

#[tokio::test]
async fn a_withdrawn_key_is_refused_once_any_other_phone_has_been_there() {
    let mut property = Property::new();
    let door = Door::new(&property).await;
    let (withdrawn, lost, edited) = (
        Phone::resident(&property, "{}"),
        Phone::resident(&property, "{}"),
        Phone::resident(&property, "{}"),
    );
    for phone in [&withdrawn, &lost, &edited] {
        assert_eq!(denied(&phone.visit(&door).await), None);
    }
    let mut list = Revocations::default();
    list.elements.insert(withdrawn.element);
    list.superseded.insert(edited.element);
    list.credentials.insert(key_hash(&lost.key.public()));
    let list = property.revoke(list);

    let other = Phone::resident(&property, "{}").carrying(&list);
    let visit = other.visit(&door).await;
    assert_eq!(denied(&visit), None);
    let state = visit.state.unwrap();
    let before = SignedNumbers::of(visit.record.unwrap().state.unwrap(), &door);
    let after = SignedNumbers::of(state.to_bytes(), &door);
    assert_eq!(
        (before.list, after.list),
        (0, 1),
        "the state that the phone takes along"
    );
    assert!(after.counter > before.counter);

    assert_eq!(
        denied(&withdrawn.gesture(2).visit(&door).await),
        Some(Reason::Revoked)
    );
    assert_eq!(
        denied(&edited.gesture(2).visit(&door).await),
        Some(Reason::KeyChanged)
    );
    let visit = lost.gesture(2).visit(&door).await;
    assert_eq!(denied(&visit), Some(Reason::Revoked));
    assert!(visit.asked_for_documents, "its cached document is gone");
    assert_eq!(door.strike.count(), 4);
}

#[tokio::test]
async fn an_older_list_revives_nothing_and_a_forged_one_withdraws_nothing() {
    let mut property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, "{}");
    let old = property.revoke(Revocations::default());
    let mut list = Revocations::default();
    list.elements.insert(phone.element);
    let new = property.revoke(list.clone());
    Phone::resident(&property, "{}")
        .carrying(&new)
        .visit(&door)
        .await;
    let visit = Phone::resident(&property, "{}")
        .carrying(&old)
        .visit(&door)
        .await;
    assert_eq!(
        SignedNumbers::of(visit.state.unwrap().to_bytes(), &door).list,
        2
    );
    assert_eq!(denied(&phone.visit(&door).await), Some(Reason::Revoked));

    let victim = Phone::resident(&property, "{}");
    list.elements.insert(victim.element);
    let mut elsewhere = Property::new();
    elsewhere.lists_so_far(7);
    let forged = elsewhere.revoke(list);
    Phone::resident(&property, "{}")
        .carrying(&forged)
        .visit(&door)
        .await;
    assert_eq!(denied(&victim.visit(&door).await), None);
}

/// What of a door's state these tests look at.
struct SignedNumbers {
    list: u64,
    statements: u64,
    counter: u64,
}

impl SignedNumbers {
    fn of(bytes: Vec<u8>, door: &Door) -> Self {
        let signed = latchkey_protocol::doorstate::SignedDoorState::from_bytes(&bytes).unwrap();
        let state = signed.verify(&door.reader_key).unwrap();
        assert_eq!(state.door, door.id);
        Self {
            list: state.list.version,
            statements: state.statements.all,
            counter: state.counter,
        }
    }
}

#[tokio::test]
async fn phones_carry_statements_in_their_order() {
    let mut property = Property::new();
    let door = Door::new(&property).await;
    let guest = Guest::new(&property, "{}");
    let late = Guest::new(&property, "{}");
    let second = property.state(Body::Pass(guest.signed.clone()));
    let third = property.state(Body::Pass(late.signed.clone()));

    // The third without the second: not obeyed.
    let phone = Phone::resident(&property, "{}").with_statements(vec![third.clone()]);
    let visit = phone.visit(&door).await;
    assert_eq!(visit.record.as_ref().unwrap().wants.statements_after.all, 1);
    assert_eq!(
        SignedNumbers::of(visit.state.unwrap().to_bytes(), &door).statements,
        1
    );
    let answer = door
        .running
        .scan(&late.short(property.now()))
        .await
        .unwrap();
    assert_eq!(answer.reason, Some(Reason::NotYetAtThisDoor));

    // One that somebody else signed: not obeyed either.
    let elsewhere = Property::new();
    let forged = elsewhere.statement(
        latchkey_protocol::statement::Addressee::All,
        2,
        Body::Pass(guest.signed.clone()),
    );
    let phone = Phone::resident(&property, "{}").with_statements(vec![forged]);
    let visit = phone.visit(&door).await;
    assert_eq!(
        SignedNumbers::of(visit.state.unwrap().to_bytes(), &door).statements,
        1
    );

    let phone = Phone::resident(&property, "{}").with_statements(vec![second, third]);
    let visit = phone.visit(&door).await;
    assert_eq!(
        SignedNumbers::of(visit.state.unwrap().to_bytes(), &door).statements,
        3
    );
    for guest in [guest, late] {
        assert!(
            door.running
                .scan(&guest.short(property.now()))
                .await
                .unwrap()
                .opened
        );
    }
}

#[tokio::test]
async fn a_door_that_lost_its_time_lets_in_those_whose_keys_ask_for_none() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let (unlimited, ranged, ended) = (
        Phone::resident(&property, "{}"),
        Phone::resident(&property, r#"{"range": {"until": "2026-12-01"}}"#),
        Phone::resident(&property, "{}"),
    );
    property.clock.advance(8 * DAY);
    // The clock is stored as it runs; what it has seen pass does not come back.
    let door = door.restart(false, RunConfig::default()).await;
    assert_eq!(denied(&ended.visit(&door).await), Some(Reason::GrantTooOld));
    let mut unlimited = unlimited;
    unlimited.grant(&property, 7, "{}");
    assert_eq!(denied(&unlimited.visit(&door).await), None);
    let mut ranged = ranged;
    ranged.grant(&property, 7, r#"{"range": {"until": "2026-12-24"}}"#);
    assert_eq!(
        denied(&ranged.visit(&door).await),
        Some(Reason::ClockUnsure)
    );
}
