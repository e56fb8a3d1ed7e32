//! What a guest's browser says to the portal. The token travels in bodies, never in an address.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::bytes::Base64;
use crate::ids::{DoorId, DoorNumber, LinkId, PassId, PropertyId};
use crate::rules::{AccessRules, Holidays, Offsets, Reason, Status};

/// `POST /v1/links/preview`: what the link is for. Binds nothing, so mail scanners may call it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PreviewLink {
    /// The fragment of the address.
    pub token: String,
}

/// What a link is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinkPreview {
    /// The link, named in the signature at binding; not secret.
    pub link: LinkId,
    /// The property, whose id the code key signs.
    pub property: PropertyId,
    /// Its name.
    pub property_name: String,
    /// The key's name: what the recipient is called.
    pub key_name: String,
    /// The names of its doors.
    pub doors: Vec<String>,
    /// Whether a browser has bound it already.
    pub bound: bool,
    /// 32 bytes for the signature at binding, good once.
    pub nonce: Base64,
}

/// `POST /v1/links/bind`, on a tap: makes the pass of this browser, and sets the guest's HttpOnly cookie.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BindLink {
    /// The fragment of the address.
    pub token: String,
    /// The browser's code key: P-256, 65 bytes uncompressed.
    pub public_key: Base64,
    /// From the preview.
    pub nonce: Base64,
    /// ES256 (r‖s) by the key itself, see `proof::CredentialProof`.
    pub signature: Base64,
}

/// `GET /v1/guest/pass` (cookie) and the answer to a binding: all that the page needs to work offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuestPass {
    /// The pass.
    pub pass: PassId,
    /// The property, whose id every code's signature covers.
    pub property: PropertyId,
    /// Its name.
    pub property_name: String,
    /// The key's name.
    pub key_name: String,
    /// The doors.
    pub doors: Vec<GuestDoor>,
    /// The rules, for display.
    pub rules: AccessRules,
    /// The zone in which the rules stand.
    pub offsets: Offsets,
    /// The property's holidays.
    pub holidays: Holidays,
    /// Status by the property's clock.
    pub status: Status,
    /// What the decision says now and when that changes, so that the page holds no rules. The page also
    /// gets the next changes ahead, for the time when it is offline.
    pub timeline: Vec<GuestMoment>,
    /// Pass payload ‖ issuer signature: what turns a short code into a long one.
    pub statement: Base64,
    /// When the statement ends; the page fetches a new one well before.
    pub statement_until: DateTime<Utc>,
    /// The portal's time at the answer, to correct the page's clock.
    pub server_time: DateTime<Utc>,
    /// The last code that a door accepted, if any: its issue time, centiseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<u64>,
}

/// A door on a guest's page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuestDoor {
    /// The id.
    pub id: DoorId,
    /// Its number.
    pub number: DoorNumber,
    /// Its name.
    pub name: String,
    /// Whether the door has proved, by its signed state, that it knows this pass: then a short code does.
    pub knows_pass: bool,
    /// Whether it is connected now.
    pub connected: bool,
}

/// From an instant on, the answer is this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuestMoment {
    /// From when.
    pub from: DateTime<Utc>,
    /// Why not; missing when it admits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<Reason>,
}
