//! Conversations between a phone at one instance and a door at another. What they say goes through the database as
//! notifications, in pieces: their bounds mean nothing to either end, and a piece that is lost ends the conversation,
//! as a broken line does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{DeviceId, DoorId, PropertyId};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::door_socket::RelayLine;
use crate::fault::Fault;
use crate::http::Shared;
use crate::model::line;
use crate::store::{Instance, Post};

/// Bytes of one piece: in Base64 and with what is said around them, a notification takes no more.
const PIECE: usize = 5_600;
/// Pieces that may wait for a slow end.
const WAITING: usize = 256;
/// The other instance has this long to reach its door.
const OPENING: Duration = Duration::from_secs(5);

/// What one instance says to another about a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Who says it.
    pub from: Instance,
    /// The conversation, by a number of the phone's instance.
    pub circuit: u64,
    /// What is said.
    #[serde(flatten)]
    pub word: Word,
}

/// What is said of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Word {
    /// A phone wants this door.
    Open {
        /// The door's property.
        property: PropertyId,
        /// Which.
        door: DoorId,
        /// The phone.
        device: DeviceId,
    },
    /// The door is there.
    Opened,
    /// The phone says something.
    ToDoor {
        /// What.
        bytes: Base64,
    },
    /// The door says something.
    ToPhone {
        /// What.
        bytes: Base64,
    },
    /// There is no such door, or it is done.
    DoorGone,
    /// The phone is gone.
    PhoneGone,
}

impl Said {
    /// Reads what another instance says.
    ///
    /// # Errors
    /// When it does not read.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// As it is said.
    ///
    /// # Errors
    /// Never in fact.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

enum Heard {
    Opened,
    Bytes(Vec<u8>),
}

type ToDoor = mpsc::Sender<Vec<u8>>;

/// All such conversations of this instance. Without its entry, a conversation ends by itself.
#[derive(Default)]
pub(crate) struct Remote {
    /// Phones here, with the instances of their doors.
    phones: Mutex<HashMap<u64, (Instance, mpsc::Sender<Heard>)>>,
    /// Doors here, with the instances of their phones.
    doors: Mutex<HashMap<(Instance, u64), ToDoor>>,
    circuits: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Remote {
    /// Another instance is gone, and all conversations with it.
    pub(crate) fn gone(&self, instance: Instance) {
        lock(&self.phones).retain(|_, (peer, _)| *peer != instance);
        lock(&self.doors).retain(|(peer, _), _| *peer != instance);
    }

    fn all_gone(&self) {
        lock(&self.phones).clear();
        lock(&self.doors).clear();
    }

    /// An end that does not keep up is dropped.
    fn to_phone(&self, from: Instance, circuit: u64, heard: Heard) {
        let mut phones = lock(&self.phones);
        if let Some((peer, phone)) = phones.get(&circuit)
            && *peer == from
            && phone.try_send(heard).is_err()
        {
            phones.remove(&circuit);
        }
    }

    fn to_door(&self, from: Instance, circuit: u64, bytes: Vec<u8>) {
        let mut doors = lock(&self.doors);
        if let Some(door) = doors.get(&(from, circuit))
            && door.try_send(bytes).is_err()
        {
            doors.remove(&(from, circuit));
        }
    }

    fn door_gone(&self, from: Instance, circuit: u64) {
        let mut phones = lock(&self.phones);
        if phones.get(&circuit).is_some_and(|(peer, _)| *peer == from) {
            phones.remove(&circuit);
        }
    }
}

/// Hears what other instances say, until the portal goes down.
pub(crate) async fn run(app: Shared) {
    let mut posts = app.store.posts();
    loop {
        let post = tokio::select! {
            post = posts.recv() => post,
            () = app.closed() => return,
        };
        match post {
            Ok(Post::Text(text)) => match Said::read(&text) {
                Ok(said) => hear(&app, said),
                Err(error) => tracing::warn!(%error, "what another instance says does not read"),
            },
            Ok(Post::Broken) | Err(RecvError::Lagged(_)) => app.remote.all_gone(),
            Err(RecvError::Closed) => return,
        }
    }
}

fn hear(app: &Shared, said: Said) {
    let Said {
        from,
        circuit,
        word,
    } = said;
    match word {
        Word::Open {
            property,
            door,
            device,
        } => {
            let app = app.clone();
            tokio::spawn(async move {
                serve(&app, from, circuit, property, door, device).await;
                say(&app, from, circuit, Word::DoorGone).await;
            });
        }
        Word::Opened => app.remote.to_phone(from, circuit, Heard::Opened),
        Word::ToPhone { bytes } => app.remote.to_phone(from, circuit, Heard::Bytes(bytes.0)),
        Word::ToDoor { bytes } => app.remote.to_door(from, circuit, bytes.0),
        Word::DoorGone => app.remote.door_gone(from, circuit),
        Word::PhoneGone => {
            lock(&app.remote.doors).remove(&(from, circuit));
        }
    }
}

/// Carries between a door here and a phone elsewhere.
async fn serve(
    app: &Shared,
    from: Instance,
    circuit: u64,
    property: PropertyId,
    door: DoorId,
    device: DeviceId,
) {
    let Some(mut line) = app.doors.relay(property, door, device).await else {
        return;
    };
    let (to_door, mut from_phone) = mpsc::channel(WAITING);
    lock(&app.remote.doors).insert((from, circuit), to_door);
    let mut goes_on = say(app, from, circuit, Word::Opened).await;
    while goes_on {
        goes_on = tokio::select! {
            bytes = from_phone.recv() => match bytes {
                Some(bytes) => line.send(bytes).await,
                None => false,
            },
            bytes = line.from_door.recv() => match bytes {
                Some(bytes) => {
                    let piece = |bytes| Word::ToPhone { bytes };
                    say_all(app, from, circuit, &bytes, piece).await
                }
                None => false,
            },
            () = app.closed() => false,
        };
    }
    lock(&app.remote.doors).remove(&(from, circuit));
}

async fn say(app: &Shared, to: Instance, circuit: u64, word: Word) -> bool {
    let from = app.store.instance();
    let said = Said {
        from,
        circuit,
        word,
    };
    match said.to_text() {
        Ok(text) => app.store.post(to, text).await,
        Err(_) => false,
    }
}

async fn say_all(
    app: &Shared,
    to: Instance,
    circuit: u64,
    bytes: &[u8],
    word: impl Fn(Base64) -> Word,
) -> bool {
    for piece in bytes.chunks(PIECE) {
        if !say(app, to, circuit, word(piece.into())).await {
            return false;
        }
    }
    true
}

/// A phone's end of a conversation with a door, wherever that is.
pub(crate) enum PhoneLine {
    Here(RelayLine),
    There(There),
}

/// The door is at another instance. Dropping it tells that the phone is gone.
pub(crate) struct There {
    app: Shared,
    peer: Instance,
    circuit: u64,
    heard: mpsc::Receiver<Heard>,
}

impl PhoneLine {
    /// Opens one; none when the door is connected nowhere.
    pub(crate) async fn open(
        app: &Shared,
        property: PropertyId,
        door: DoorId,
        device: DeviceId,
    ) -> Result<Option<Self>, Fault> {
        if let Some(line) = app.doors.relay(property, door, device).await {
            return Ok(Some(Self::Here(line)));
        }
        if !app.store.is_shared() {
            return Ok(None);
        }
        let (_, holder) = app
            .store
            .read(move |tx| Ok::<_, Fault>(line::of(tx, property, door)?))
            .await?;
        let Some(holder) = holder.filter(|holder| *holder != app.store.instance()) else {
            return Ok(None);
        };
        let word = Word::Open {
            property,
            door,
            device,
        };
        let there = There::open(app, holder, word).await;
        Ok(there.map(Self::There))
    }

    /// Bytes for the door; false when it is gone.
    pub(crate) async fn send(&self, bytes: Vec<u8>) -> bool {
        match self {
            Self::Here(line) => line.send(bytes).await,
            Self::There(there) => {
                let piece = |bytes| Word::ToDoor { bytes };
                say_all(&there.app, there.peer, there.circuit, &bytes, piece).await
            }
        }
    }

    /// Bytes from the door; none when it is done or gone.
    pub(crate) async fn recv(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Here(line) => line.from_door.recv().await,
            Self::There(there) => loop {
                if let Heard::Bytes(bytes) = there.heard.recv().await? {
                    return Some(bytes);
                }
            },
        }
    }
}

impl There {
    async fn open(app: &Shared, peer: Instance, word: Word) -> Option<Self> {
        let circuit = app.remote.circuits.fetch_add(1, Ordering::Relaxed);
        let (to_phone, heard) = mpsc::channel(WAITING);
        lock(&app.remote.phones).insert(circuit, (peer, to_phone));
        // From here on, its end tells the other instance.
        let mut there = Self {
            app: app.clone(),
            peer,
            circuit,
            heard,
        };
        let opened = latchkey_env::timeout(&*app.tools.clock, OPENING, async {
            say(app, peer, circuit, word).await
                && matches!(there.heard.recv().await, Some(Heard::Opened))
        });
        (opened.await == Ok(true)).then_some(there)
    }
}

impl Drop for There {
    fn drop(&mut self) {
        lock(&self.app.remote.phones).remove(&self.circuit);
        let (app, peer, circuit) = (self.app.clone(), self.peer, self.circuit);
        // Without a runtime the process is on its way out, and the other instance will notice.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { say(&app, peer, circuit, Word::PhoneGone).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_piece_fits_into_a_notification() {
        let said = Said {
            from: Instance([0xff; 8]),
            circuit: u64::MAX,
            word: Word::ToPhone {
                bytes: vec![0xff; PIECE].into(),
            },
        };
        let text = said.to_text().unwrap();
        assert!(text.len() <= crate::store::LONGEST_POST, "{}", text.len());
        assert_eq!(Said::read(&text).unwrap(), said);
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_read_or_refused(text in ".*") {
            let _ = Said::read(&text);
        }
    }
}
