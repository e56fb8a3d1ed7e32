//! What happened at doors.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{DoorId, EventId, KeyId, PersonId};
use crate::rules::Reason;

/// How somebody came to a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// A phone over a stream on the spot.
    Stream,
    /// A phone over the network, carried by the portal.
    Relay,
    /// A rotating code.
    Code,
}

/// One entry of the property's event list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// The door's own id for it; counts once.
    pub id: EventId,
    /// When, by the door's clock.
    pub at: DateTime<Utc>,
    /// When the portal heard of it.
    pub received_at: DateTime<Utc>,
    /// Whether the door's clock was unsure.
    pub clock_unsure: bool,
    /// Where.
    pub door: DoorId,
    /// Why not; missing when it opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<Reason>,
    /// How.
    pub means: Means,
    /// Whose key; missing for guests and strangers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// By which key; missing for strangers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
}
