//! Phones that the portal connects: each conversation is a stream like any other.

use std::collections::HashMap;
use std::sync::Arc;

use latchkey_protocol::bytes::Base64;
use latchkey_protocol::doorlink::FromDoor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;

use crate::door::Door;
use crate::unlock::{Carrier, Carriers};

/// Most conversations over one line at a time.
const MOST: usize = 8;

/// Messages from a phone that wait for the door's session; a phone that sends more is cut off.
const WAITING: usize = 32;

/// Bytes on their way between the line and a session.
const BUFFER: usize = 16 * 1024;

/// The open conversations of one line.
pub(super) struct Relay {
    door: Arc<Door>,
    carriers: Arc<Carriers>,
    outgoing: mpsc::Sender<FromDoor>,
    channels: HashMap<u64, mpsc::Sender<Vec<u8>>>,
}

impl Relay {
    pub(super) fn new(
        door: Arc<Door>,
        carriers: Arc<Carriers>,
        outgoing: mpsc::Sender<FromDoor>,
    ) -> Self {
        Self {
            door,
            carriers,
            outgoing,
            channels: HashMap::new(),
        }
    }

    /// A phone wants to speak. What is to be answered, if anything.
    #[must_use]
    pub(super) fn open(&mut self, channel: u64) -> Option<FromDoor> {
        self.channels.retain(|_, phone| !phone.is_closed());
        if self.channels.len() >= MOST || self.channels.contains_key(&channel) {
            return Some(FromDoor::RelayClose { channel });
        }
        let (to_session, from_phone) = mpsc::channel(WAITING);
        self.channels.insert(channel, to_session);
        let (near, far) = tokio::io::duplex(BUFFER);
        let (door, carriers) = (self.door.clone(), self.carriers.clone());
        tokio::spawn(async move { carriers.serve(&door, far, Carrier::Relay).await });
        tokio::spawn(pump(channel, near, from_phone, self.outgoing.clone()));
        None
    }

    /// Bytes from a phone.
    #[must_use]
    pub(super) fn data(&mut self, channel: u64, bytes: Vec<u8>) -> Option<FromDoor> {
        let phone = self.channels.get(&channel)?;
        if phone.try_send(bytes).is_ok() {
            return None;
        }
        self.channels.remove(&channel);
        Some(FromDoor::RelayClose { channel })
    }

    /// The phone is gone.
    pub(super) fn close(&mut self, channel: u64) {
        self.channels.remove(&channel);
    }
}

/// Carries bytes both ways until either side is gone.
async fn pump(
    channel: u64,
    mut session: DuplexStream,
    mut from_phone: mpsc::Receiver<Vec<u8>>,
    outgoing: mpsc::Sender<FromDoor>,
) {
    let mut buffer = vec![0; BUFFER];
    loop {
        tokio::select! {
            bytes = from_phone.recv() => match bytes {
                Some(bytes) if session.write_all(&bytes).await.is_ok() => {}
                _ => break,
            },
            read = session.read(&mut buffer) => match read {
                Ok(count) if count > 0 => {
                    let bytes = Base64(buffer[..count].to_vec());
                    if outgoing.send(FromDoor::RelayData { channel, bytes }).await.is_err() {
                        break;
                    }
                }
                _ => break,
            },
        }
    }
    // The line may be down: then nobody is left to be told.
    let _ = outgoing.send(FromDoor::RelayClose { channel }).await;
}
