//! Doors and their controllers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::bytes::Base64;
use crate::ids::{DoorId, DoorNumber, Generation, PropertyId};

/// What kind of entry point a door is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DoorKind {
    /// A home or a room.
    Unit,
    /// A vehicle or pedestrian gate.
    Gate,
    /// A garage.
    Garage,
    /// Shared: pool, gym, laundry, entrance.
    CommonArea,
}

/// How a door is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DoorReach {
    /// Its controller has a network of its own.
    Online,
    /// Through a hub or gateway.
    Hub,
    /// Never: phones carry its updates.
    Offline,
}

/// A door as phones and staff see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Door {
    /// The id.
    pub id: DoorId,
    /// Its short number in the property.
    pub number: DoorNumber,
    /// Its name, as people say it.
    pub name: String,
    /// What it is.
    pub kind: DoorKind,
    /// How it is reached.
    pub reach: DoorReach,
    /// Where it stands: building or part of the grounds; empty when not told.
    #[serde(default)]
    pub place: String,
    /// The present controller's generation; none before commissioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// Where the stream carrier listens, `host:port`; none when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_address: Option<String>,
    /// Whether the controller is connected to the portal at this moment; changes come by sync.
    pub connected: bool,
    /// When the portal last had news of it: connected, or by a phone that was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_contact: Option<DateTime<Utc>>,
}

/// `POST /v1/properties/{property}/doors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewDoor {
    /// Its name, unique in the property.
    pub name: String,
    /// What it is.
    pub kind: DoorKind,
    /// How it is reached.
    pub reach: DoorReach,
    /// Where it stands.
    #[serde(default)]
    pub place: String,
    /// Where its stream carrier will listen, `host:port`.
    #[serde(default)]
    pub stream_address: Option<String>,
}

/// `POST /v1/commissioning`: a controller with a network lays its offer before the portal; no sign-in.
/// The offer proves itself by the reader key's signature, and waits an hour for an installer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ControllerOffer {
    /// The signed offer, see `commissioning`.
    pub offer: Base64,
}

/// `POST /v1/properties/{property}/doors/{door}/controllers`: the installer's app, which has scanned the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InstallController {
    /// The code that the controller shows: a hash over its public keys.
    pub code: String,
    /// The signed offer, when the app had it from the controller itself (a door without a network);
    /// else the portal takes the waiting one.
    #[serde(default)]
    pub offer: Option<Base64>,
    /// Where the controller's stream carrier listens, `host:port`, when it has one.
    #[serde(default)]
    pub stream_address: Option<String>,
}

/// The answer: what the controller needs in order to work. `GET /v1/commissioning/{code}` gives a controller
/// with a network the same (404 until an installer has installed it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstalledController {
    /// The property.
    pub property: PropertyId,
    /// The door.
    pub door: DoorId,
    /// The generation that was given.
    pub generation: Generation,
    /// `commissioning::Package` as JSON, for the controller to check and keep.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub package: serde_json::Value,
}

/// `POST /v1/properties/{property}/door-states`: a phone hands over a door's signed state, unopened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CarriedDoorState {
    /// The signed state, see `doorstate`.
    pub state: Base64,
}

/// `POST /v1/properties/{property}/revocation-lists`: a phone hands over the list that it held before the portal began a
/// new epoch. The portal was restored from a backup, and may have forgotten it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CarriedList {
    /// The Revocation Document.
    pub document: Base64,
}

/// `POST /v1/properties/{property}/door-logs`: a phone hands over a part of a door's log, which it cannot open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CarriedLog {
    /// The sealed parcel, see `doorlog`.
    pub parcel: Base64,
}

/// The answer: what the portal keeps of that log without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogKept {
    /// Whose log.
    pub door: DoorId,
    /// Up to which entry.
    pub up_to: u64,
}

/// `POST /v1/properties/{property}/doors/{door}/time`: a phone that stands at a door asks for the time in its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AskTime {
    /// The door's question: 16 bytes.
    pub nonce: Base64,
}

/// The answer, signed by the issuer for that door and question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DoorTime {
    /// See `clock::SignedTimeAnswer`.
    pub answer: Base64,
}
