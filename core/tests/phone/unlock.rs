//! Unlocking over real loopback TCP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey_core::error::{DoorFault, Error, TooOld};
use latchkey_core::outbox::{Action, Outcome as Sent};
use latchkey_core::phone::Phone;
use latchkey_core::unlock::{CarrierKind, Opened, UnlockEvent, UnlockOptions};
use latchkey_protocol::api::auth::CredentialUse;
use latchkey_protocol::api::sync::{Entity, EntityKind, RevocationEntity, StatementEntity};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{DoorId, Generation};
use latchkey_protocol::private::Outcome;
use latchkey_protocol::rules::{Decision, Reason};

use crate::door::{Script, TestDoor, wants_all};
use crate::world::{GATE, POOL, PROPERTY, Signer, World, at, change};

/// A phone in step with a portal that says where the gate is.
pub(crate) async fn phone_at(world: &mut World, address: &str) -> Arc<Phone> {
    world.doors[0].stream_address = Some(address.to_owned());
    world.signed_in().await
}

pub(crate) fn on_the_spot() -> UnlockOptions {
    UnlockOptions {
        carriers: vec![CarrierKind::Stream],
        ..UnlockOptions::default()
    }
}

pub(crate) async fn unlock(
    phone: &Phone,
    door: DoorId,
) -> (Result<Opened, Error>, Vec<UnlockEvent>) {
    let events = Mutex::new(Vec::new());
    let outcome = phone
        .unlock(at(door), &on_the_spot(), &|event| {
            events.lock().unwrap().push(event);
        })
        .await;
    (outcome, events.into_inner().unwrap())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|part| part == needle)
}

#[tokio::test]
async fn a_door_opens_and_the_phone_says_how_far_it_is() {
    let mut world = World::new().await;
    let door = TestDoor::start(&world, Script::opening(GATE, 1)).await;
    let phone = phone_at(&mut world, &door.address).await;
    let (outcome, events) = unlock(&phone, GATE).await;
    let carrier = CarrierKind::Stream;
    assert_eq!(
        outcome.unwrap(),
        Opened {
            until: None,
            carrier
        }
    );
    assert_eq!(
        events,
        [
            UnlockEvent::Looking {
                expected: Decision::Allowed { until: None }
            },
            UnlockEvent::Connecting { carrier },
            UnlockEvent::Proving { carrier },
            UnlockEvent::Opened { until: None },
        ]
    );
    let seen = door.seen.lock().unwrap();
    assert_eq!(seen.credentials, [world.registered(CredentialUse::Access)]);
    assert_eq!(seen.commits.len(), 1);
    assert_eq!(seen.commits[0].1, []);
}

#[tokio::test]
async fn only_the_chosen_doors_part_of_the_grant_is_released_whatever_it_asks_for() {
    let mut world = World::new().await;
    let mut script = Script::opening(GATE, 1);
    script.asks.extend(["d2.1".to_owned(), "d2.2".to_owned()]);
    let door = TestDoor::start(&world, script).await;
    let phone = phone_at(&mut world, &door.address).await;
    unlock(&phone, GATE).await.0.unwrap();
    let seen = door.seen.lock().unwrap();
    assert_eq!(seen.documents.len(), 1);
    assert_eq!(seen.documents[0].0, ["d1.1"]);
}

#[tokio::test]
async fn a_denial_says_why_and_when_next() {
    let mut world = World::new().await;
    let next = Some("2026-11-24T15:00:00Z".parse().unwrap());
    let reason = Reason::OutsideHours;
    let script = Script {
        outcome: Outcome::Denied { reason, next },
        ..Script::opening(GATE, 1)
    };
    let door = TestDoor::start(&world, script).await;
    let phone = phone_at(&mut world, &door.address).await;
    let (outcome, events) = unlock(&phone, GATE).await;
    assert!(
        matches!(outcome, Err(Error::Denied { reason: Reason::OutsideHours, next: n }) if n == next),
        "{outcome:?}"
    );
    assert_eq!(events.last(), Some(&UnlockEvent::Denied { reason, next }));
}

/// The pool's own controller, certified by the property, answers at the gate's address. It can read all
/// that this phone encrypts to it, so what counts is what it was told.
#[tokio::test]
async fn another_doors_valid_certificate_learns_nothing() {
    let mut world = World::new().await;
    let impostor = TestDoor::start(
        &world,
        Script {
            hello_as: GATE,
            ..Script::opening(POOL, 2)
        },
    )
    .await;
    let phone = phone_at(&mut world, &impostor.address).await;
    let (outcome, events) = unlock(&phone, GATE).await;
    assert!(matches!(outcome, Err(Error::WrongDoor)), "{outcome:?}");
    assert!(
        !events
            .iter()
            .any(|e| matches!(e, UnlockEvent::Opened { .. }))
    );
    told_nothing(&world, &impostor).await;

    // The same search finds both where the phone does show itself.
    let pool = TestDoor::start(&world, Script::opening(POOL, 2)).await;
    world.doors[1].stream_address = Some(pool.address.clone());
    world.serve_again();
    phone.sync().await.unwrap();
    unlock(&phone, POOL).await.0.unwrap();
    let seen = pool.seen.lock().unwrap();
    assert_eq!(seen.credentials, [world.registered(CredentialUse::Access)]);
    assert_eq!(seen.documents.len(), 1);
}

pub(crate) async fn told_nothing(world: &World, impostor: &TestDoor) {
    impostor.until(|seen| !seen.failures.is_empty()).await;
    let seen = impostor.seen.lock().unwrap();
    assert_eq!(seen.credentials, []);
    assert!(seen.documents.is_empty());
    assert_eq!(seen.commits, []);
    // One message after AUTH1: an APDU response of a bare status word, as for a bad signature.
    assert_eq!(seen.after_auth1.last().unwrap(), &[0, 1, 0, 2, 0x69, 0x82]);
    let sent = seen.bytes.concat();
    let key = world.registered(CredentialUse::Access);
    let grant = world.grant().document.0;
    assert!(!contains(&sent, key.x()));
    assert!(!contains(&sent, &key.key_slot()));
    for part in grant.chunks_exact(16) {
        assert!(!contains(&sent, part));
    }
}

#[tokio::test]
async fn a_door_of_no_property_or_with_a_withdrawn_controller_learns_nothing() {
    let mut world = World::new().await;
    world.doors[0].generation = Some(Generation(3));
    let foreign = TestDoor::certified_by(
        &Signer::new(),
        Script {
            generation: Generation(3),
            ..Script::opening(GATE, 1)
        },
    )
    .await;
    let phone = phone_at(&mut world, &foreign.address).await;
    assert!(matches!(
        unlock(&phone, GATE).await.0,
        Err(Error::WrongDoor)
    ));
    told_nothing(&world, &foreign).await;
    drop(phone);

    let mut world = World::new().await;
    world.doors[0].generation = Some(Generation(3));
    let old = TestDoor::start(
        &world,
        Script {
            generation: Generation(2),
            ..Script::opening(GATE, 1)
        },
    );
    let old = old.await;
    let phone = phone_at(&mut world, &old.address).await;
    assert!(matches!(
        unlock(&phone, GATE).await.0,
        Err(Error::WrongDoor)
    ));
    told_nothing(&world, &old).await;
}

#[tokio::test]
async fn a_replaced_controller_opens_without_a_sync() {
    let mut world = World::new().await;
    let script = Script {
        generation: Generation(2),
        ..Script::opening(GATE, 1)
    };
    let door = TestDoor::start(&world, script).await;
    let phone = phone_at(&mut world, &door.address).await;
    unlock(&phone, GATE).await.0.unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_attempt() {
    let mut world = World::new().await;
    let script = Script {
        lose_answers: 1,
        ..Script::opening(GATE, 1)
    };
    let door = TestDoor::start(&world, script).await;
    let phone = phone_at(&mut world, &door.address).await;
    unlock(&phone, GATE).await.0.unwrap();
    let seen = door.seen.lock().unwrap();
    assert_eq!(seen.commits.len(), 2);
    assert_eq!(seen.commits[0].0, seen.commits[1].0);
}

#[tokio::test]
async fn a_gesture_without_an_answer_is_replaced_by_the_next_even_after_a_restart() {
    let mut world = World::new().await;
    let script = Script {
        lose_answers: 2,
        ..Script::opening(GATE, 1)
    };
    let door = TestDoor::start(&world, script).await;
    let phone = phone_at(&mut world, &door.address).await;
    assert!(matches!(
        unlock(&phone, GATE).await.0,
        Err(Error::DoorNotReached(_))
    ));
    drop(phone);
    let phone = world.phone();
    unlock(&phone, GATE).await.0.unwrap();
    unlock(&phone, GATE).await.0.unwrap();
    let seen = door.seen.lock().unwrap();
    let first = seen.commits[0].0;
    assert_ne!(seen.commits[2].0, first);
    assert_eq!(seen.commits[2].1, [first]);
    assert_eq!(
        seen.commits[3].1,
        [],
        "an answered gesture is replaced by none"
    );
}

#[tokio::test]
async fn a_phone_carries_what_the_door_lacks_and_the_doors_state_to_the_portal() {
    let mut world = World::new().await;
    let list = vec![0x11; 40_000];
    world.revocation = Some(RevocationEntity {
        epoch: 1,
        version: 5,
        document: Base64(list.clone()),
    });
    let script = Script {
        wants: wants_all(),
        ..Script::opening(GATE, 1)
    };
    let door = TestDoor::start(&world, script).await;
    let phone = phone_at(&mut world, &door.address).await;
    let statement = |number: u64| {
        let statement = Base64(vec![u8::try_from(number).unwrap(); 100]);
        let entity = Entity::Statement(StatementEntity {
            epoch: 1,
            number,
            statement,
        });
        change(EntityKind::Statement, &number, entity)
    };
    {
        let mut state = world.wire.state();
        let mut page = state.pages[&(PROPERTY, "c2".to_owned())].clone();
        page.changes = vec![statement(10), statement(9)];
        page.cursor = "c3".to_owned();
        state
            .pages
            .insert((PROPERTY, "c2".to_owned()), page.clone());
        page.changes.clear();
        state.pages.insert((PROPERTY, "c3".to_owned()), page);
    }
    phone.sync().await.unwrap();
    unlock(&phone, GATE).await.0.unwrap();
    {
        let seen = door.seen.lock().unwrap();
        assert_eq!(seen.list, Some(list));
        assert_eq!(seen.statements, [vec![9; 100], vec![10; 100]]);
    }
    let outbox = phone.outbox().unwrap();
    assert_eq!(
        outbox.len(),
        1,
        "the later state took the earlier one's place"
    );
    assert_eq!(outbox[0].action, Action::CarryDoorState(GATE));
    assert_eq!(outbox[0].outcome, Sent::Waiting);
    phone.sync().await.unwrap();
    assert_eq!(phone.outbox().unwrap(), []);
    let state = world.wire.state();
    let (method, path, body) = &state.done[0];
    assert_eq!(
        (method.as_str(), path.ends_with("/door-states")),
        ("POST", true)
    );
    assert_eq!(body["state"], Base64(b"later state".to_vec()).to_text());
}

#[tokio::test]
async fn a_door_that_is_up_to_date_is_brought_nothing() {
    let mut world = World::new().await;
    world.revocation = Some(RevocationEntity {
        epoch: 1,
        version: 5,
        document: Base64(vec![0x11; 400]),
    });
    let mut script = Script::opening(GATE, 1);
    script.wants.list_after.epoch = 1;
    script.wants.list_after.version = 5;
    let door = TestDoor::start(&world, script).await;
    let phone = phone_at(&mut world, &door.address).await;
    unlock(&phone, GATE).await.0.unwrap();
    assert_eq!(door.seen.lock().unwrap().list, None);
}

#[tokio::test]
async fn cancelling_ends_it_at_once_and_nothing_is_committed() {
    let mut world = World::new().await;
    let script = Script {
        silent: true,
        ..Script::opening(GATE, 1)
    };
    let door = TestDoor::start(&world, script).await;
    let phone = phone_at(&mut world, &door.address).await;
    let options = on_the_spot();
    let cancel = options.cancel.clone();
    let outcome = phone
        .unlock(at(GATE), &options, &|event| {
            if matches!(event, UnlockEvent::Proving { .. }) {
                cancel.cancel();
            }
        })
        .await;
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
    assert_eq!(door.seen.lock().unwrap().commits, []);
}

#[tokio::test]
async fn a_silent_door_is_given_up_in_virtual_time() {
    let mut world = World::new().await;
    let script = Script {
        silent: true,
        ..Script::opening(GATE, 1)
    };
    let door = TestDoor::start(&world, script).await;
    let phone = phone_at(&mut world, &door.address).await;
    let unlocking = tokio::spawn({
        let phone = phone.clone();
        async move { unlock(&phone, GATE).await }
    });
    world.clock.sleepers_at_least(1).await;
    world.clock.advance(Duration::from_secs(15));
    let (outcome, _) = unlocking.await.unwrap();
    assert!(
        matches!(outcome, Err(Error::DoorNotReached(DoorFault::Timeout))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_door_out_of_reach_or_of_another_age_is_told_apart() {
    let mut world = World::new().await;
    let phone = phone_at(&mut world, "127.0.0.1:1").await;
    let outcome = unlock(&phone, GATE).await.0;
    assert!(
        matches!(outcome, Err(Error::DoorNotReached(DoorFault::Connect(_)))),
        "{outcome:?}"
    );
    let outcome = unlock(&phone, POOL).await.0;
    assert!(
        matches!(outcome, Err(Error::DoorNotReached(DoorFault::NoCarrier))),
        "{outcome:?}"
    );
    let outcome = unlock(&phone, DoorId([9; 12])).await.0;
    assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    drop(phone);

    for (offered, what) in [(0x0900, TooOld::App), (0x0001, TooOld::Door)] {
        let mut world = World::new().await;
        let script = Script {
            offered: vec![offered],
            ..Script::opening(GATE, 1)
        };
        let door = TestDoor::start(&world, script).await;
        let phone = phone_at(&mut world, &door.address).await;
        let outcome = unlock(&phone, GATE).await.0;
        assert!(
            matches!(outcome, Err(Error::TooOld { what: w }) if w == what),
            "{outcome:?}"
        );
    }
}
