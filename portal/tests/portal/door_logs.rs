//! The logs of doors without a network, which phones bring.

use std::time::Duration;

use latchkey_env::{SystemRandom, random_array};
use latchkey_protocol::api::doors::LogKept;
use latchkey_protocol::api::events::{Event, Means};
use latchkey_protocol::api::sync::{Entity, LogReceiptEntity, SyncPage};
use latchkey_protocol::doorlink::{DoorEvent, FromDoor, FromPortal, Subject};
use latchkey_protocol::doorlog::{Parcel, Receipt, SignedParcel, SignedReceipt};
use latchkey_protocol::ids::{EventId, Generation};
use latchkey_protocol::statement::Body;
use serde_json::{Value, json};

use crate::client::{Answer, Device, Key};
use crate::door::{Door, Line, find};
use crate::world::{OWNER, RESIDENT, STAFF, World};

fn events(from: u64, up_to: u64) -> Vec<DoorEvent> {
    let events = (from..=up_to).map(|sequence| DoorEvent {
        id: EventId(random_array(&SystemRandom)),
        sequence,
        at_ms: 1_790_000_000_000,
        clock_unsure: false,
        means: Means::Stream,
        subject: Subject::Stranger,
        attempt: None,
        denied: None,
    });
    events.collect()
}

/// A parcel of these events as the door hands it out.
fn parcel(door: &Door, signer: &Key, after: u64, events: &[DoorEvent]) -> Value {
    parcel_kept(door, signer, 0, after, events)
}

/// The same of a door that hands out nothing any more up to `kept`.
fn parcel_kept(door: &Door, signer: &Key, kept: u64, after: u64, events: &[DoorEvent]) -> Value {
    let told = door
        .commissioned
        .statements
        .iter()
        .find_map(|told| match told.body {
            Body::LogKey(key) => Some(key),
            _ => None,
        });
    let (payload, _) = Parcel::payload(
        door.state.property,
        door.id,
        door.generation,
        kept,
        after,
        events,
    )
    .unwrap();
    let signature = signer.sign(&Parcel::to_be_signed(&payload));
    let signed = SignedParcel::new(payload, aliro::crypto::Signature(signature));
    let sealed = signed.seal(
        door.state.property,
        &told.expect("doors are told of the key"),
        random_array(&SystemRandom),
    );
    json!({ "parcel": latchkey_protocol::bytes::Base64(sealed.unwrap()) })
}

async fn carry(world: &World, phone: &Device, parcel: Value) -> Answer {
    phone.post(&world.path("/door-logs"), parcel).await
}

fn receipt(page: &SyncPage, door: &Door) -> Option<LogReceiptEntity> {
    let receipts = page
        .changes
        .iter()
        .filter_map(|change| match &change.value {
            Some(Entity::LogReceipt(receipt)) => Some(receipt.clone()),
            _ => None,
        });
    let receipt = { receipts }.find(|receipt| receipt.door == door.id)?;
    let signed = SignedReceipt::from_bytes(&receipt.receipt.0).unwrap();
    assert_eq!(
        signed.verify(&door.commissioned.issuer).unwrap(),
        Receipt {
            property: door.state.property,
            door: door.id,
            generation: receipt.generation,
            up_to: receipt.up_to,
        }
    );
    Some(receipt)
}

async fn known(world: &World, owner: &Device) -> Vec<EventId> {
    let page: latchkey_protocol::api::Page<Event> = owner.get(&world.path("/events")).await.ok();
    page.items.into_iter().map(|event| event.id).collect()
}

#[tokio::test]
async fn a_log_arrives_once_however_many_phones_bring_it_and_receipts_leave_no_gap() {
    let world = World::start().await;
    let (staff, owner) = (world.device(STAFF).await, world.device(OWNER).await);
    let flat = Door::install(&world, "Flat 7").await;
    let (one, two) = (events(1, 3), events(4, 5));
    let reader = &flat.controller.reader;
    let ids = |events: &[DoorEvent]| events.iter().map(|event| event.id).collect::<Vec<_>>();

    // The second part comes first: it is kept, and no receipt covers the gap.
    let kept: LogKept = carry(&world, &staff, parcel(&flat, reader, 3, &two))
        .await
        .ok();
    assert_eq!((kept.door, kept.up_to), (flat.id, 0));
    assert_eq!(known(&world, &owner).await, ids(&two));
    assert_eq!(receipt(&staff.sync(&world, None).await, &flat), None);
    let kept: LogKept = carry(&world, &owner, parcel(&flat, reader, 0, &one))
        .await
        .ok();
    assert_eq!(kept.up_to, 5);
    let told = receipt(&staff.sync(&world, None).await, &flat).unwrap();
    assert_eq!((told.generation, told.up_to), (Generation(1), 5));

    // All of it once more, sealed anew, in one parcel with what has happened since.
    let all = [one.clone(), two.clone(), events(6, 6)].concat();
    let kept: LogKept = carry(&world, &staff, parcel(&flat, reader, 0, &all))
        .await
        .ok();
    assert_eq!(kept.up_to, 6);
    let known_now = known(&world, &owner).await;
    assert_eq!(known_now.len(), 6, "each counts once");
    assert_eq!(
        receipt(&owner.sync(&world, None).await, &flat)
            .unwrap()
            .up_to,
        6
    );

    // Whose phone carried it stands in the audit chain, which holds.
    let World {
        folder,
        database,
        portal,
        clock,
        ..
    } = world;
    portal.shutdown().await;
    let chains = latchkey_portal::audit_chains(
        folder.path(),
        &database.database,
        std::sync::Arc::new(clock),
        std::sync::Arc::new(SystemRandom),
    );
    let chains = chains.await.unwrap();
    assert!(chains.iter().all(|chain| chain.broken_at.is_none()));
    if database.address.is_some() {
        // What the rows say is the same on both; here they are read where they are easily read.
        return;
    }
    let db = rusqlite::Connection::open(folder.path().join("portal.db")).unwrap();
    let carried: Vec<(Vec<u8>, String)> = db
        .prepare("SELECT actor, subject FROM audit WHERE action = 'log.carry' ORDER BY number")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(carried.len(), 3);
    assert_ne!(carried[0].0, carried[1].0, "staff, then the owner");
    assert!(
        carried[1].1.contains(&format!("{} 1 0-3", flat.id)),
        "{carried:?}"
    );
}

/// Forged, altered, of another property's key, or by somebody who may not: nothing is kept.
#[tokio::test]
async fn a_log_that_its_door_did_not_sign_is_refused() {
    let world = World::start().await;
    let (staff, owner) = (world.device(STAFF).await, world.device(OWNER).await);
    let flat = Door::install(&world, "Flat 7").await;
    let mallory = Key::new();
    let forged = carry(&world, &staff, parcel(&flat, &mallory, 0, &events(1, 1))).await;
    assert_eq!(forged.problem(), "invalid-value");
    let mut altered = parcel(&flat, &flat.controller.reader, 0, &events(1, 1));
    let text = altered["parcel"].as_str().unwrap().to_owned();
    let at = text.len() / 2;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    altered["parcel"] = format!("{}{other}{}", &text[..at], &text[at + 1..]).into();
    assert_eq!(
        carry(&world, &staff, altered).await.problem(),
        "invalid-value"
    );
    let rita = world.device(RESIDENT).await;
    let parcel = parcel(&flat, &flat.controller.reader, 0, &events(1, 1));
    assert_eq!(carry(&world, &rita, parcel).await.problem(), "not-allowed");
    assert_eq!(known(&world, &owner).await, []);
}

/// What came over a door's own line is kept as well: a phone's parcel may begin behind it.
#[tokio::test]
async fn a_log_may_go_on_by_phone_where_the_line_left_off() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    let mut line: Line = flat.connect(&world).await;
    line.say(&FromDoor::Events {
        events: events(1, 4),
    })
    .await;
    assert_eq!(line.next().await, FromPortal::EventsKept { up_to: 4 });
    let parcel = parcel(&flat, &flat.controller.reader, 4, &events(5, 6));
    let kept: LogKept = carry(&world, &staff, parcel).await.ok();
    assert_eq!(kept.up_to, 6);
}

/// What the door was told is kept, or has no room for any more, nobody will bring: the receipt goes on from there.
#[tokio::test]
async fn a_log_whose_beginning_is_gone_gets_its_receipt() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    let reader = &flat.controller.reader;
    let late = parcel_kept(&flat, reader, 40, 43, &events(44, 45));
    carry(&world, &staff, late).await.ok::<LogKept>();
    let rest = parcel_kept(&flat, reader, 40, 40, &events(41, 43));
    let kept: LogKept = carry(&world, &staff, rest).await.ok();
    assert_eq!(kept.up_to, 45);
    let told = receipt(&staff.sync(&world, None).await, &flat).unwrap();
    assert_eq!(told.up_to, 45);
}

/// Whoever sends on what is known, or what a controller said that does not stand there any more, was not at the door.
#[tokio::test]
async fn a_log_that_tells_nothing_new_is_no_contact_with_its_door() {
    let world = World::start().await;
    let (staff, owner) = (world.device(STAFF).await, world.device(OWNER).await);
    let flat = Door::install(&world, "Flat 7").await;
    let last = async || find(&world, &owner, "Flat 7").await.last_contact;
    let reader = &flat.controller.reader;
    let first = parcel(&flat, reader, 0, &events(1, 3));
    carry(&world, &staff, first.clone()).await.ok::<LogKept>();
    let seen = last().await;
    assert!(seen.is_some());
    world.clock.advance(Duration::from_secs(60));
    carry(&world, &staff, first).await.ok::<LogKept>();
    assert_eq!(last().await, seen);
    let next = parcel(&flat, reader, 3, &events(4, 4));
    carry(&world, &staff, next).await.ok::<LogKept>();
    let seen_again = last().await;
    assert!(seen_again > seen);

    let _second = Door::install(&world, "Flat 7").await;
    let seen = last().await;
    world.clock.advance(Duration::from_secs(60));
    let replaced = parcel(&flat, reader, 4, &events(5, 5));
    carry(&world, &staff, replaced).await.ok::<LogKept>();
    assert_eq!(last().await, seen);
}
