//! A door's WebSocket: signing in, statements and lists as they are made, events, the relay.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use latchkey_protocol::api::Page;
use latchkey_protocol::api::events::{Event, Means};
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::clock::SignedTimeAnswer;
use latchkey_protocol::doorlink::{DoorEvent, FromDoor, FromPortal, Subject, close};
use latchkey_protocol::ids::{ElementId, EventId};
use latchkey_protocol::proof::KeyKind;
use latchkey_protocol::rules::Reason;
use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::client::{Device, Key as Software};
use crate::door::{Door, Line, find};
use crate::keys::{home, person};
use crate::world::{MANAGER, RESIDENT, STAFF, World};

async fn wait_connected(world: &World, device: &Device, name: &str, connected: bool) {
    let mut cursor = device.sync(world, None).await.cursor;
    while find(world, device, name).await.connected != connected {
        let path = world.path(&format!("/sync?cursor={cursor}&wait=25"));
        cursor = device
            .get(&path)
            .await
            .ok::<latchkey_protocol::api::sync::SyncPage>()
            .cursor;
    }
}

#[tokio::test]
async fn a_door_that_signs_in_is_connected_until_it_goes() {
    let world = World::start().await;
    let door = Door::install(&world, "North gate").await;
    let mara = world.device(MANAGER).await;
    let line = door.connect(&world).await;
    wait_connected(&world, &mara, "North gate", true).await;
    drop(line);
    wait_connected(&world, &mara, "North gate", false).await;
    assert!(
        find(&world, &mara, "North gate")
            .await
            .last_contact
            .is_some()
    );
}

#[tokio::test]
async fn a_newer_line_of_the_same_door_takes_over() {
    let world = World::start().await;
    let door = Door::install(&world, "North gate").await;
    let mara = world.device(MANAGER).await;
    let mut first = door.connect(&world).await;
    let _second = door.connect(&world).await;
    assert_eq!(first.closed_with().await, close::REPLACED);
    wait_connected(&world, &mara, "North gate", true).await;
}

#[tokio::test]
async fn whoever_is_not_the_controller_is_not_let_in() {
    let world = World::start().await;
    let mut door = Door::install(&world, "North gate").await;
    let mut line = Line::open(&world).await;
    line.next().await;
    line.say(&FromDoor::RelayClose { channel: 1 }).await;
    assert_eq!(line.closed_with().await, close::PROTOCOL);
    door.controller.reader = Software::new();
    let mut line = Line::open(&world).await;
    line.sign_in(&door).await;
    assert_eq!(line.closed_with().await, close::NOT_SIGNED_IN);
}

#[tokio::test]
async fn a_withdrawal_is_pushed_at_once_and_proved_by_the_doors_signature() {
    let world = World::start().await;
    let mut door = Door::install(&world, "North gate").await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    rita.register(&world, KeyKind::AccessCredential, &Software::new())
        .await;
    let mut line = door.connect(&world).await;
    let state = door.signed_state();
    line.say(&FromDoor::State { state }).await;
    let key = home(&world, &stefan).await;
    let path = world.path(&format!("/keys/{}", key.id));
    let withdrawn: Key = stefan.call(Method::DELETE, &path, None).await.ok();
    assert!(
        withdrawn
            .withdrawal
            .unwrap()
            .doors
            .iter()
            .all(|door| door.dead_at.is_none())
    );
    // No time passes on the portal's clock: it is pushed, not polled.
    loop {
        if matches!(door.obey(&mut line).await, FromPortal::Revocation { .. }) {
            break;
        }
    }
    let cursor = stefan.sync(&world, None).await.cursor;
    let state = door.signed_state();
    line.say(&FromDoor::State { state }).await;
    let poll = world.path(&format!("/sync?cursor={cursor}&wait=25"));
    stefan.get(&poll).await.ok::<serde_json::Value>();
    let key: Key = stefan.get(&path).await.ok();
    let doors = key.withdrawal.unwrap().doors;
    let dead: Vec<_> = doors.iter().filter(|door| door.dead_at.is_some()).collect();
    assert_eq!(
        (dead.len(), doors.len()),
        (1, 2),
        "the offline door has not heard of it"
    );
    assert_eq!(dead[0].door, door.id);
}

#[tokio::test]
async fn a_phone_carries_a_state_from_a_door_without_a_network() {
    let world = World::start().await;
    let mut door = Door::install(&world, "Flat 7").await;
    let rita = world.device(RESIDENT).await;
    let path = world.path("/door-states");
    let state = door.signed_state();
    let taken = rita.post(&path, json!({ "state": state })).await;
    assert_eq!(taken.status, 204, "{}", taken.text());
    assert!(find(&world, &rita, "Flat 7").await.last_contact.is_some());
    let mut forged = door.signed_state();
    *forged.0.last_mut().unwrap() ^= 1;
    assert_eq!(
        rita.post(&path, json!({ "state": forged })).await.problem(),
        "invalid-value"
    );
}

#[tokio::test]
async fn statements_reach_a_door_in_order_and_it_is_known_how_far() {
    let world = World::start().await;
    let mut door = Door::install(&world, "North gate").await;
    let rita = world.device(RESIDENT).await;
    let mut line = door.connect(&world).await;
    let state = door.signed_state();
    line.say(&FromDoor::State { state }).await;
    rita.register(&world, KeyKind::CodeKey, &Software::new())
        .await;
    let before = door.state.statements.all;
    while door.state.statements.all == before {
        door.obey(&mut line).await;
    }
    assert_eq!(door.state.statements.all, before + 1);
    let first = rita.sync(&world, None).await;
    assert!(crate::grants::passes(&first)[0].known_at.is_empty());
    let state = door.signed_state();
    line.say(&FromDoor::State { state }).await;
    let mut cursor = first.cursor;
    loop {
        let path = world.path(&format!("/sync?cursor={cursor}&wait=25"));
        let page: latchkey_protocol::api::sync::SyncPage = rita.get(&path).await.ok();
        cursor = page.cursor.clone();
        if let Some(pass) = crate::grants::passes(&page).pop() {
            assert_eq!(pass.known_at, [door.id]);
            return;
        }
    }
}

#[tokio::test]
async fn a_door_is_told_the_time_over_its_nonce() {
    let world = World::start().await;
    let door = Door::install(&world, "North gate").await;
    let mut line = door.connect(&world).await;
    world.clock.advance(Duration::from_secs(5));
    line.say(&FromDoor::TimeChallenge {
        nonce: [7; 16][..].into(),
    })
    .await;
    let FromPortal::Time { answer } = line.next().await else {
        panic!()
    };
    let answer = SignedTimeAnswer::from_bytes(&answer.0).unwrap();
    let answer = answer
        .verify(&door.commissioned.issuer, world.property, door.id)
        .unwrap();
    assert_eq!(answer.nonce, [7; 16]);
    assert_eq!(answer.unix_ms, 1_795_510_805_000);
}

#[tokio::test]
async fn events_count_once_and_find_their_person() {
    let world = World::start().await;
    let door = Door::install(&world, "North gate").await;
    let rita = world.device(RESIDENT).await;
    let mara = world.device(MANAGER).await;
    let key = Software::new();
    rita.register(&world, KeyKind::AccessCredential, &key).await;
    let hash = ring::digest::digest(&ring::digest::SHA256, &key.public());
    let event = |n: u8, subject, denied| DoorEvent {
        id: EventId([n; 16]),
        sequence: n.into(),
        at_ms: 1_795_510_800_123,
        clock_unsure: false,
        means: Means::Stream,
        subject,
        attempt: None,
        denied,
    };
    let credential = Subject::Credential {
        key_hash: hash.as_ref().into(),
        element: Some(ElementId([9; 8])),
    };
    let events = vec![
        event(1, credential, None),
        event(2, Subject::Stranger, Some(Reason::Unknown)),
    ];
    let mut line = door.connect(&world).await;
    for _ in 0..2 {
        line.say(&FromDoor::Events {
            events: events.clone(),
        })
        .await;
        assert_eq!(line.next().await, FromPortal::EventsKept { up_to: 2 });
    }
    let path = world.path("/events");
    let all: Page<Event> = mara.get(&path).await.ok();
    assert_eq!(all.items.len(), 2);
    assert_eq!(
        all.items[0].person,
        Some(person(&world, &mara, "Rita Resident").await.id)
    );
    assert_eq!(all.items[1].denied, Some(Reason::Unknown));
    let own: Page<Event> = rita.get(&path).await.ok();
    assert_eq!(own.items.len(), 1, "a resident sees the own ones");
    let stefan = world.device(STAFF).await;
    assert!(stefan.get(&path).await.ok::<Page<Event>>().items.is_empty());
}

#[tokio::test]
async fn a_phone_speaks_with_a_door_through_the_relay() {
    let world = World::start().await;
    let door = Door::install(&world, "North gate").await;
    let rita = world.device(RESIDENT).await;
    rita.me().await;
    let path = world.path(&format!("/doors/{}/relay", door.id));
    let request = || {
        let url = format!("{}{path}", rita.base()).replacen("http", "ws", 1);
        let mut request = url.into_client_request().unwrap();
        let proof = rita.proof_headers(&Method::GET, &path, Some(&rita.access));
        request.headers_mut().extend(proof);
        request
    };
    let refused = tokio_tungstenite::connect_async(request())
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        tokio_tungstenite::tungstenite::Error::Http(answer) if answer.status() == 503
    ));
    let mut line = door.connect(&world).await;
    let (mut phone, _) = tokio_tungstenite::connect_async(request()).await.unwrap();
    let FromPortal::RelayOpen { channel } = line.next().await else {
        panic!()
    };
    phone
        .send(Message::Binary(b"hello door".to_vec().into()))
        .await
        .unwrap();
    let said = line.next().await;
    assert_eq!(
        said,
        FromPortal::RelayData {
            channel,
            bytes: b"hello door"[..].into()
        }
    );
    line.say(&FromDoor::RelayData {
        channel,
        bytes: b"hello phone"[..].into(),
    })
    .await;
    let heard = phone.next().await.unwrap().unwrap();
    assert_eq!(heard.into_data(), &b"hello phone"[..]);
    drop(phone);
    assert_eq!(line.next().await, FromPortal::RelayClose { channel });
    // Nobody else's door.
    let south = find(&world, &world.device(STAFF).await, "South gate").await;
    let hidden = rita
        .get(&world.path(&format!("/doors/{}/relay", south.id)))
        .await;
    assert_eq!(hidden.problem(), "not-found");
}

#[tokio::test]
async fn a_portal_that_goes_down_tells_its_doors_to_come_back() {
    let world = World::start().await;
    let door = Door::install(&world, "North gate").await;
    let mut line = door.connect(&world).await;
    let (code, world) = tokio::join!(line.closed_with(), world.restart());
    assert_eq!(code, close::RESTART);
    let mut device = Device::new(world.portal.url());
    device.sign_in(&world, MANAGER).await;
    assert!(!find(&world, &device, "North gate").await.connected);
}

#[tokio::test]
async fn a_time_that_no_calendar_has_stops_nobody_from_reading_what_happened() {
    let world = World::start().await;
    let mara = world.device(MANAGER).await;
    let door = Door::install(&world, "North gate").await;
    let mut line = door.connect(&world).await;
    let events = [i64::MIN, i64::MAX].map(|at_ms| DoorEvent {
        id: EventId([u8::from(at_ms > 0); 16]),
        sequence: 1,
        at_ms,
        clock_unsure: true,
        means: Means::Stream,
        subject: Subject::Stranger,
        attempt: None,
        denied: Some(Reason::Unknown),
    });
    line.say(&FromDoor::Events {
        events: events.to_vec(),
    })
    .await;
    assert_eq!(line.next().await, FromPortal::EventsKept { up_to: 1 });
    let all: Page<Event> = mara.get(&world.path("/events")).await.ok();
    assert_eq!(all.items.len(), 2);
    mara.sync(&world, None).await;
}

#[tokio::test]
async fn one_phone_does_not_take_all_of_a_doors_places_for_phones() {
    let world = World::start().await;
    let door = Door::install(&world, "North gate").await;
    let rita = world.device(RESIDENT).await;
    rita.me().await;
    let path = world.path(&format!("/doors/{}/relay", door.id));
    let mut line = door.connect(&world).await;
    let mut phones = Vec::new();
    let (mut channels, mut closed) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let url = format!("{}{path}", rita.base()).replacen("http", "ws", 1);
        let mut request = url.into_client_request().unwrap();
        let proof = rita.proof_headers(&Method::GET, &path, Some(&rita.access));
        request.headers_mut().extend(proof);
        phones.push(tokio_tungstenite::connect_async(request).await.unwrap().0);
        // The end of the first and the beginning of the third may come in either order.
        loop {
            match line.next().await {
                FromPortal::RelayOpen { channel } => break channels.push(channel),
                FromPortal::RelayClose { channel } => closed.push(channel),
                other => panic!("{other:?}"),
            }
        }
    }
    if closed.is_empty() {
        let FromPortal::RelayClose { channel } = line.next().await else {
            panic!()
        };
        closed.push(channel);
    }
    assert_eq!(closed, channels[..1]);
    assert!(matches!(
        phones[0].next().await,
        None | Some(Ok(Message::Close(_)) | Err(_))
    ));
    let last = channels[2];
    line.say(&FromDoor::RelayData {
        channel: last,
        bytes: b"hello"[..].into(),
    })
    .await;
    let heard = phones[2].next().await.unwrap().unwrap();
    assert_eq!(heard.into_data(), &b"hello"[..]);
}
