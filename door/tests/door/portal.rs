//! The portal's end of the line, played by a test word by word.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use latchkey_env::VirtualClock;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::doorlink::{DoorEvent, FromDoor, FromPortal};
use latchkey_protocol::doorstate::{DoorState, SignedDoorState};
use latchkey_protocol::proof::DoorSignIn;
use latchkey_protocol::uses::{Ceiling, LeaseReport};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};
use url::Url;

use crate::property::{BUDGET, Door, Property};

/// Where doors call.
pub(crate) struct Portal {
    listener: TcpListener,
    pub(crate) url: Url,
}

impl Portal {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self {
            listener,
            url: url.parse().unwrap(),
        }
    }

    /// The next connection, not signed in.
    pub(crate) async fn accept(&self) -> Line {
        Line::on(self.listener.accept().await.unwrap().0).await
    }

    /// The next connection of a door that has lost its line: its wait is let pass, and time stands
    /// still again as soon as it calls.
    pub(crate) async fn accept_later(&self, clock: &VirtualClock) -> Line {
        let waiting = async {
            loop {
                clock.advance(Duration::from_millis(50));
                for _ in 0..200 {
                    tokio::task::yield_now().await;
                }
            }
        };
        let (stream, _) = tokio::select! {
            biased;
            accepted = self.listener.accept() => accepted.unwrap(),
            () = waiting => unreachable!("time does not end"),
        };
        Line::on(stream).await
    }

    /// The next connection, signed in, its first state heard, its clock set.
    pub(crate) async fn signed_in(&self, property: &Property, door: &Door) -> (Line, DoorState) {
        let mut line = self.accept().await;
        line.sign_in(property, door).await;
        let state = line.state(door).await;
        line.answer_time(property, door).await;
        (line, state)
    }
}

/// One connection.
pub(crate) struct Line {
    socket: WebSocketStream<TcpStream>,
}

impl Line {
    async fn on(stream: TcpStream) -> Self {
        Self {
            socket: accept_async(stream).await.unwrap(),
        }
    }

    pub(crate) async fn say(&mut self, message: &FromPortal) {
        let text = serde_json::to_string(message).unwrap();
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The door's next words; none when it has hung up.
    pub(crate) async fn hear(&mut self) -> Option<FromDoor> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn sign_in(&mut self, property: &Property, door: &Door) {
        let nonce = [5; 32];
        let challenge = FromPortal::Challenge {
            nonce: Base64(nonce.to_vec()),
        };
        self.say(&challenge).await;
        let Some(FromDoor::SignIn {
            property: claimed,
            door: id,
            generation,
            versions,
            signature,
        }) = self.hear().await
        else {
            panic!("the door signs in first");
        };
        assert_eq!((claimed, id), (property.id, door.id));
        let proof = DoorSignIn {
            property: claimed,
            door: id,
            generation,
            nonce,
        };
        let signature = aliro::crypto::Signature::from_slice(&signature.0).unwrap();
        proof.verify(&door.reader_key, &signature).unwrap();
        let version = versions[0];
        self.say(&FromPortal::Welcome { version }).await;
    }

    pub(crate) async fn answer_time(&mut self, property: &Property, door: &Door) {
        let Some(FromDoor::TimeChallenge { nonce }) = self.hear().await else {
            panic!("the door asks for the time");
        };
        let challenge = latchkey_protocol::clock::TimeChallenge {
            nonce: nonce.to_array().unwrap(),
        };
        let answer = property.time(door.id, challenge).into();
        self.say(&FromPortal::Time { answer }).await;
    }

    pub(crate) async fn state(&mut self, door: &Door) -> DoorState {
        let Some(FromDoor::State { state }) = self.hear().await else {
            panic!("the door tells its state");
        };
        let signed = SignedDoorState::from_bytes(&state.0).unwrap();
        signed.verify(&door.reader_key).unwrap()
    }

    pub(crate) async fn events(&mut self) -> Vec<DoorEvent> {
        match self.hear().await {
            Some(FromDoor::Events { events }) => events,
            other => panic!("not events: {other:?}"),
        }
    }

    /// The next question about a code.
    pub(crate) async fn question(&mut self) -> u64 {
        match self.hear().await {
            Some(FromDoor::CodeCheck { request, .. }) => request,
            other => panic!("not a question: {other:?}"),
        }
    }

    /// The next question for a use: its number, and what has been spent.
    pub(crate) async fn use_wanted(&mut self) -> (u64, u32) {
        match self.hear().await {
            Some(FromDoor::UseWanted {
                request,
                budget: BUDGET,
                spent,
            }) => (request, spent),
            other => panic!("no use is wanted: {other:?}"),
        }
    }

    /// Orders a ceiling, and hears what the door then signs for.
    pub(crate) async fn order(&mut self, door: &Door, ceiling: Ceiling) -> LeaseReport {
        let ceilings = vec![ceiling];
        self.say(&FromPortal::Ceilings { ceilings }).await;
        self.lease(door).await
    }

    /// The one lease of which the next state tells.
    pub(crate) async fn lease(&mut self, door: &Door) -> LeaseReport {
        let leases = self.state(door).await.leases;
        assert_eq!(leases.len(), 1, "{leases:?}");
        leases[0]
    }

    pub(crate) async fn hang_up(mut self) {
        let _ = self.socket.close(None).await;
    }
}
