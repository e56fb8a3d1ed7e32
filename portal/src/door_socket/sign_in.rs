//! The first three messages: challenge, sign-in, welcome.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use latchkey_protocol::doorlink::{FromPortal, close};
use latchkey_protocol::ids::{DoorId, Generation, PropertyId};
use latchkey_protocol::proof::NONCE_LEN;

use super::{Goodbye, send};
use crate::auth::door::{Claim, Unfit};
use crate::fault::Fault;
use crate::http::Shared;
use crate::model::controller;

const WITHIN: Duration = Duration::from_secs(10);

/// A door that has proved which it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignedIn {
    pub(super) property: PropertyId,
    pub(super) door: DoorId,
    pub(super) generation: Generation,
    pub(super) version: u16,
}

pub(super) async fn run(app: &Shared, socket: &mut WebSocket) -> Result<SignedIn, Goodbye> {
    let not_signed_in = |reason| Goodbye {
        code: close::NOT_SIGNED_IN,
        reason,
    };
    let nonce = app.tools.random::<NONCE_LEN>();
    let challenge = FromPortal::Challenge {
        nonce: nonce[..].into(),
    };
    send(socket, &challenge)
        .await
        .map_err(|_| not_signed_in("gone"))?;
    let answer = latchkey_env::timeout(&*app.tools.clock, WITHIN, socket.recv()).await;
    let Ok(Some(Ok(Message::Text(text)))) = answer else {
        return Err(not_signed_in("no sign-in came"));
    };
    let claim = Claim::read(&text).map_err(|unfit| match unfit {
        Unfit::NotASignIn => Goodbye {
            code: close::PROTOCOL,
            reason: "a sign-in must come first",
        },
        Unfit::Version => Goodbye {
            code: close::VERSION,
            reason: "no common version: update the controller, or the portal",
        },
        Unfit::Signature => not_signed_in("the signature does not verify"),
    })?;
    let Claim {
        property,
        door,
        generation,
        version,
        ..
    } = claim;
    let standing = app
        .store
        .read(move |tx| controller::standing(tx, property, door).map_err(Fault::from))
        .await
        .map_err(|_| Goodbye {
            code: close::RESTART,
            reason: "the portal cannot answer now",
        })?
        .filter(|standing| standing.generation == generation)
        .ok_or(not_signed_in("not the controller that stands at this door"))?;
    if !claim.is_proved(&standing.reader_key, nonce) {
        return Err(not_signed_in("the signature does not verify"));
    }
    Ok(SignedIn {
        property,
        door,
        generation,
        version,
    })
}
