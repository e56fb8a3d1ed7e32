//! Two instances on one PostgreSQL, with one signer at its socket, are one portal.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use latchkey_portal::Portal;
use latchkey_protocol::api::Page;
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::api::people::Person;
use latchkey_protocol::api::sync::SyncPage;
use latchkey_protocol::doorlink::{FromDoor, FromPortal, VERSIONS, close};
use latchkey_protocol::ids::DoorId;
use latchkey_protocol::proof::KeyKind;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::client::{Device, Key as Software, code_in};
use crate::door::{Door, Line, find};
use crate::keys::home;
use crate::world::{MANAGER, OWNER, RESIDENT, STAFF, World};

/// The same phone at another instance.
fn moved(mut device: Device, to: &Portal) -> Device {
    device.move_to(to.url());
    device
}

/// A door's line to another instance.
async fn connect(door: &Door, to: &Portal) -> Line {
    let mut line = Line::open_at(to.url()).await;
    line.sign_in(door).await;
    assert_eq!(
        line.next().await,
        FromPortal::Welcome {
            version: VERSIONS[0]
        }
    );
    line
}

/// A door on its line to this instance, staff, and a key for the door whose holder has a phone.
async fn key_there(world: &World, instance: &Portal) -> (Door, Line, Device, Key) {
    let mut door = Door::install(world, "North gate").await;
    let rita = world.device(RESIDENT).await;
    rita.register(world, KeyKind::AccessCredential, &Software::new())
        .await;
    let stefan = world.device(STAFF).await;
    let mut line = connect(&door, instance).await;
    let state = door.signed_state();
    line.say(&FromDoor::State { state }).await;
    let key = home(world, &stefan).await;
    (door, line, stefan, key)
}

/// Waits until the door shows itself so, while time goes on in steps.
async fn wait_connected(world: &World, device: &Device, name: &str, wanted: bool) {
    while find(world, device, name).await.connected != wanted {
        world.clock.advance(Duration::from_secs(2));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn a_withdrawal_made_at_one_instance_is_pushed_to_a_door_at_the_other() {
    let world = World::with_signer_apart().await;
    let other = world.another().await;
    let (mut door, mut line, stefan, key) = key_there(&world, &other).await;
    let path = world.path(&format!("/keys/{}", key.id));
    assert_eq!(stefan.call(Method::DELETE, &path, None).await.status, 200);
    // No time passes on any portal's clock: it is pushed, not polled.
    while !matches!(door.obey(&mut line).await, FromPortal::Revocation { .. }) {}
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn a_guest_key_granted_at_one_while_its_parent_is_withdrawn_at_the_other_is_dead_or_was_never_made()
 {
    let world = World::with_signer_apart().await;
    let other = world.another().await;
    let rita = world.device(RESIDENT).await;
    let stefan = moved(world.device(STAFF).await, &other);
    crate::guest_keys_follow::race(&world, &rita, &stefan).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn who_waits_at_one_instance_hears_what_is_written_at_the_other() {
    let world = World::with_signer_apart().await;
    let other = world.another().await;
    let mara = moved(world.device(MANAGER).await, &other);
    let olga = world.device(OWNER).await;
    let cursor = mara.sync(&world, None).await.cursor;
    let poll = world.path(&format!("/sync?cursor={cursor}&wait=25"));
    let people = world.path("/people");
    let new = json!({ "name": "Vera Vendor", "role": "vendor" });
    let (page, made) = tokio::join!(mara.get(&poll), olga.post(&people, new));
    made.ok::<Person>();
    let mut page: SyncPage = page.ok();
    while page.changes.is_empty() {
        // The line between the instances was just being made.
        page = mara.get(&poll).await.ok();
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn a_proof_that_one_instance_has_seen_is_refused_by_the_other() {
    let world = World::with_signer_apart().await;
    let other = world.another().await;
    let mara = world.device(MANAGER).await;
    mara.me().await;
    let headers = mara.proof_headers(&Method::GET, "/v1/me", Some(&mara.access));
    let first = mara.send(Method::GET, "/v1/me", None, headers.clone());
    assert_eq!(first.await.status, 200);
    let mara = moved(mara, &other);
    let again = mara.send(Method::GET, "/v1/me", None, headers).await;
    assert_eq!(again.problem(), "bad-proof");
    mara.me().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn tries_at_a_code_are_counted_over_both() {
    let world = World::with_signer_apart().await;
    let other = world.another().await;
    let seen = world.mail.len();
    let device = Device::new(world.portal.url());
    let id = device.ask_for_code(RESIDENT).await;
    let code = code_in(&world.mail.next_to(RESIDENT, seen).await.body);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let there = Device::new(other.url());
    for _ in 0..3 {
        let (here, there) = tokio::join!(device.confirm(&id, wrong), there.confirm(&id, wrong));
        assert_eq!(here.problem(), "wrong-code");
        assert_eq!(there.problem(), "wrong-code");
    }
    assert_eq!(there.confirm(&id, &code).await.problem(), "wrong-code");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn a_write_that_is_repeated_at_the_other_instance_is_done_once() {
    let world = World::with_signer_apart().await;
    let other = world.another().await;
    let mara = world.device(MANAGER).await;
    let path = world.path("/people");
    let body = json!({ "name": "Vera Vendor", "role": "vendor" });
    let write = async |mara: &Device| {
        let body = Some(body.clone());
        mara.call_with_key(Method::POST, &path, body, Some("the-same-key"))
            .await
            .ok::<Person>()
    };
    let first = write(&mara).await;
    let mara = moved(mara, &other);
    assert_eq!(write(&mara).await, first);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn both_write_and_sign_at_once_and_no_number_is_lost_or_given_twice() {
    let world = World::with_signer_apart().await;
    let other = world.another().await;
    let rita = world.device(RESIDENT).await;
    rita.register(&world, KeyKind::CodeKey, &Software::new())
        .await;
    let here = world.device(MANAGER).await;
    let there = moved(world.device(MANAGER).await, &other);
    let north = find(&world, &here, "North gate").await.id;
    let person = crate::keys::person(&world, &here, "Rita Resident").await.id;
    let path = world.path("/keys");
    let write = async |device: &Device, n: usize| {
        let draft = json!({
            "name": format!("Key {n}"), "kind": "mobile",
            "persons": [person], "doors": { "some": [north] },
        });
        device.post(&path, draft).await.ok::<Value>();
    };
    let writes = (0..20).map(|n| write(if n % 2 == 0 { &here } else { &there }, n));
    futures_util::future::join_all(writes).await;
    // Each key has a pass, and each pass a statement of the next number.
    let mut door = Door::install(&world, "North gate").await;
    let behind = door.state.statements;
    door.state.statements.all = 0;
    let mut line = connect(&door, &other).await;
    let state = door.signed_state();
    line.say(&FromDoor::State { state }).await;
    while door.state.statements.all < behind.all {
        door.obey(&mut line).await;
    }
    let [chain] = &world.audit().await[..] else {
        panic!()
    };
    assert_eq!(chain.broken_at, None);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn a_door_that_comes_to_another_instance_leaves_the_first() {
    let world = World::with_signer_apart().await;
    let other = world.another().await;
    let door = Door::install(&world, "North gate").await;
    let mara = world.device(MANAGER).await;
    let mut first = door.connect(&world).await;
    let _second = connect(&door, &other).await;
    // Its end is noted before it is told, and is no end of the door's.
    assert_eq!(first.closed_with().await, close::REPLACED);
    assert!(find(&world, &mara, "North gate").await.connected);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn the_doors_of_an_instance_that_is_gone_are_not_connected() {
    let world = World::with_signer_apart().await;
    let door = Door::install(&world, "North gate").await;
    let mara = world.device(MANAGER).await;
    // As an instance leaves it that was killed.
    world.database.alter(world.folder.path(), |bytes| {
        format!(
            "INSERT INTO instance (id, beat) VALUES ({id}, 7);
             UPDATE door SET connected = 1, instance = {id}, line = 3 WHERE id = {door}",
            id = bytes(&[9; 8]),
            door = bytes(&door.id.0),
        )
    });
    assert!(find(&world, &mara, "North gate").await.connected);
    wait_connected(&world, &mara, "North gate", false).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn an_instance_that_was_taken_for_gone_enters_its_doors_again() {
    let world = World::with_signer_apart().await;
    let door = Door::install(&world, "North gate").await;
    let mara = world.device(MANAGER).await;
    let _line = door.connect(&world).await;
    world.database.alter(world.folder.path(), |_| {
        "DELETE FROM instance; UPDATE door SET connected = 0, instance = NULL".into()
    });
    assert!(!find(&world, &mara, "North gate").await.connected);
    wait_connected(&world, &mara, "North gate", true).await;
}

/// A phone's line to a door.
type Phone =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn relay(world: &World, phone: &Device, door: DoorId) -> Result<Phone, SocketError> {
    let path = world.path(&format!("/doors/{door}/relay"));
    let url = format!("{}{path}", phone.base()).replacen("http", "ws", 1);
    let mut request = url.into_client_request().unwrap();
    let proof = phone.proof_headers(&Method::GET, &path, Some(&phone.access));
    request.headers_mut().extend(proof);
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

/// A conversation is open once both instances hear each other: the first tries may come before.
async fn relay_there(world: &World, phone: &Device, door: DoorId) -> Phone {
    loop {
        phone.me().await;
        let mut opening = std::pin::pin!(relay(world, phone, door));
        let opened = loop {
            tokio::select! {
                opened = &mut opening => break opened,
                // Nobody waits for ever for an instance that does not hear.
                () = latchkey_env::sleep(&latchkey_env::SystemClock, Duration::from_millis(100)) => {
                    world.clock.advance(Duration::from_secs(1));
                }
            }
        };
        match opened {
            Ok(line) => return line,
            Err(SocketError::Http(answer)) => assert_eq!(answer.status(), 503),
            Err(error) => panic!("{error}"),
        }
    }
}

async fn heard(line: &mut Line) -> FromPortal {
    loop {
        match line.next().await {
            FromPortal::RelayClose { .. } => {}
            message => return message,
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn a_phone_at_one_instance_speaks_with_a_door_at_the_other() {
    let world = World::with_signer_apart().await;
    let other = world.another().await;
    let door = Door::install(&world, "North gate").await;
    let rita = world.device(RESIDENT).await;
    let mut line = connect(&door, &other).await;
    let mut phone = relay_there(&world, &rita, door.id).await;
    let mut opened = line.next().await;
    while let FromPortal::RelayClose { .. } = opened {
        opened = heard(&mut line).await;
    }
    let FromPortal::RelayOpen { mut channel } = opened else {
        panic!("{opened:?}")
    };
    // More than one notification holds, in both directions.
    let long: Vec<u8> = (0..20_000_u32).flat_map(u32::to_be_bytes).collect();
    for piece in long.chunks(40_000) {
        phone
            .send(Message::Binary(piece.to_vec().into()))
            .await
            .unwrap();
    }
    let mut arrived = Vec::new();
    while arrived.len() < long.len() {
        match line.next().await {
            FromPortal::RelayData { channel: at, bytes } if at == channel => {
                arrived.extend(bytes.0);
            }
            // An earlier try that had come through after all.
            FromPortal::RelayOpen { channel: newer } => channel = newer,
            _ => {}
        }
    }
    assert!(arrived == long);
    line.say(&FromDoor::RelayData {
        channel,
        bytes: long.clone().into(),
    })
    .await;
    let mut back = Vec::new();
    while back.len() < long.len() {
        if let Message::Binary(bytes) = phone.next().await.unwrap().unwrap() {
            back.extend(bytes);
        }
    }
    assert!(back == long);
    drop(phone);
    while line.next().await != (FromPortal::RelayClose { channel }) {}
    // And the other way round: the door ends it.
    let mut phone = relay_there(&world, &rita, door.id).await;
    let FromPortal::RelayOpen { channel } = heard(&mut line).await else {
        panic!()
    };
    line.say(&FromDoor::RelayClose { channel }).await;
    while let Some(Ok(message)) = phone.next().await {
        assert!(!message.is_binary());
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn cut_connections_to_the_database_are_made_again_and_nothing_is_missed() {
    let world = World::with_signer_apart().await;
    let other = world.another().await;
    let (mut door, mut line, stefan, key) = key_there(&world, &other).await;
    world.database.alter(world.folder.path(), |_| {
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()"
            .into()
    });
    // The first to come finds its connection gone, and is not told of it.
    let path = world.path(&format!("/keys/{}", key.id));
    assert_eq!(stefan.call(Method::DELETE, &path, None).await.status, 200);
    let people: Page<Person> = stefan.get(&world.path("/people")).await.ok();
    assert!(!people.items.is_empty());
    // The other instance may not have heard of it: once it listens again, it looks.
    let hear =
        async { while !matches!(door.obey(&mut line).await, FromPortal::Revocation { .. }) {} };
    tokio::select! {
        () = hear => {}
        () = time_goes_on(&world) => unreachable!("time does not end"),
    }
}

/// The server mends its connections in real time; the portal's own waits go on beside it.
async fn time_goes_on(world: &World) {
    loop {
        latchkey_env::sleep(&latchkey_env::SystemClock, Duration::from_millis(20)).await;
        world.clock.advance(Duration::from_millis(500));
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn while_the_database_is_away_it_is_said_so_and_afterwards_all_goes_on() {
    let world = World::with_signer_apart().await;
    let mara = world.device(MANAGER).await;
    let database = world.database.name().expect("it runs on PostgreSQL");
    let set = |accessible: bool| {
        world.database.administer(format!(
            "ALTER DATABASE {database} WITH ALLOW_CONNECTIONS {accessible};
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        ));
    };
    set(false);
    let path = world.path("/people");
    let new = json!({ "name": "Vera Vendor", "role": "vendor" });
    let refused = mara.post(&path, new.clone()).await;
    assert_eq!(refused.problem(), "store-unavailable");
    assert_eq!(refused.status, 503);
    let ready = mara.bare(Method::GET, "/readyz", None).await;
    assert_eq!(ready.problem(), "store-unavailable");
    set(true);
    // The way back is tried less and less often.
    while mara.post(&path, new.clone()).await.status != 201 {
        world.clock.advance(Duration::from_secs(1));
    }
}
