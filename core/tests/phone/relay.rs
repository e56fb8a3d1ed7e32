//! Unlocking through a portal's relay: a real WebSocket, its proof of possession checked, that forwards to
//! a door and cannot do more.

use std::sync::{Arc, Mutex};

use aliro::reader::Phase;
use futures_util::{SinkExt as _, StreamExt as _};
use latchkey_core::error::{DoorFault, Error};
use latchkey_core::unlock::{CarrierKind, Opened, UnlockEvent, UnlockOptions};
use latchkey_protocol::api::problem::{Problem, ProblemType};
use latchkey_protocol::hello::INTERFACE_RELAY;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::door::{Script, TestDoor};
use crate::wire::Wire;
use crate::world::{GATE, PROPERTY, World, at};

/// A way in front of the wire that relays, and hands all else on to it.
struct Front {
    url: String,
    task: tokio::task::JoinHandle<()>,
    /// What came through, in both directions.
    carried: Arc<Mutex<Vec<u8>>>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Front {
    async fn start(wire: Arc<Wire>, door: Option<String>, flip: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        wire.state().known_as(&url);
        let behind = wire.url();
        let carried = Arc::new(Mutex::new(Vec::new()));
        let kept = carried.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut start = [0; 512];
                let count = stream.peek(&mut start).await.unwrap();
                let relay = String::from_utf8_lossy(&start[..count]).contains("/relay ");
                if relay {
                    let (wire, door, kept) = (wire.clone(), door.clone(), kept.clone());
                    tokio::spawn(relayed(stream, wire, door, kept, flip));
                } else {
                    tokio::spawn(handed_on(stream, behind.replace("http://", "")));
                }
            }
        });
        Self { url, task, carried }
    }
}

async fn handed_on(mut stream: TcpStream, to: String) {
    let mut behind = TcpStream::connect(to).await.unwrap();
    // Either side may hang up as it likes.
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
}

#[expect(clippy::result_large_err, reason = "tungstenite's own callback type")]
async fn relayed(
    stream: TcpStream,
    wire: Arc<Wire>,
    door: Option<String>,
    carried: Arc<Mutex<Vec<u8>>>,
    flip: bool,
) -> Option<()> {
    let check = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let path = format!("/v1/properties/{PROPERTY}/doors/{GATE}/relay");
        assert_eq!(request.uri().path(), path);
        let mut state = wire.state();
        let outcome = state.prove_headers("GET", &path, request.headers());
        let outcome = match door {
            None if outcome.is_ok() => Err(ProblemType::DoorOffline),
            _ => outcome,
        };
        let nonce = format!("nonce-{}", state.nonce).parse().unwrap();
        match outcome {
            Ok(()) => Ok(response),
            Err(kind) => {
                let body = serde_json::to_string(&Problem::new(kind)).unwrap();
                let mut refusal = ErrorResponse::new(Some(body));
                *refusal.status_mut() = kind.status().try_into().unwrap();
                refusal.headers_mut().insert("DPoP-Nonce", nonce);
                Err(refusal)
            }
        }
    };
    let mut phone = tokio_tungstenite::accept_hdr_async(stream, check)
        .await
        .ok()?;
    let mut door = TcpStream::connect(door.as_deref()?).await.unwrap();
    let mut piece = vec![0; 4096];
    loop {
        tokio::select! {
            message = phone.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    carried.lock().unwrap().extend_from_slice(&bytes);
                    door.write_all(&bytes).await.ok()?;
                }
                _ => return None,
            },
            count = door.read(&mut piece) => {
                let mut bytes = piece[..count.ok().filter(|count| *count > 0)?].to_vec();
                // Message type 4 is encrypted: the result record, among others.
                if flip && bytes[0] == 2 && bytes.len() > 8 {
                    *bytes.last_mut().unwrap() ^= 1;
                }
                carried.lock().unwrap().extend_from_slice(&bytes);
                phone.send(Message::Binary(bytes.into())).await.ok()?;
            }
        }
    }
}

struct Relayed {
    world: World,
    door: TestDoor,
    front: Front,
    phone: Arc<latchkey_core::phone::Phone>,
}

async fn relayed_world(there: bool, flip: bool) -> Relayed {
    let world = World::new().await;
    let script = Script {
        interface: INTERFACE_RELAY,
        ..Script::opening(GATE, 1)
    };
    let door = TestDoor::start(&world, script).await;
    let address = there.then(|| door.address.clone());
    let front = Front::start(world.wire.clone(), address, flip).await;
    let phone = world.signed_in_at(&front.url).await;
    Relayed {
        world,
        door,
        front,
        phone,
    }
}

fn over_the_network() -> UnlockOptions {
    UnlockOptions {
        carriers: vec![CarrierKind::Relay],
        ..UnlockOptions::default()
    }
}

#[tokio::test]
async fn a_door_opens_through_the_portal_with_a_new_nonce_on_the_way() {
    let at_portal = relayed_world(true, false).await;
    at_portal.world.wire.state().nonce += 1;
    let outcome = at_portal
        .phone
        .unlock(at(GATE), &over_the_network(), &|_| {})
        .await;
    let carrier = CarrierKind::Relay;
    assert_eq!(
        outcome.unwrap(),
        Opened {
            until: None,
            carrier
        }
    );
    assert_eq!(at_portal.door.seen.lock().unwrap().commits.len(), 1);
    // What went through the portal shows neither who came nor by which grant.
    let carried = at_portal.front.carried.lock().unwrap();
    let key = at_portal
        .world
        .registered(latchkey_protocol::api::auth::CredentialUse::Access);
    assert!(!carried.windows(32).any(|part| part == key.x()));
    for part in at_portal.world.grant().document.0.chunks_exact(16) {
        assert!(!carried.windows(16).any(|bytes| bytes == part));
    }
}

/// What was met on the spot is known through the portal, and the other way round.
#[tokio::test]
async fn a_door_that_was_met_on_the_spot_knows_the_phone_through_the_portal() {
    let mut world = World::new().await;
    let near = Script::remembering(GATE, 1);
    let far = Script {
        interface: INTERFACE_RELAY,
        ..near.clone()
    };
    let near = TestDoor::start(&world, near).await;
    let far = TestDoor::start(&world, far).await;
    let front = Front::start(world.wire.clone(), Some(far.address.clone()), false).await;
    world.doors[0].stream_address = Some(near.address.clone());
    let phone = world.signed_in_at(&front.url).await;
    let on_the_spot = UnlockOptions {
        carriers: vec![CarrierKind::Stream],
        ..UnlockOptions::default()
    };
    for options in [&on_the_spot, &over_the_network(), &on_the_spot] {
        phone.unlock(at(GATE), options, &|_| {}).await.unwrap();
    }
    let phases = |door: &TestDoor| -> Vec<Phase> {
        let seen = door.seen.lock().unwrap();
        seen.known.iter().map(|who| who.phase).collect()
    };
    assert_eq!(phases(&near), [Phase::Standard, Phase::Fast]);
    assert_eq!(phases(&far), [Phase::Fast]);
}

#[tokio::test]
async fn a_door_that_is_not_connected_is_said_to_be_out_of_reach() {
    let at_portal = relayed_world(false, false).await;
    let outcome = at_portal
        .phone
        .unlock(at(GATE), &over_the_network(), &|_| {})
        .await;
    assert!(
        matches!(outcome, Err(Error::DoorNotReached(DoorFault::Relay(_)))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_relay_that_alters_what_it_carries_is_not_believed() {
    let at_portal = relayed_world(true, true).await;
    let opened = Mutex::new(false);
    let outcome = at_portal
        .phone
        .unlock(at(GATE), &over_the_network(), &|event| {
            *opened.lock().unwrap() |= matches!(event, UnlockEvent::Opened { .. });
        })
        .await;
    assert!(
        matches!(outcome, Err(Error::DoorNotReached(_))),
        "{outcome:?}"
    );
    assert!(!*opened.lock().unwrap());
}

#[tokio::test]
async fn the_relay_takes_over_from_a_door_that_is_silent_on_the_spot() {
    let mut at_portal = relayed_world(true, false).await;
    let silent = Script {
        silent: true,
        ..Script::opening(GATE, 1)
    };
    let silent = TestDoor::start(&at_portal.world, silent).await;
    at_portal.world.doors[0].stream_address = Some(silent.address.clone());
    at_portal.world.serve_again();
    at_portal.phone.sync().await.unwrap();
    let clock = at_portal.world.clock.clone();
    let carriers = Mutex::new(Vec::new());
    let outcome = at_portal
        .phone
        .unlock(at(GATE), &UnlockOptions::default(), &|event| match event {
            UnlockEvent::Connecting { carrier } => carriers.lock().unwrap().push(carrier),
            // The nearer one has had its head start.
            UnlockEvent::Proving {
                carrier: CarrierKind::Stream,
            } => {
                clock.advance(std::time::Duration::from_secs(1));
            }
            _ => {}
        })
        .await
        .unwrap();
    assert_eq!(outcome.carrier, CarrierKind::Relay);
    let carriers = carriers.into_inner().unwrap();
    assert_eq!(carriers, [CarrierKind::Stream, CarrierKind::Relay]);
    assert_eq!(silent.seen.lock().unwrap().commits, []);
}
