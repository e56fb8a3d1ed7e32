//! `GET /v1/door/socket`: a controller's line to the portal. The portal carries and counts; what makes a door open is
//! signed by others.

mod conversation;
mod hub;
pub(crate) mod news;
mod push;
mod reports;
mod sign_in;
mod uses;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use latchkey_protocol::doorlink::FromPortal;

pub(crate) use hub::{Hub, RelayLine};
pub(crate) use reports::Reports;

use crate::fault::Fault;
use crate::http::{Network, Problems, Shared};

const LARGEST_MESSAGE: usize = 1024 * 1024;
/// What is read of a line at once, and kept for it as long as it stands: most messages fit, and thousands stand. The
/// library would keep 128 KiB.
pub(crate) const READ_AT_ONCE: usize = 4 * 1024;

/// A controller's WebSocket. Text messages, one JSON object each; it signs in with its reader key.
#[utoipa::path(get, path = "/v1/door/socket", tag = "doors",
    responses((status = 101, description = "A WebSocket"), Problems))]
pub(crate) async fn door_socket(
    State(app): State<Shared>,
    network: Network,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Fault> {
    let place = app.waiting.take(Some(network.0))?;
    let upgrade = upgrade
        .max_message_size(LARGEST_MESSAGE)
        .read_buffer_size(READ_AT_ONCE);
    Ok(upgrade.on_upgrade(move |socket| conversation::run(app, socket, place)))
}

/// Why a conversation ends: the close code and words for the controller's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Goodbye {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

const REPLACED: Goodbye = Goodbye {
    code: latchkey_protocol::doorlink::close::REPLACED,
    reason: "a newer connection of this door took over",
};

/// The line is gone.
#[derive(Debug)]
struct Gone;

async fn send(socket: &mut WebSocket, message: &FromPortal) -> Result<(), Gone> {
    let text = serde_json::to_string(message).map_err(|_| Gone)?;
    send_text(socket, text.into()).await
}

async fn send_text(socket: &mut WebSocket, text: Utf8Bytes) -> Result<(), Gone> {
    let sent = socket.send(Message::Text(text)).await;
    sent.map_err(|_| Gone)
}

async fn close(mut socket: WebSocket, goodbye: &Goodbye) {
    let frame = CloseFrame {
        code: goodbye.code,
        reason: goodbye.reason.into(),
    };
    // The other side may be gone already.
    let _ = socket.send(Message::Close(Some(frame))).await;
}
