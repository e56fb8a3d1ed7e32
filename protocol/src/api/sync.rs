//! `GET /v1/properties/{property}/sync?cursor=…&wait=…`: what changed for this person since the cursor.
//!
//! Cost grows with what changed. Who loses sight of something gets a tombstone: a change without a value.
//! `wait` (seconds, at most 25) holds the answer back until something has changed: the long poll.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::api::doors::Door;
use crate::api::events::Event;
use crate::api::keys::Key;
use crate::api::people::Person;
use crate::api::property::Property;
use crate::bytes::Base64;
use crate::ids::{DoorId, Generation, KeyId, PassId};

/// One answer of the sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SyncPage {
    /// What changed, each thing once, in its latest form.
    pub changes: Vec<Change>,
    /// Where to go on. Opaque; carries the epoch.
    pub cursor: String,
    /// Whether there is more right now.
    pub more: bool,
    /// The portal's time at the answer.
    pub server_time: DateTime<Utc>,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// What kind of thing it is.
    pub kind: EntityKind,
    /// Which one, as text; unique within its kind.
    pub id: String,
    /// Its latest form; missing when this person has lost sight of it, or it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Entity>,
}

/// Kinds of things that sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// The property's settings.
    Property,
    /// A door.
    Door,
    /// A key.
    Key,
    /// A grant document of this device.
    Grant,
    /// A pass of this device.
    Pass,
    /// The newest revocation list, for every phone to carry.
    Revocation,
    /// A statement for all doors, for every phone to carry.
    Statement,
    /// A person, for staff.
    Person,
    /// An event: staff see all, holders their own.
    Event,
    /// A bundle that a door without a network has not shown yet, for those who carry lock sync.
    Bundle,
    /// A receipt for the log of a door without a network, for those who carry lock sync.
    LogReceipt,
}

/// The latest form of a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    /// The property's settings.
    Property(Box<Property>),
    /// A door.
    Door(Box<Door>),
    /// A key.
    Key(Box<Key>),
    /// A grant document of this device.
    Grant(GrantEntity),
    /// A pass of this device.
    Pass(PassEntity),
    /// The newest revocation list.
    Revocation(RevocationEntity),
    /// A statement for all doors.
    Statement(StatementEntity),
    /// A person.
    Person(Box<Person>),
    /// An event.
    Event(Box<Event>),
    /// A bundle for a door.
    Bundle(BundleEntity),
    /// A receipt for a door's log.
    LogReceipt(LogReceiptEntity),
}

/// One Access Document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrantEntity {
    /// The credential that it is bound to.
    pub credential: crate::ids::CredentialId,
    /// Which of the credential's documents this is, from 0. Document 0 serves a door that none names.
    pub index: u16,
    /// The doors that this document names; `all` elements stand in every document.
    pub doors: Vec<DoorId>,
    /// The keys that it carries.
    pub keys: Vec<KeyId>,
    /// The document, CBOR.
    pub document: Base64,
    /// When it ends.
    pub valid_until: DateTime<Utc>,
}

/// One pass of a phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PassEntity {
    /// The pass.
    pub pass: PassId,
    /// The key that it belongs to.
    pub key: KeyId,
    /// The registered code key that it names.
    pub credential: crate::ids::CredentialId,
    /// Pass payload ‖ issuer signature.
    pub statement: Base64,
    /// When the statement ends.
    pub until: DateTime<Utc>,
    /// Doors that have proved that they know it: there a short code does.
    pub known_at: Vec<DoorId>,
    /// The last accepted code's issue time, centiseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<u64>,
}

/// The newest revocation list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevocationEntity {
    /// The signer's epoch.
    pub epoch: u32,
    /// Its number within the epoch.
    pub version: u64,
    /// The Revocation Document, CBOR.
    pub document: Base64,
}

/// A statement for all doors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatementEntity {
    /// The signer's epoch.
    pub epoch: u32,
    /// Its number in the series for all doors.
    pub number: u64,
    /// The signed statement.
    pub statement: Base64,
}

/// A bundle on its way to a door: see [`crate::bundle`]. It is gone once the door has shown it by its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleEntity {
    /// For which door.
    pub door: DoorId,
    /// For which controller of it.
    pub generation: Generation,
    /// The signer's epoch.
    pub epoch: u32,
    /// Its number within the epoch.
    pub number: u64,
    /// The last statement for all doors that it stands for: who carries it need not carry those.
    pub all: u64,
    /// Its signed header.
    pub header: Base64,
    /// Its sealed body.
    pub body: Base64,
    /// When it was made.
    pub made_at: DateTime<Utc>,
}

/// A receipt on its way to a door: see [`crate::doorlog`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogReceiptEntity {
    /// For which door.
    pub door: DoorId,
    /// For which controller of it.
    pub generation: Generation,
    /// The portal keeps all entries up to this one.
    pub up_to: u64,
    /// The signed receipt.
    pub receipt: Base64,
}
