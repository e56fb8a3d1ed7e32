//! `GET /v1/properties/{property}/doors/{door}/relay`: a phone's bytes to a door and back. The relaying part forwards
//! and cannot forge: what it carries is Aliro's.

mod remote;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::ids::{DoorId, PropertyId};

use crate::door_socket::READ_AT_ONCE;
use crate::fault::Fault;
use crate::http::{Caller, Network, Problems, Shared};
use crate::model::{door, member};
use remote::PhoneLine;
pub(crate) use remote::{Remote, run};
pub use remote::{Said, Word};

const LARGEST_MESSAGE: usize = 64 * 1024;

/// A phone's WebSocket to a door. Binary messages; their bounds mean nothing.
#[utoipa::path(get, path = "/v1/properties/{property}/doors/{door}/relay", tag = "doors",
    params(("property" = PropertyId, Path), ("door" = DoorId, Path)),
    responses((status = 101, description = "A WebSocket"), Problems))]
pub(crate) async fn relay(
    State(app): State<Shared>,
    Path((property, door)): Path<(PropertyId, DoorId)>,
    network: Network,
    Caller(caller): Caller,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Fault> {
    let device = caller.device;
    app.store
        .read(move |tx| {
            let member = member::of(tx, &caller, property)?;
            let visible =
                door::is_visible(tx, &member, door)? && door::load(tx, property, door)?.is_some();
            visible.then_some(()).ok_or_else(Fault::not_found)
        })
        .await?;
    // Who may not see the door learns nothing from how the request was made.
    let upgrade =
        upgrade.map_err(|error| Fault::because(ProblemType::BadRequest, error.to_string()))?;
    let place = app.waiting.take(Some(network.0))?;
    let line = PhoneLine::open(&app, property, door, device).await?;
    let line = line.ok_or(Fault::new(ProblemType::DoorOffline))?;
    let upgrade = upgrade
        .max_message_size(LARGEST_MESSAGE)
        .read_buffer_size(READ_AT_ONCE);
    Ok(upgrade.on_upgrade(move |socket| async move {
        carry(app, socket, line).await;
        drop(place);
    }))
}

async fn carry(app: Shared, mut phone: WebSocket, mut line: PhoneLine) {
    loop {
        tokio::select! {
            heard = phone.recv() => match heard {
                Some(Ok(Message::Binary(bytes))) => {
                    if !line.send(bytes.to_vec()).await {
                        break;
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => break,
            },
            bytes = line.recv() => match bytes {
                Some(bytes) => {
                    if phone.send(Message::Binary(bytes.into())).await.is_err() {
                        break;
                    }
                }
                None => break,
            },
            () = app.closed() => break,
        }
    }
    // The phone may be gone already.
    let _ = phone.send(Message::Close(None)).await;
}
