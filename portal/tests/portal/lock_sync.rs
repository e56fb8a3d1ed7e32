//! What phones carry for doors without a network: bundles in, logs out, the time.

use std::path::Path;
use std::time::Duration;

use latchkey_env::{SystemRandom, random_array};
use latchkey_protocol::api::doors::{DoorTime, LogKept};
use latchkey_protocol::api::events::{Event, Means};
use latchkey_protocol::api::sync::{BundleEntity, Entity, EntityKind, LogReceiptEntity, SyncPage};
use latchkey_protocol::bundle::{Content, Header, SignedHeader};
use latchkey_protocol::clock::SignedTimeAnswer;
use latchkey_protocol::doorlink::{DoorEvent, FromDoor, FromPortal, Subject};
use latchkey_protocol::doorlog::{Parcel, Receipt, SignedParcel, SignedReceipt};
use latchkey_protocol::doorstate::BundleNumber;
use latchkey_protocol::ids::{EventId, Generation, PassId, PropertyId};
use latchkey_protocol::revocation::RevocationList;
use latchkey_protocol::statement::Body;
use latchkey_protocol::uses::Held;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Device, Key};
use crate::door::{Door, Line, find};
use crate::guests::{Browser, share};
use crate::world::{INSTALLER, OWNER, RESIDENT, STAFF, World};

/// A guest who has bound a link for the flat; the pass.
async fn guest(world: &World, staff: &Device) -> (latchkey_protocol::api::keys::Key, PassId) {
    let flat = find(world, staff, "Flat 7").await.id;
    let (key, link) = share(world, staff, &[flat], json!({})).await;
    let mut browser = Browser::open(world, &link);
    let bound: latchkey_protocol::api::links::GuestPass = browser.bind().await.ok();
    (key, bound.pass)
}

/// Syncs until there is a bundle of at least this number on its way to the door.
async fn bundle(world: &World, phone: &Device, door: &Door, at_least: u64) -> BundleEntity {
    loop {
        let page = phone.sync(world, None).await;
        let found = bundles(&page).find(|bundle| bundle.door == door.id);
        match found {
            Some(bundle) if bundle.number >= at_least => return bundle,
            _ => tokio::task::yield_now().await,
        }
    }
}

/// The same, while one round after the other passes.
async fn bundle_of_a_round(
    world: &World,
    phone: &mut Device,
    door: &Door,
    at_least: u64,
) -> BundleEntity {
    loop {
        world.clock.advance(Duration::from_secs(301));
        let answer = phone.refresh_with(&phone.refresh).await;
        phone.take(&answer);
        for _ in 0..20 {
            let page = phone.sync(world, None).await;
            let found = bundles(&page).find(|bundle| bundle.door == door.id);
            if let Some(bundle) = found.filter(|bundle| bundle.number >= at_least) {
                return bundle;
            }
        }
    }
}

fn bundles(page: &SyncPage) -> impl Iterator<Item = BundleEntity> {
    page.changes
        .iter()
        .filter_map(|change| match &change.value {
            Some(Entity::Bundle(bundle)) => Some(bundle.clone()),
            _ => None,
        })
}

fn header(door: &Door, bundle: &BundleEntity) -> Header {
    let header = SignedHeader::from_bytes(&bundle.header.0).unwrap();
    header
        .verify(&door.commissioned.issuer, door.state.property)
        .unwrap()
}

/// What the door reads in it.
fn opened(door: &Door, bundle: &BundleEntity) -> Content {
    let header = header(door, bundle);
    assert_eq!((header.door, header.generation), (door.id, door.generation));
    assert_eq!(header.number.number, bundle.number);
    header
        .open(&door.controller.sealing, bundle.body.0.clone())
        .unwrap()
}

fn passes(door: &Door, content: &Content) -> Vec<PassId> {
    let (issuer, property) = (&door.commissioned.issuer, door.state.property);
    let passes = content.passes.iter();
    let ids = passes.map(|(_, signed)| signed.verify(issuer, property).unwrap().id);
    ids.collect()
}

/// A phone was there: the door shows that it has applied this bundle.
async fn show(world: &World, phone: &Device, door: &mut Door, bundle: &BundleEntity) {
    door.state.bundle = header(door, bundle).number;
    door.state.statements.all = bundle.all;
    let state = json!({ "state": door.signed_state() });
    let taken = phone.post(&world.path("/door-states"), state).await;
    assert_eq!(taken.status, 204, "{}", taken.text());
}

#[tokio::test]
async fn a_bundle_goes_to_those_who_carry_until_the_door_has_shown_it() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let mut flat = Door::install(&world, "Flat 7").await;
    let _online = Door::install(&world, "North gate").await;
    assert_eq!(bundles(&staff.sync(&world, None).await).count(), 0);

    let (key, pass) = guest(&world, &staff).await;
    let first = bundle(&world, &staff, &flat, 1).await;
    let content = opened(&flat, &first);
    assert_eq!(passes(&flat, &content), [pass]);
    let kinds = content.statements.iter().map(|signed| {
        let statement = signed.verify(&flat.commissioned.issuer, world.property);
        statement.unwrap().body
    });
    let kinds: Vec<_> = kinds.collect();
    assert!(
        matches!(
            &kinds[..],
            [Body::Settings(_), Body::DoorSettings(_), Body::LogKey(_)]
        ),
        "{kinds:?}"
    );
    let installer = world.device(INSTALLER).await;
    let for_installer = bundle(&world, &installer, &flat, 1).await;
    assert_eq!(for_installer, first);
    let rita = world.device(RESIDENT).await;
    assert_eq!(bundles(&rita.sync(&world, None).await).count(), 0);

    // Once its door has signed for it, nobody need carry it any more.
    let before = staff.sync(&world, None).await.cursor;
    show(&world, &staff, &mut flat, &first).await;
    let after = staff.sync(&world, Some(&before)).await;
    let gone = after
        .changes
        .iter()
        .find(|change| change.kind == EntityKind::Bundle);
    assert_eq!(gone.unwrap().value, None);
    assert_eq!(bundles(&staff.sync(&world, None).await).count(), 0);

    // A withdrawal is due there by the next one, with the list that says so.
    let path = world.path(&format!("/keys/{}", key.id));
    staff.call(Method::DELETE, &path, None).await;
    let second = bundle(&world, &staff, &flat, 2).await;
    let content = opened(&flat, &second);
    assert_eq!(passes(&flat, &content), []);
    let list = RevocationList::verify(&content.revocations.unwrap(), &flat.commissioned.issuer);
    assert!(list.unwrap().content().revokes_pass(pass));
}

/// What changes elsewhere needs no bundle here, until it would be too many statements to carry.
#[tokio::test]
async fn a_bundle_is_made_for_what_changes_at_its_door_or_when_it_is_far_behind() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    let gate = find(&world, &staff, "South gate").await.id;
    let elsewhere = async || {
        let (_, link) = share(&world, &staff, &[gate], json!({})).await;
        Browser::open(&world, &link).bind().await.ok::<Value>();
    };
    elsewhere().await;
    let (_, pass) = guest(&world, &staff).await;
    let first = bundle(&world, &staff, &flat, 1).await;
    assert_eq!(first.number, 1, "none was made for what happened elsewhere");
    assert_eq!(passes(&flat, &opened(&flat, &first)), [pass]);
    for _ in 0..64 {
        elsewhere().await;
    }
    let second = bundle(&world, &staff, &flat, 2).await;
    assert_eq!(second.all, first.all + 64);
    assert_eq!(passes(&flat, &opened(&flat, &second)), [pass]);
}

#[tokio::test]
async fn a_replaced_controllers_bundle_goes_and_the_numbers_go_on() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let first = Door::install(&world, "Flat 7").await;
    guest(&world, &staff).await;
    let old = bundle(&world, &staff, &first, 1).await;
    let mut second = Door::install(&world, "Flat 7").await;
    assert_eq!(second.generation, Generation(2));
    assert_eq!(bundles(&staff.sync(&world, None).await).count(), 0);
    guest(&world, &staff).await;
    let new = bundle(&world, &staff, &second, 2).await;
    assert_eq!(new.generation, second.generation);
    assert_eq!(passes(&second, &opened(&second, &new)).len(), 2);
    let header = header(&first, &old);
    assert!(header.open(&second.controller.sealing, old.body.0).is_err());

    // The word of the one before counts no longer.
    second.state.bundle = BundleNumber {
        epoch: 1,
        number: 9,
    };
    second.state.generation = first.generation;
    let state = json!({ "state": second.signed_state() });
    let refused = staff.post(&world.path("/door-states"), state).await;
    assert_eq!(refused.problem(), "invalid-value");
}

/// A portal of before there was lock sync: its statements are named, and doors are told of a key for
/// their logs.
#[tokio::test]
async fn a_property_of_before_gets_what_it_lacks_at_the_start() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    world.database.alter(world.folder.path(), |_| {
        "UPDATE statement SET kind = NULL; DELETE FROM bundle;".to_owned()
    });
    let world = world.restart().await;
    let mut staff = staff;
    staff.move_to(world.portal.url());
    let content = opened(&flat, &bundle(&world, &staff, &flat, 1).await);
    assert_eq!(content.statements.len(), 3);
    // There was a key already: it is told once.
    let numbers = flat.commissioned.numbers;
    assert_eq!(bundle(&world, &staff, &flat, 1).await.all, numbers.all);
}

/// What the signer remembers of the property, changed.
fn alter_signer(data: &Path, property: PropertyId, change: impl FnOnce(&mut Value)) {
    let signer = data.join("signer").join(property.to_string());
    let path = signer.join("state.json");
    let mut state = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut state);
    std::fs::write(&path, serde_json::to_vec(&state).unwrap()).unwrap();
}

/// The numbers of the epoch before say nothing in this one: no bundle holds a statement that it does not stand for.
#[tokio::test]
async fn passes_that_were_told_in_an_earlier_epoch_are_in_no_bundle_of_the_next() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    guest(&world, &staff).await;
    bundle(&world, &staff, &flat, 1).await;
    world.database.alter(world.folder.path(), |_| {
        "UPDATE property SET epoch = 2".to_owned()
    });
    let property = world.property;
    let restored = |state: &mut Value| {
        state["epoch"] = 2.into();
        state["confirmed"] = json!({});
    };
    let world = world
        .restart_after(|data| alter_signer(data, property, restored))
        .await;
    let mut staff = staff;
    staff.move_to(world.portal.url());
    let told = loop {
        let told = bundle(&world, &staff, &flat, 1).await;
        if told.epoch == 2 {
            break told;
        }
    };
    let content = opened(&flat, &told);
    assert!(
        content.passes.iter().all(|(number, _)| *number <= told.all),
        "{} and {:?}",
        told.all,
        content.passes
    );
    // Nor is one that has only its number in common with a statement of this epoch.
    let mut new = Vec::new();
    for _ in 0..4 {
        new.push(guest(&world, &staff).await.1);
    }
    let later = loop {
        let later = bundle(&world, &staff, &flat, told.number + 1).await;
        if passes(&flat, &opened(&flat, &later)).len() >= new.len() {
            break later;
        }
    };
    assert_eq!(passes(&flat, &opened(&flat, &later)), new);
}

/// At the start the signer refuses: the statements are named all the same, and bundles leave none of them out.
#[tokio::test]
async fn a_bundle_leaves_out_no_settings_when_a_signer_refuses_at_the_start() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    guest(&world, &staff).await;
    bundle(&world, &staff, &flat, 1).await;
    world.database.alter(world.folder.path(), |_| {
        "DELETE FROM statement WHERE kind = 'log-key'; UPDATE statement SET kind = NULL;
         DELETE FROM bundle;"
            .to_owned()
    });
    let property = world.property;
    let ahead = |state: &mut Value| state["confirmed"] = json!({ "all": 100 });
    let world = world
        .restart_after(|data| alter_signer(data, property, ahead))
        .await;
    let mut staff = staff;
    staff.move_to(world.portal.url());
    let content = opened(&flat, &bundle(&world, &staff, &flat, 1).await);
    assert_eq!(content.statements.len(), 2, "settings and door settings");
}

/// No bundle is made of statements of which it is not known what they say; in the next round it is.
#[tokio::test]
async fn a_bundle_waits_until_its_statements_are_named() {
    let world = World::start().await;
    let mut staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    world.database.alter(world.folder.path(), |_| {
        "UPDATE statement SET kind = NULL;".to_owned()
    });
    guest(&world, &staff).await;
    let told = bundle_of_a_round(&world, &mut staff, &flat, 1).await;
    let content = opened(&flat, &told);
    assert_eq!(content.statements.len(), 3);
}

/// Nothing else need be issued for it: a bundle that could not be made is tried again in each round.
#[tokio::test]
async fn a_bundle_that_could_not_be_made_comes_later_by_itself() {
    let world = World::start().await;
    let mut staff = world.device(STAFF).await;
    world.database.alter(world.folder.path(), |_| {
        "UPDATE door SET reach = 'offline';".to_owned()
    });
    let north = Door::install(&world, "North gate").await;
    let flat = Door::install(&world, "Flat 7").await;
    let (_, link) = share(&world, &staff, &[north.id], json!({})).await;
    Browser::open(&world, &link).bind().await.ok::<Value>();
    let first = bundle(&world, &staff, &north, 1).await;
    let pass = opened(&north, &first).passes.remove(0).1.to_bytes();
    // Not readable for a while: its door's bundle cannot be made.
    world.database.alter(world.folder.path(), |bytes| {
        format!("UPDATE pass SET statement = {};", bytes(&pass[..9]))
    });
    let (_, link) = share(&world, &staff, &[north.id, flat.id], json!({})).await;
    Browser::open(&world, &link).bind().await.ok::<Value>();
    // The doors are looked at in the order of their numbers.
    bundle(&world, &staff, &flat, 1).await;
    world.database.alter(world.folder.path(), |bytes| {
        let (spoilt, pass) = (bytes(&pass[..9]), bytes(&pass));
        format!("UPDATE pass SET statement = {pass} WHERE statement = {spoilt};")
    });
    let second = bundle_of_a_round(&world, &mut staff, &north, 2).await;
    assert_eq!(passes(&north, &opened(&north, &second)).len(), 2);
}

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

#[tokio::test]
async fn a_phone_at_a_door_asks_for_the_time_in_its_name() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    let path = world.path(&format!("/doors/{}/time", flat.id));
    let ask = |nonce: &[u8]| json!({ "nonce": latchkey_protocol::bytes::Base64(nonce.to_vec()) });
    let told: DoorTime = staff.post(&path, ask(&[7; 16])).await.ok();
    let answer = SignedTimeAnswer::from_bytes(&told.answer.0).unwrap();
    let answer = answer.verify(&flat.commissioned.issuer, world.property, flat.id);
    let answer = answer.unwrap();
    assert_eq!(answer.nonce, [7; 16]);
    let now = latchkey_env::Clock::now(&world.clock).timestamp_millis();
    assert_eq!(answer.unix_ms, now.cast_unsigned());

    assert_eq!(
        staff.post(&path, ask(&[7; 15])).await.problem(),
        "invalid-value"
    );
    // A door without a controller, and one that is out of this person's sight.
    let gate = find(&world, &staff, "South gate").await.id;
    let gate = world.path(&format!("/doors/{gate}/time"));
    assert_eq!(
        staff.post(&gate, ask(&[7; 16])).await.problem(),
        "not-found"
    );
    let mut refused = None;
    for _ in 0..40 {
        let answer = staff.post(&path, ask(&[7; 16])).await;
        if !answer.status.is_success() {
            refused = Some(answer.problem());
            break;
        }
    }
    assert_eq!(refused.as_deref(), Some("too-many-requests"));
}

#[tokio::test]
async fn uses_go_ahead_by_bundle_and_what_is_spent_comes_back_in_the_doors_state() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let id = find(&world, &staff, "Flat 7").await.id;
    let (_key, _link) = share(&world, &staff, &[id], json!({ "max_uses": 3 })).await;
    // Installed behind the key.
    let mut flat = Door::install(&world, "Flat 7").await;
    let first = bundle(&world, &staff, &flat, 1).await;
    let [order] = opened(&flat, &first).ceilings[..] else {
        panic!("one ceiling")
    };
    assert_eq!((order.ceiling, order.spent), (1, 0));

    let mut held = Held::default();
    assert!(held.obey(&order));
    held.spend().unwrap();
    flat.state.leases = vec![held.report(order.budget)];
    show(&world, &staff, &mut flat, &first).await;
    let second = bundle(&world, &staff, &flat, 2).await;
    let [order] = opened(&flat, &second).ceilings[..] else {
        panic!("one ceiling")
    };
    assert_eq!((order.ceiling, order.spent), (2, 1), "one ahead again");
}
