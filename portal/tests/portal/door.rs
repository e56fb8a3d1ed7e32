//! A controller as the portal sees it: its keys, its offer, its WebSocket, its signed state.

use futures_util::{SinkExt as _, StreamExt as _};
use latchkey_env::{SystemRandom, random_array};
use latchkey_protocol::api::Page;
use latchkey_protocol::api::doors::{Door as ApiDoor, InstalledController};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::clock::{ClockReading, TimeChallenge};
use latchkey_protocol::commissioning::{Commissioned, Offer, Package, SignedOffer};
use latchkey_protocol::doorlink::{FromDoor, FromPortal, VERSIONS};
use latchkey_protocol::doorstate::{
    BundleNumber, ClockState, DoorState, ListNumber, SignedDoorState, StatementNumbers,
};
use latchkey_protocol::ids::{DoorId, Generation, PropertyId};
use latchkey_protocol::proof::DoorSignIn;
use latchkey_protocol::sealing::SealingKey;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::client::{Device, Key};
use crate::world::World;

/// A controller that may belong to a door.
pub(crate) struct Controller {
    pub(crate) reader: Key,
    pub(crate) sealing: SealingKey,
    nonce: [u8; 16],
}

impl Controller {
    pub(crate) fn new() -> Self {
        Self {
            reader: Key::new(),
            sealing: SealingKey::from_seed(&random_array(&SystemRandom)),
            nonce: random_array(&SystemRandom),
        }
    }

    pub(crate) fn offer(&self) -> Offer {
        Offer {
            reader_key: self.reader.point(),
            sealing_key: self.sealing.public().unwrap(),
            challenge: TimeChallenge { nonce: self.nonce },
            versions: vec![1],
        }
    }

    pub(crate) fn signed_offer(&self) -> Base64 {
        let payload = self.offer().payload();
        let signature = self.reader.sign(&Offer::to_be_signed(&payload));
        SignedOffer::new(payload, aliro::crypto::Signature(signature))
            .to_bytes()
            .into()
    }

    pub(crate) fn code(&self) -> String {
        self.offer().code().to_string()
    }
}

/// The door of this name.
pub(crate) async fn find(world: &World, device: &Device, name: &str) -> ApiDoor {
    find_at(world.property, device, name).await
}

async fn find_at(property: PropertyId, device: &Device, name: &str) -> ApiDoor {
    let path = format!("/v1/properties/{property}/doors");
    let page: Page<ApiDoor> = device.get(&path).await.ok();
    page.items
        .into_iter()
        .find(|door| door.name == name)
        .unwrap()
}

/// A commissioned controller, and how far it has come.
pub(crate) struct Door {
    pub(crate) controller: Controller,
    pub(crate) id: DoorId,
    pub(crate) generation: Generation,
    pub(crate) commissioned: Commissioned,
    pub(crate) state: DoorState,
}

impl Door {
    /// Installs a new controller at the door of this name, with its offer by the installer's hand.
    pub(crate) async fn install(world: &World, name: &str) -> Self {
        let installer = world.device(crate::world::INSTALLER).await;
        Self::install_by(&installer, world.property, name).await
    }

    pub(crate) async fn install_by(installer: &Device, property: PropertyId, name: &str) -> Self {
        let door = find_at(property, installer, name).await;
        let controller = Controller::new();
        let body = json!({ "code": controller.code(), "offer": controller.signed_offer() });
        let path = format!("/v1/properties/{property}/doors/{}/controllers", door.id);
        let installed: InstalledController = installer.post(&path, body).await.ok();
        Self::commission_at(property, controller, &installed)
    }

    pub(crate) fn commission(
        world: &World,
        controller: Controller,
        installed: &InstalledController,
    ) -> Self {
        Self::commission_at(world.property, controller, installed)
    }

    fn commission_at(
        property: PropertyId,
        controller: Controller,
        installed: &InstalledController,
    ) -> Self {
        let package: Package = serde_json::from_value(installed.package.clone()).unwrap();
        let commissioned = package.verify(&controller.offer()).unwrap();
        let list = commissioned
            .revocation
            .as_ref()
            .map_or(ListNumber::default(), |l| l.number());
        let state = DoorState {
            property,
            door: installed.door,
            generation: installed.generation,
            iteration: commissioned.iteration,
            list,
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
        Self {
            controller,
            id: installed.door,
            generation: installed.generation,
            commissioned,
            state,
        }
    }

    /// The present state, signed; each is newer than the last.
    pub(crate) fn signed_state(&mut self) -> Base64 {
        self.state.counter += 1;
        let payload = self.state.payload();
        let signature = self
            .controller
            .reader
            .sign(&DoorState::to_be_signed(&payload));
        SignedDoorState::new(payload, aliro::crypto::Signature(signature))
            .to_bytes()
            .into()
    }

    /// A line to the portal, signed in.
    pub(crate) async fn connect(&self, world: &World) -> Line {
        let mut line = Line::open(world).await;
        line.sign_in(self).await;
        assert_eq!(
            line.next().await,
            FromPortal::Welcome {
                version: VERSIONS[0]
            }
        );
        line
    }

    /// Obeys what the portal sends until it has shown a list of at least this number, or all statements so far.
    pub(crate) async fn obey(&mut self, line: &mut Line) -> FromPortal {
        let message = line.next().await;
        self.take(&message);
        message
    }

    /// Obeys a message.
    pub(crate) fn take(&mut self, message: &FromPortal) {
        match message {
            FromPortal::Statements { statements } => {
                for bytes in statements {
                    let signed =
                        latchkey_protocol::statement::SignedStatement::from_bytes(&bytes.0)
                            .unwrap();
                    let statement = signed
                        .verify(&self.commissioned.issuer, self.state.property)
                        .unwrap();
                    let numbers: StatementNumbers = self.state.statements;
                    if let latchkey_protocol::statement::Step::Apply(next) =
                        numbers.step(self.id, &statement)
                    {
                        self.state.statements = next;
                    }
                }
            }
            FromPortal::Revocation { document } => {
                let list = latchkey_protocol::revocation::RevocationList::verify(
                    &document.0,
                    &self.commissioned.issuer,
                )
                .unwrap();
                self.state.list = list.number();
            }
            _ => {}
        }
    }
}

/// A door's WebSocket.
pub(crate) struct Line(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Line {
    pub(crate) async fn open(world: &World) -> Self {
        Self::open_at(world.portal.url()).await
    }

    pub(crate) async fn open_at(portal: &str) -> Self {
        Self::try_open_at(portal).await.unwrap()
    }

    /// None at a portal that is gone; so with the other tries.
    pub(crate) async fn try_open_at(portal: &str) -> Option<Self> {
        let url = format!("{}/v1/door/socket", portal.replacen("http", "ws", 1));
        Some(Self(tokio_tungstenite::connect_async(url).await.ok()?.0))
    }

    pub(crate) async fn sign_in(&mut self, door: &Door) {
        self.try_sign_in(door).await.unwrap();
    }

    pub(crate) async fn try_sign_in(&mut self, door: &Door) -> Option<()> {
        let FromPortal::Challenge { nonce } = self.try_next().await? else {
            panic!("no challenge")
        };
        let proof = DoorSignIn {
            property: door.state.property,
            door: door.id,
            generation: door.generation,
            nonce: nonce.to_array().unwrap(),
        };
        let signature = door.controller.reader.sign(&proof.to_be_signed());
        self.try_say(&FromDoor::SignIn {
            property: proof.property,
            door: proof.door,
            generation: proof.generation,
            versions: VERSIONS.to_vec(),
            signature: signature[..].into(),
        })
        .await
    }

    pub(crate) async fn say(&mut self, message: &FromDoor) {
        self.try_say(message).await.unwrap();
    }

    pub(crate) async fn try_say(&mut self, message: &FromDoor) -> Option<()> {
        let text = serde_json::to_string(message).unwrap();
        self.0.send(Message::Text(text.into())).await.ok()
    }

    /// The portal's next message; pings are answered on the way.
    pub(crate) async fn next(&mut self) -> FromPortal {
        self.try_next().await.unwrap()
    }

    pub(crate) async fn try_next(&mut self) -> Option<FromPortal> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return None,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code with which the portal closes.
    pub(crate) async fn closed_with(&mut self) -> u16 {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
