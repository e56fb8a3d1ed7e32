//! Phones that come again: known by the key that both sides remember, and decided upon as ever.

use std::sync::Arc;
use std::time::Duration;

use aliro::document::key_hash;
use aliro::identifier::ReaderIdentifier;
use latchkey_door::{FILE, RunConfig};
use latchkey_protocol::ids::{Generation, sub_identifier};
use latchkey_protocol::private::Outcome;
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::rules::Reason;
use rstest::rstest;

use crate::phone::{Phone, Visit, denied};
use crate::property::{DAY, Door, Key, Property};

/// How many phones the door's store remembers.
fn remembered(door: &Door) -> i64 {
    store(door)
        .query_row("SELECT count(*) FROM persistent_keys", [], |row| row.get(0))
        .unwrap()
}

fn store(door: &Door) -> rusqlite::Connection {
    rusqlite::Connection::open(door.folder.path().join(FILE)).unwrap()
}

/// Whether the door opened, and whether the phone had to sign.
fn came(visit: &Visit) -> (bool, bool) {
    (denied(visit).is_none(), visit.signed)
}

const FAST: (bool, bool) = (true, false);
const SIGNED: (bool, bool) = (true, true);

#[tokio::test]
async fn a_phone_that_comes_again_is_known_without_a_signature_after_a_restart_too() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, "{}");
    assert_eq!(came(&phone.visit(&door).await), SIGNED);
    let phone = phone.gesture(2);
    let again = phone.visit(&door).await;
    assert_eq!(came(&again), FAST);
    assert!(!again.asked_for_documents);
    let first = again.record.unwrap();
    let repeated = phone.visit(&door).await;
    assert_eq!(came(&repeated), FAST);
    assert_eq!(
        repeated.record.unwrap().event,
        first.event,
        "the same gesture"
    );
    assert_eq!(door.strike.count(), 2);

    let door = door.restart(true, RunConfig::default()).await;
    assert_eq!(came(&phone.gesture(3).visit(&door).await), FAST);
    assert_eq!(door.strike.count(), 3);
}

#[tokio::test]
async fn being_known_opens_nothing_that_the_key_does_not() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let windows = r#"{"windows": [{"days": ["tue"], "from": "09:00", "to": "11:00"}]}"#;
    let phone = Phone::resident(&property, windows);
    assert_eq!(came(&phone.visit(&door).await), SIGNED);
    property.clock.advance(Duration::from_secs(3600));
    let visit = phone.gesture(2).visit(&door).await;
    assert!(!visit.signed);
    assert_eq!(
        visit.record.unwrap().outcome,
        Outcome::Denied {
            reason: Reason::OutsideHours,
            next: Some("2026-12-01T08:00:00Z".parse().unwrap()),
        }
    );
    assert_eq!(door.strike.count(), 1);
}

#[tokio::test]
async fn a_phone_with_a_newer_grant_signs_and_shows_it() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let mut phone = Phone::resident(&property, "{}");
    phone.visit(&door).await;
    property.clock.advance(Duration::from_secs(60));
    phone.grant(&property, 7, "{}");
    let mut phone = phone.gesture(2);
    let before = phone.met.key();
    let visit = phone.visit(&door).await;
    assert_eq!(came(&visit), SIGNED);
    assert!(visit.asked_for_documents);
    assert_ne!(phone.met.key(), before, "with a new key for the next time");
    phone = phone.gesture(3);
    assert_eq!(came(&phone.visit(&door).await), FAST);

    // Narrowed: what was remembered beside the wider grant counts no longer, whatever comes of this visit.
    property.clock.advance(Duration::from_secs(60));
    let fridays = r#"{"windows": [{"days": ["fri"], "from": "09:00", "to": "10:00"}]}"#;
    phone.grant(&property, 7, fridays);
    let visit = phone.gesture(4).visit(&door).await;
    assert_eq!(
        (denied(&visit), visit.signed),
        (Some(Reason::WrongDay), true)
    );
    assert_eq!(remembered(&door), 0);
}

#[tokio::test]
async fn a_grant_that_is_over_ends_it() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, "{}");
    phone.visit(&door).await;
    property.clock.advance(7 * DAY + Duration::from_secs(60));
    let visit = phone.gesture(2).visit(&door).await;
    assert_eq!(
        (denied(&visit), visit.signed),
        (Some(Reason::GrantTooOld), true)
    );
    assert_eq!(remembered(&door), 0);
}

#[rstest]
#[case::the_key(Reason::Revoked, |list: &mut Revocations, phone: &Phone| {
    list.elements.insert(phone.element);
})]
#[case::an_edit(Reason::KeyChanged, |list: &mut Revocations, phone: &Phone| {
    list.superseded.insert(phone.element);
})]
#[case::the_phone(Reason::Revoked, |list: &mut Revocations, phone: &Phone| {
    list.credentials.insert(key_hash(&phone.key.public()));
})]
#[tokio::test]
async fn whoever_is_on_the_list_is_forgotten_with_it(
    #[case] reason: Reason,
    #[case] name: fn(&mut Revocations, &Phone),
) {
    let mut property = Property::new();
    let door = Door::new(&property).await;
    let (phone, other) = (
        Phone::resident(&property, "{}"),
        Phone::resident(&property, "{}"),
    );
    assert_eq!(came(&phone.visit(&door).await), SIGNED);
    assert_eq!(came(&other.visit(&door).await), SIGNED);
    assert_eq!(remembered(&door), 2);
    let phone = phone.gesture(2);
    let mut list = Revocations::default();
    name(&mut list, &phone);
    let list = property.revoke(list);
    let other = other.gesture(2).carrying(&list);
    assert_eq!(came(&other.visit(&door).await), FAST, "it brings the list");
    assert_eq!(remembered(&door), 1, "at once, and not at the next visit");
    let visit = phone.visit(&door).await;
    assert_eq!((denied(&visit), visit.signed), (Some(reason), true));
    assert_eq!(came(&other.gesture(3).visit(&door).await), FAST);
}

#[tokio::test]
async fn either_side_may_forget() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, "{}");
    phone.visit(&door).await;
    phone.met.forget();
    let phone = phone.gesture(2);
    assert_eq!(came(&phone.visit(&door).await), SIGNED);
    let phone = phone.gesture(3);
    assert_eq!(came(&phone.visit(&door).await), FAST);
    for wiped in ["persistent_keys", "documents"] {
        // A row goes with its document.
        store(&door)
            .execute_batch(&format!("PRAGMA foreign_keys = ON; DELETE FROM {wiped}"))
            .unwrap();
        assert_eq!(remembered(&door), 0);
    }
    let door = door.restart(true, RunConfig::default()).await;
    let phone = phone.gesture(4);
    assert_eq!(came(&phone.visit(&door).await), SIGNED);
    assert_eq!(came(&phone.gesture(5).visit(&door).await), FAST);
}

#[tokio::test]
async fn a_row_that_does_not_open_is_a_phone_that_has_to_sign() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, "{}");
    phone.visit(&door).await;
    store(&door)
        .execute("UPDATE persistent_keys SET sealed = zeroblob(126)", [])
        .unwrap();
    let door = door.restart(true, RunConfig::default()).await;
    assert_eq!(came(&phone.gesture(2).visit(&door).await), SIGNED);
}

#[tokio::test]
async fn whoever_has_not_opened_here_is_not_remembered() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let stranger = Phone::stranger(&property);
    assert_eq!(denied(&stranger.visit(&door).await), Some(Reason::Unknown));
    let too_early = Phone::resident(&property, r#"{"range": {"from": "2026-11-25"}}"#);
    assert_eq!(
        denied(&too_early.visit(&door).await),
        Some(Reason::TooEarly)
    );
    assert_eq!(remembered(&door), 0);
    assert!(too_early.gesture(2).visit(&door).await.signed);
}

/// What a thief of the whole store has, and of the phone's memory: good at this door alone, for as long as
/// it remembers.
#[tokio::test]
async fn the_remembered_key_opens_its_own_door_and_no_other() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let mut phone = Phone::resident(&property, "{}");
    phone.visit(&door).await;
    phone.forged_by = Some(Key::new());
    let thief = phone.gesture(2);
    assert_eq!(came(&thief.visit(&door).await), FAST);

    let mut other = Door::with(&property, 8, RunConfig::default()).await;
    let reader = |generation| {
        ReaderIdentifier::new(
            property.id.0,
            sub_identifier(other.id, Generation(generation)),
        )
    };
    let mut thief = thief.gesture(3);
    thief.grant(&property, 8, "{}");
    thief.met = thief.met.at(reader(1));
    let visit = thief.visit(&other).await;
    assert!(visit.record.is_none() && visit.signed, "{visit:?}");
    // Not even with the row itself.
    let row: (Vec<u8>, Vec<u8>, Vec<u8>) = store(&door)
        .query_row(
            "SELECT credential, element, sealed FROM persistent_keys",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    store(&other)
        .execute(
            "INSERT INTO documents VALUES (?1, 4000000000, 4000000000, x'00')",
            [&row.0],
        )
        .unwrap();
    store(&other)
        .execute(
            "INSERT INTO persistent_keys (credential, element, sealed) VALUES (?1, ?2, ?3)",
            (&row.0, &row.1, &row.2),
        )
        .unwrap();
    other = other.restart(true, RunConfig::default()).await;
    let visit = thief.visit(&other).await;
    assert!(visit.record.is_none() && visit.signed, "{visit:?}");
    assert_eq!((door.strike.count(), other.strike.count()), (2, 0));
}

/// Two carriers race with the same gesture, both by signature: one of their keys is remembered, and the lock
/// moves once.
#[tokio::test]
async fn racing_carriers_leave_one_key() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, "{}");
    let mut twin = Phone::stranger(&property);
    twin.key = phone.key.clone();
    twin.grant.clone_from(&phone.grant);
    twin.attempt = phone.attempt;
    twin.met = Arc::default();
    let (one, other) = tokio::join!(phone.visit(&door), twin.visit(&door));
    assert_eq!((came(&one), came(&other)), (SIGNED, SIGNED));
    assert_eq!((door.strike.count(), remembered(&door)), (1, 1));
    // The one that came second costs one more signature at most.
    let phone = phone.gesture(2);
    assert!(denied(&phone.visit(&door).await).is_none());
    assert_eq!(came(&phone.gesture(3).visit(&door).await), FAST);
}
