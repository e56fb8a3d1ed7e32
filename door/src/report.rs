//! What a running controller tells whoever watches it.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::events::Means;
use latchkey_protocol::doorlink::Subject;
use latchkey_protocol::ids::{DoorId, EventId};
use latchkey_protocol::rules::Reason;
use serde::Serialize;

/// Something happened. As JSON, one line on the controller's standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Report {
    /// The stream carrier accepts connections.
    Listening {
        /// Which door.
        door: DoorId,
        /// Where.
        addr: std::net::SocketAddr,
    },
    /// The lock was released.
    Opened(Happening),
    /// Somebody was not let in.
    Denied(Happening),
    /// Somebody was not let in because the controller itself failed. No use was spent.
    OutOfOrder {
        /// Which door.
        door: DoorId,
        /// How they came.
        means: Means,
        /// What is wrong.
        why: Trouble,
    },
    /// The line to the portal came up or went down.
    Portal {
        /// Which door.
        door: DoorId,
        /// Whether it is up.
        connected: bool,
    },
}

/// Why a controller does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Its disk has no room.
    DiskFull,
    /// It cannot store, or reads nonsense.
    Store,
    /// Something else; the log says what.
    Other,
}

/// One attempt at a door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Happening {
    /// Which door.
    pub door: DoorId,
    /// The entry in the door's log.
    pub event: EventId,
    /// How somebody came.
    pub means: Means,
    /// Who, as far as the door knows.
    pub subject: Subject,
    /// Why not; missing when it opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When the calendar changes the answer, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes_at: Option<DateTime<Utc>>,
    /// When, by the door's clock.
    pub at: DateTime<Utc>,
}
