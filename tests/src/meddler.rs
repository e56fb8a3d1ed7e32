//! A portal instance without the signer, as a door sees it: a proxy on the door's WebSocket that changes
//! whatever it carries, in either direction.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use latchkey_protocol::bytes::Base64;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{accept_async, connect_async};

/// The proxy. It ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct Meddler {
    addr: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    meddles: AtomicBool,
    /// How many messages it has changed. Each has another byte changed than the last of its length.
    changed: AtomicUsize,
}

impl Meddler {
    /// Sits before a portal, and carries faithfully until it is told to meddle.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn before(portal: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("no port is free on the loopback")?;
        let addr = listener.local_addr()?;
        let state = Arc::new(State::default());
        let shared = state.clone();
        let task = tokio::spawn(async move {
            let mut lines = tokio::task::JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                lines.spawn(carry(near, portal, shared.clone()));
            }
        });
        Ok(Self { addr, state, task })
    }

    /// Where it is.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes every message that holds signed or encrypted bytes, or none.
    pub fn set_meddling(&self, meddles: bool) {
        self.state.meddles.store(meddles, Ordering::SeqCst);
    }

    /// How many messages it has changed.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.state.changed.load(Ordering::SeqCst)
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(near: TcpStream, portal: SocketAddr, state: Arc<State>) {
    let far = format!("ws://{portal}/v1/door/socket");
    let (Ok(near), Ok((far, _))) = (accept_async(near).await, connect_async(far).await) else {
        return;
    };
    let (near_write, near_read) = near.split();
    let (far_write, far_read) = far.split();
    // When one side goes, so does the other.
    tokio::select! {
        () = pump(near_read, far_write, &state) => {}
        () = pump(far_read, near_write, &state) => {}
    }
}

async fn pump(
    mut from: impl Stream<Item = Result<Message, Error>> + Unpin,
    mut to: impl Sink<Message, Error = Error> + Unpin,
    state: &State,
) {
    while let Some(Ok(message)) = from.next().await {
        let message = match message {
            Message::Text(text) if state.meddles.load(Ordering::SeqCst) => {
                Message::text(changed(text.as_str(), &state.changed).unwrap_or(text.to_string()))
            }
            other => other,
        };
        if to.send(message).await.is_err() {
            return;
        }
    }
}

/// What is not changed: without a sign-in there is no line to meddle with, and the log's ids are nobody's
/// proof.
const LEFT_ALONE: [&str; 3] = ["challenge", "sign_in", "events"];

/// The message with one bit of each of its byte strings changed; none when it has no such string.
fn changed(text: &str, count: &AtomicUsize) -> Option<String> {
    let mut message: Value = serde_json::from_str(text).ok()?;
    let at = count.load(Ordering::SeqCst);
    if LEFT_ALONE.contains(&message["type"].as_str()?) {
        return None;
    }
    let any = change(&mut message, at);
    any.then(|| {
        count.fetch_add(1, Ordering::SeqCst);
        message.to_string()
    })
}

fn change(value: &mut Value, at: usize) -> bool {
    match value {
        Value::String(text) => {
            let Ok(Base64(mut bytes)) = Base64::from_text(text) else {
                return false;
            };
            // Shorter ones are names and kinds, which may happen to read as base64.
            if bytes.len() < 16 {
                return false;
            }
            let place = at % bytes.len();
            bytes[place] ^= 1 << (at % 8);
            *text = Base64(bytes).to_text();
            true
        }
        Value::Array(values) => change_all(values.iter_mut(), at),
        Value::Object(fields) => change_all(fields.values_mut(), at),
        _ => false,
    }
}

/// Every one of them, not only the first.
fn change_all<'a>(values: impl Iterator<Item = &'a mut Value>, at: usize) -> bool {
    values
        .filter_map(|value| change(value, at).then_some(()))
        .count()
        > 0
}
