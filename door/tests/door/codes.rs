//! Rotating codes at a door without a network.

use std::time::Duration;

use chrono::TimeDelta;
use latchkey_door::{RunConfig, ScanAnswer};
use latchkey_protocol::code::Code;
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::rules::Reason;
use latchkey_protocol::statement::Body;
use proptest::prelude::*;
use rstest::rstest;

use crate::guest::Guest;
use crate::phone::Phone;
use crate::property::{DAY, Door, Property};

fn opens(answer: ScanAnswer) -> bool {
    assert_eq!(answer.opened, answer.reason.is_none(), "{answer:?}");
    answer.opened
}

/// A door that knows the guest's pass.
async fn known(rules: &str) -> (Property, Guest, Door) {
    let mut property = Property::new();
    let guest = Guest::new(&property, rules);
    property.state(Body::Pass(guest.signed.clone()));
    let door = Door::new(&property).await;
    (property, guest, door)
}

#[tokio::test]
async fn a_code_opens_once_and_so_does_the_next() {
    let (property, guest, door) = known("{}").await;
    let first = guest.short(property.now());
    assert!(opens(door.running.scan(&first).await.unwrap()));
    let again = door.running.scan(&format!("  {first}\r\n")).await.unwrap();
    assert_eq!(again.reason, Some(Reason::CodeUsedBefore));
    assert_eq!(door.strike.count(), 1);

    property.clock.advance(Duration::from_secs(15));
    let before = guest.short(property.now() - TimeDelta::seconds(16));
    let answer = door.running.scan(&before).await.unwrap();
    assert_eq!(
        answer.reason,
        Some(Reason::CodeUsedBefore),
        "older than the last accepted"
    );
    assert!(opens(
        door.running
            .scan(&guest.short(property.now()))
            .await
            .unwrap()
    ));
    assert_eq!(door.strike.count(), 2);
}

#[tokio::test]
async fn a_door_that_never_heard_of_the_guest_opens_for_the_long_code_alone() {
    let property = Property::new();
    let guest = Guest::new(&property, "{}");
    let door = Door::new(&property).await;
    let short = door
        .running
        .scan(&guest.short(property.now()))
        .await
        .unwrap();
    assert_eq!(short.reason, Some(Reason::NotYetAtThisDoor));
    let long = guest.long(property.now());
    assert!(long.len() < 400, "{}", long.len());
    assert!(opens(door.running.scan(&long).await.unwrap()));
    let again = door.running.scan(&long).await.unwrap();
    assert_eq!(again.reason, Some(Reason::CodeUsedBefore));
    assert_eq!(door.strike.count(), 1);
}

#[tokio::test]
async fn used_codes_stay_used_after_the_power_was_cut() {
    let (property, guest, door) = known("{}").await;
    let code = guest.short(property.now());
    assert!(opens(door.running.scan(&code).await.unwrap()));
    let door = door.restart(true, RunConfig::default()).await;
    let again = door.running.scan(&code).await.unwrap();
    assert_eq!(again.reason, Some(Reason::CodeUsedBefore));
}

#[rstest]
#[case::just_inside(19, None)]
#[case::passed(25, Some(Reason::CodeTooOld))]
#[case::from_the_near_future(-19, None)]
#[case::from_the_future(-25, Some(Reason::CodeTooOld))]
#[tokio::test]
async fn a_code_is_good_for_twenty_seconds(#[case] age: i64, #[case] reason: Option<Reason>) {
    let (property, guest, door) = known("{}").await;
    let code = guest.short(property.now() - TimeDelta::seconds(age));
    assert_eq!(door.running.scan(&code).await.unwrap().reason, reason);
    assert_eq!(door.strike.count(), usize::from(reason.is_none()));
}

#[tokio::test]
async fn a_drifted_clock_still_opens_inside_what_it_cannot_know() {
    let (property, guest, door) = known("{}").await;
    door.clock.set_drift_ppm(50);
    property.clock.advance(10 * DAY);
    // 43 seconds fast, and unsure of 86 by its own reckoning.
    assert!(opens(
        door.running
            .scan(&guest.short(property.now()))
            .await
            .unwrap()
    ));
    let other = Guest::new(&property, "{}");
    let old = other.long(property.now() - TimeDelta::seconds(80));
    let answer = door.running.scan(&old).await.unwrap();
    assert_eq!(answer.reason, Some(Reason::CodeTooOld), "123 seconds apart");
}

#[tokio::test]
async fn a_clock_that_has_drifted_too_far_says_so() {
    let (property, guest, door) = known("{}").await;
    door.clock.set_drift_ppm(110);
    property.clock.advance(14 * DAY);
    let answer = door
        .running
        .scan(&guest.short(property.now()))
        .await
        .unwrap();
    assert_eq!(answer.reason, Some(Reason::ClockUnsure));
    assert_eq!(door.strike.count(), 0);
}

#[tokio::test]
async fn a_door_that_lost_its_time_takes_no_code() {
    let (property, guest, door) = known("{}").await;
    let door = door.restart(false, RunConfig::default()).await;
    let answer = door
        .running
        .scan(&guest.short(property.now()))
        .await
        .unwrap();
    assert_eq!(answer.reason, Some(Reason::ClockUnsure));
}

#[tokio::test]
async fn a_battery_backed_clock_carries_a_door_over() {
    let (property, guest, door) = known("{}").await;
    let door = door.restart(true, RunConfig::default()).await;
    property.clock.advance(Duration::from_secs(3600));
    assert!(opens(
        door.running
            .scan(&guest.short(property.now()))
            .await
            .unwrap()
    ));
}

#[rstest]
#[case::over(r#"{"range": {"until": "2026-11-23"}}"#, Reason::Expired, None)]
#[case::ahead(
    r#"{"range": {"from": "2026-11-25T08:00"}}"#,
    Reason::TooEarly,
    Some("2026-11-25T07:00:00Z")
)]
#[case::other_hours(
    r#"{"windows": [{"days": ["tue"], "from": "12:00", "to": "13:00"}]}"#,
    Reason::OutsideHours,
    Some("2026-11-24T11:00:00Z")
)]
#[case::other_day(
    r#"{"windows": [{"days": ["fri"], "from": "12:00", "to": "13:00"}]}"#,
    Reason::WrongDay,
    Some("2026-11-27T11:00:00Z")
)]
#[tokio::test]
async fn the_passes_rules_hold_at_the_door(
    #[case] rules: &str,
    #[case] reason: Reason,
    #[case] next: Option<&str>,
) {
    let (property, guest, door) = known(rules).await;
    let answer = door
        .running
        .scan(&guest.short(property.now()))
        .await
        .unwrap();
    assert_eq!(answer.reason, Some(reason));
    assert_eq!(answer.changes_at, next.map(|at| at.parse().unwrap()));
    assert_eq!(door.strike.count(), 0);
}

#[tokio::test]
async fn a_pass_opens_its_own_doors_only() {
    let mut property = Property::new();
    let guest = Guest::at(&property, 8, "{}");
    property.state(Body::Pass(guest.signed.clone()));
    let door = Door::new(&property).await;
    for code in [guest.short(property.now()), guest.long(property.now())] {
        let answer = door.running.scan(&code).await.unwrap();
        assert_eq!(answer.reason, Some(Reason::WrongDoor));
    }
}

#[tokio::test]
async fn a_long_code_is_good_until_its_pass_ends() {
    let property = Property::new();
    let guest = Guest::new(&property, "{}");
    let door = Door::new(&property).await;
    property.clock.advance(29 * DAY);
    // Nothing but the pass's end is asked here: the door goes on by the clock of the truth.
    let door = door.restart(true, RunConfig::default()).await;
    let answer = door
        .running
        .scan(&guest.long(property.now()))
        .await
        .unwrap();
    assert_eq!(answer.reason, None);
    property.clock.advance(2 * DAY);
    let answer = door
        .running
        .scan(&guest.long(property.now()))
        .await
        .unwrap();
    assert_eq!(answer.reason, Some(Reason::GrantTooOld));
}

#[tokio::test]
async fn a_withdrawn_pass_is_refused_once_any_phone_has_been_there() {
    let (mut property, guest, door) = known("{}").await;
    let stranger = Guest::new(&property, "{}");
    let mut list = Revocations::default();
    list.passes.extend([guest.pass.id, stranger.pass.id]);
    let list = property.revoke(list);
    let phone = Phone::resident(&property, "{}");
    phone.carrying(&list).visit(&door).await;
    for code in [
        guest.short(property.now()),
        guest.long(property.now()),
        stranger.long(property.now()),
    ] {
        let answer = door.running.scan(&code).await.unwrap();
        assert_eq!(answer.reason, Some(Reason::Revoked));
    }
    let door = door.restart(true, RunConfig::default()).await;
    let answer = door
        .running
        .scan(&guest.short(property.now()))
        .await
        .unwrap();
    assert_eq!(answer.reason, Some(Reason::Revoked), "after a restart, too");
}

#[tokio::test]
async fn nobody_elses_signature_opens() {
    let (property, guest, door) = known("{}").await;
    let thief = Guest::new(&property, "{}");
    let now = property.now();
    let stolen = |mut code: Code| {
        code.pass = guest.pass.id;
        code
    };
    let forged = [
        // Another key's signature, over the thief's own pass.
        stolen(thief.code(now)),
        // The same, and the guest's statement beside it.
        Code {
            statement: Some(guest.signed.clone()),
            ..stolen(thief.code(now))
        },
        // The guest's code, made younger.
        Code {
            issued: guest.code(now).issued.next(),
            ..guest.code(now)
        },
    ];
    for code in forged {
        let answer = door.running.scan(&code.to_text()).await.unwrap();
        assert_eq!(answer.reason, Some(Reason::WrongCode), "{code:?}");
    }
    // A statement that another property's issuer signed.
    let elsewhere = Property::new();
    let impostor = Guest::new(&elsewhere, "{}");
    let answer = door.running.scan(&impostor.long(now)).await.unwrap();
    assert_eq!(answer.reason, Some(Reason::WrongCode));
    assert_eq!(door.strike.count(), 0);
}

#[tokio::test]
async fn any_changed_character_of_a_code_is_refused() {
    let (property, guest, door) = known("{}").await;
    let short = guest.code(property.now());
    let code = Code {
        statement: Some(guest.signed.clone()),
        ..short.clone()
    };
    let code = code.to_text();
    for at in 0..code.len() {
        let mut changed = code.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let answer = door.running.scan(&changed).await.unwrap();
        // The statement in it is not needed here: the door knows the pass. What it says is
        // covered by the issuer's signature all the same.
        let untouched = Code::parse(&changed).is_ok_and(|changed| {
            Code {
                statement: None,
                ..changed
            } == short
        });
        assert!(!answer.opened || untouched, "{at}");
    }
    assert!(door.strike.count() <= 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_answered_and_opens_nothing(text in "(LK1:)?\\PC{0,200}", raw in any::<Vec<u8>>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let property = Property::new();
            let door = Door::new(&property).await;
            let raw = String::from_utf8_lossy(&raw);
            for text in [text.as_str(), &raw, &format!("LK1:{raw}")] {
                let answer = door.running.scan(text).await.unwrap();
                assert!(!answer.opened && answer.reason.is_some());
            }
            assert_eq!(door.strike.count(), 0);
        });
    }
}
