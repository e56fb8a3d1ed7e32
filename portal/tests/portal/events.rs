//! What doors report on their lines: many at once, and who hears of it.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use latchkey_env::{SystemRandom, random_array};
use latchkey_protocol::api::Page;
use latchkey_protocol::api::doors::Door as ApiDoor;
use latchkey_protocol::api::events::{Event, Means};
use latchkey_protocol::api::sync::{EntityKind, SyncPage};
use latchkey_protocol::doorlink::{DoorEvent, FromDoor, FromPortal, Subject, close};
use latchkey_protocol::ids::EventId;
use latchkey_protocol::proof::KeyKind;
use latchkey_protocol::rules::Reason;
use serde_json::json;

use crate::client::Key as Software;
use crate::door::{Door, Line};
use crate::world::{INSTALLER, MANAGER, NEIGHBOUR, OWNER, RESIDENT, STAFF, World};

const DOORS: usize = 12;
/// The door that says what cannot be kept.
const BAD: usize = 6;

fn event(sequence: u64, subject: Subject, denied: Option<Reason>) -> DoorEvent {
    DoorEvent {
        id: EventId(random_array(&SystemRandom)),
        sequence,
        at_ms: 1_795_510_800_123,
        clock_unsure: false,
        means: Means::Stream,
        subject,
        attempt: None,
        denied,
    }
}

fn stranger(sequence: u64) -> DoorEvent {
    event(sequence, Subject::Stranger, Some(Reason::Unknown))
}

async fn lines(world: &World) -> Vec<Line> {
    let olga = world.device(OWNER).await;
    let installer = world.device(INSTALLER).await;
    let mut lines = Vec::new();
    for n in 0..DOORS {
        let name = format!("Back gate {n}");
        let new = json!({ "name": name, "kind": "gate", "reach": "online" });
        let _: ApiDoor = olga.post(&world.path("/doors"), new).await.ok();
        let door = Door::install_by(&installer, world.property, &name).await;
        lines.push(door.connect(world).await);
    }
    lines
}

/// All of them say it before any hears an answer.
async fn say(lines: &mut [Line], events: &[Vec<DoorEvent>]) {
    let said = lines.iter_mut().zip(events).map(|(line, events)| async {
        let events = events.clone();
        line.say(&FromDoor::Events { events }).await;
    });
    join_all(said).await;
}

/// What a sync tells of.
fn told(page: &SyncPage) -> BTreeSet<String> {
    let events = page
        .changes
        .iter()
        .filter(|change| change.kind == EntityKind::Event);
    events
        .map(|change| {
            assert!(change.value.is_some());
            change.id.clone()
        })
        .collect()
}

fn ids<'a>(events: impl IntoIterator<Item = &'a DoorEvent>) -> BTreeSet<String> {
    events.into_iter().map(|it| it.id.to_string()).collect()
}

#[tokio::test]
async fn what_many_doors_say_at_once_is_kept_once_and_one_that_is_refused_takes_no_other_with_it() {
    let world = World::start().await;
    let mara = world.device(MANAGER).await;
    let before = mara.sync(&world, None).await.cursor;
    let mut lines = lines(&world).await;
    let shared = stranger(2);
    let mut events: Vec<_> = (0..DOORS)
        .map(|_| vec![stranger(1), shared.clone()])
        .collect();
    events[BAD].push(stranger(u64::MAX));
    say(&mut lines, &events).await;
    let mut good = ids(events.iter().flatten());
    for event in &events.remove(BAD) {
        if event.id != shared.id {
            good.remove(&event.id.to_string());
        }
    }
    assert_eq!(lines.remove(BAD).closed_with().await, close::PROTOCOL);
    for line in &mut lines {
        assert_eq!(line.next().await, FromPortal::EventsKept { up_to: 2 });
    }
    // Said again, with one that is new.
    for events in &mut events {
        events.push(stranger(3));
    }
    say(&mut lines, &events).await;
    for line in &mut lines {
        assert_eq!(line.next().await, FromPortal::EventsKept { up_to: 3 });
    }
    good.extend(ids(events.iter().flatten()));
    let all: Page<Event> = mara.get(&world.path("/events")).await.ok();
    assert_eq!(all.items.len(), good.len());
    let kept: BTreeSet<_> = all.items.iter().map(|event| event.id.to_string()).collect();
    assert_eq!(kept, good);
    assert_eq!(told(&mara.sync(&world, Some(&before)).await), good);
    let [chain] = &world.audit().await[..] else {
        panic!()
    };
    assert_eq!(chain.broken_at, None);
}

#[tokio::test]
async fn an_event_is_news_for_whom_it_concerns_and_for_a_month() {
    let world = World::start().await;
    let (mara, stefan) = (world.device(MANAGER).await, world.device(STAFF).await);
    let (rita, rolf) = (world.device(RESIDENT).await, world.device(NEIGHBOUR).await);
    let key = Software::new();
    rita.register(&world, KeyKind::AccessCredential, &key).await;
    let key_hash = ring::digest::digest(&ring::digest::SHA256, &key.public());
    let credential = Subject::Credential {
        key_hash: key_hash.as_ref().into(),
        element: None,
    };
    let mut before = Vec::new();
    for device in [&mara, &stefan, &rita, &rolf] {
        before.push(device.sync(&world, None).await.cursor);
    }
    let door = Door::install(&world, "North gate").await;
    let mut line = door.connect(&world).await;
    let events = vec![event(1, credential, None), stranger(2)];
    line.say(&FromDoor::Events {
        events: events.clone(),
    })
    .await;
    assert_eq!(line.next().await, FromPortal::EventsKept { up_to: 2 });
    let (all, own, none) = (ids(&events), ids(&events[..1]), BTreeSet::new());
    for (device, cursor, hears) in [
        (&mara, &before[0], &all),
        (&stefan, &before[1], &none),
        (&rita, &before[2], &own),
        (&rolf, &before[3], &none),
    ] {
        let page = device.sync(&world, Some(cursor)).await;
        assert_eq!(told(&page), *hears);
        assert_eq!(told(&device.sync(&world, None).await), *hears);
        let again = device.sync(&world, Some(&page.cursor)).await;
        assert_eq!(told(&again), none, "once");
    }
    world.clock.advance(Duration::from_secs(31 * 86_400));
    let mara = world.device(MANAGER).await;
    assert_eq!(told(&mara.sync(&world, None).await), none);
    assert_eq!(told(&mara.sync(&world, Some(&before[0])).await), none);
    let list: Page<Event> = mara.get(&world.path("/events")).await.ok();
    assert_eq!(list.items.len(), 2);
}
