//! Doors as the portal sees them: commissioned controllers with keys of their own, each on its WebSocket, signed in
//! and its state shown. What lies behind that in a real door (store, lock, carriers) costs the portal nothing.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use latchkey_core::staff::StaffDesk;
use latchkey_env::{SystemRandom, random_array};
use latchkey_protocol::api::doors::InstallController;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::clock::{ClockReading, TimeChallenge};
use latchkey_protocol::commissioning::{Offer, Package, SignedOffer};
use latchkey_protocol::doorlink::{FromDoor, FromPortal, VERSIONS};
use latchkey_protocol::doorstate::{BundleNumber, ClockState, DoorState, SignedDoorState};
use latchkey_protocol::ids::DoorId;
use latchkey_protocol::proof::DoorSignIn;
use latchkey_protocol::sealing::SealingKey;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use crate::key::Key;
use crate::scene::done;

/// A controller that stands at a door.
pub(crate) struct Controller {
    reader: Key,
    state: DoorState,
}

impl Controller {
    /// Puts a new one to this door, by an installer's hand.
    pub(crate) async fn install(desk: &StaffDesk, door: DoorId) -> Self {
        let reader = Key::new();
        let sealing = SealingKey::from_seed(&random_array(&SystemRandom));
        let offer = Offer {
            reader_key: reader.public(),
            sealing_key: sealing.public().expect("a point"),
            challenge: TimeChallenge {
                nonce: random_array(&SystemRandom),
            },
            versions: vec![1],
        };
        let payload = offer.payload();
        let signature = reader.sign(&Offer::to_be_signed(&payload));
        let request = InstallController {
            code: offer.code().to_string(),
            offer: Some(Base64(SignedOffer::new(payload, signature).to_bytes())),
            stream_address: None,
        };
        let installing = desk.install_controller(door, &request).await;
        let installed = done(installing.expect("installed"));
        let package: Package = serde_json::from_value(installed.package).expect("a package");
        let commissioned = package.verify(&offer).expect("a package for this offer");
        let list = commissioned.revocation.map(|list| list.number());
        let state = DoorState {
            property: installed.property,
            door: installed.door,
            generation: installed.generation,
            iteration: commissioned.iteration,
            list: list.unwrap_or_default(),
            statements: commissioned.numbers,
            clock: ClockState {
                reading: ClockReading {
                    unix_ms: 0,
                    uncertainty_ms: 10,
                    unsure: false,
                },
                drift_ppm: None,
            },
            battery: None,
            counter: 1,
            leases: Vec::new(),
            bundle: BundleNumber::default(),
        };
        Self { reader, state }
    }

    /// Its line to the portal, signed in, its state shown.
    pub(crate) async fn connect(&self, portal: SocketAddr) -> Line {
        let mut line = Line::open(portal, "/v1/door/socket").await;
        let FromPortal::Challenge { nonce } = line.hear().await else {
            panic!("the portal begins with a challenge");
        };
        let proof = DoorSignIn {
            property: self.state.property,
            door: self.state.door,
            generation: self.state.generation,
            nonce: nonce.to_array().expect("32 bytes"),
        };
        let signature = self.reader.sign(&proof.to_be_signed());
        line.say(&FromDoor::SignIn {
            property: proof.property,
            door: proof.door,
            generation: proof.generation,
            versions: VERSIONS.to_vec(),
            signature: Base64(signature.0.to_vec()),
        })
        .await;
        let FromPortal::Welcome { .. } = line.hear().await else {
            panic!("a door that signs in is welcome");
        };
        let payload = self.state.payload();
        let signature = self.reader.sign(&DoorState::to_be_signed(&payload));
        let state = SignedDoorState::new(payload, signature).to_bytes();
        line.say(&FromDoor::State {
            state: Base64(state),
        })
        .await;
        line
    }
}

/// A WebSocket, the client's end.
pub(crate) struct Line(WebSocketStream<TcpStream>);

impl Line {
    pub(crate) async fn open(server: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(server).await.expect("the server");
        stream.set_nodelay(true).expect("an option");
        let url = format!("ws://{server}{path}");
        let opening = tokio_tungstenite::client_async(url, stream).await;
        Self(opening.expect("a WebSocket").0)
    }

    pub(crate) async fn say(&mut self, message: &FromDoor) {
        let text = serde_json::to_string(message).expect("JSON");
        self.say_text(text).await;
    }

    pub(crate) async fn say_text(&mut self, text: String) {
        self.0.send(Message::text(text)).await.expect("said");
    }

    pub(crate) async fn hear(&mut self) -> FromPortal {
        let text = self.text().await;
        serde_json::from_str(&text).expect("a message")
    }

    /// Returns once the other end has taken all that was said.
    pub(crate) async fn taken(&mut self) {
        let ping = Message::Ping(Bytes::new());
        self.0.send(ping).await.expect("said");
        while !matches!(self.0.next().await, Some(Ok(Message::Pong(_)))) {}
    }

    /// The next text; pings are answered on the way.
    pub(crate) async fn text(&mut self) -> Utf8Bytes {
        loop {
            match self.0.next().await.expect("open").expect("whole") {
                Message::Text(text) => return text,
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
