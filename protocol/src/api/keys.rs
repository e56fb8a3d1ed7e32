//! Keys: what staff issue, edit and withdraw.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{DoorId, Generation, KeyId, PersonId};
use crate::rules::{AccessRules, Status};

/// How a key is presented at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// By the phone of each of its persons (kind `virtual`: phone straight to the lock), and by
    /// rotating codes from the same phone.
    Mobile,
    /// By rotating codes of whoever opens its link: an individual QR key. Its name is what the recipient sees.
    Qr,
}

/// Which doors a key opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeyDoors {
    /// All, those added later included.
    All,
    /// These.
    Some(Vec<DoorId>),
}

/// `POST …/keys`, `POST …/keys/{parent}/guest-keys` and, whole, `PUT …/keys/{key}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyDraft {
    /// The name.
    pub name: String,
    /// How it is presented. Cannot be edited later.
    pub kind: KeyKind,
    /// Its holders: at least one for a mobile key. A QR key has none: whoever binds its link holds it.
    #[serde(default)]
    pub persons: Vec<PersonId>,
    /// Its doors: at least one.
    pub doors: KeyDoors,
    /// Its rules.
    #[serde(default)]
    pub rules: AccessRules,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Key {
    /// The id.
    pub id: KeyId,
    /// The name.
    pub name: String,
    /// How it is presented.
    pub kind: KeyKind,
    /// Its holders, for staff; a holder sees itself alone.
    pub persons: Vec<PersonId>,
    /// Its doors.
    pub doors: KeyDoors,
    /// Its rules.
    pub rules: AccessRules,
    /// Its state at the moment of the answer, by the property's clock. Phones compute it anew from the rules.
    pub status: Status,
    /// Of a key with a number of uses: what has become of them, by what doors have signed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<KeyUses>,
    /// Who made it.
    pub created_by: PersonId,
    /// Of a guest key: the key of whoever made it that it was granted from. It ends with that one, or with that
    /// person's hold on it, and opens nothing that it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<KeyId>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// For a QR key: what became of its link; missing before it was shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkState>,
    /// After it was withdrawn: what that has reached, door by door. For staff, and for whoever granted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Withdrawal>,
}

/// The uses of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyUses {
    /// How many it has.
    pub max: u32,
    /// How many write-offs have added.
    pub raised: u32,
    /// How many are spent, over all doors.
    pub spent: u32,
    /// How many are not, wherever they are held.
    pub left: u32,
    /// After the number was lowered below what doors hold: how many more than the number may be spent.
    pub excess: u32,
    /// The portal was restored, and some door could hold uses that it does not know of: no door is given more until
    /// each has reported or was written off.
    pub awaiting: bool,
    /// What each controller holds. For staff.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doors: Vec<UsesAtDoor>,
}

/// What one controller holds of a key's uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsesAtDoor {
    /// The door.
    pub door: DoorId,
    /// Which of its controllers.
    pub generation: Generation,
    /// All uses ever spent there may come to this.
    pub ceiling: u32,
    /// All that it has signed for.
    pub spent: u32,
    /// How much of the rest staff have written off.
    pub written_off: u32,
    /// The portal was restored, and this controller has not reported since.
    pub awaited: bool,
}

/// `POST …/keys/{key}/write-offs`: this controller is lost or wiped, and what it still holds of the key is given up.
/// The budget is raised by as much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WriteOff {
    /// The door.
    pub door: DoorId,
    /// Which of its controllers.
    pub generation: Generation,
}

/// What became of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinkState {
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// When a browser or phone bound it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_at: Option<DateTime<Utc>>,
}

/// Proof of withdrawal, from signed door states alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Withdrawal {
    /// When it was withdrawn.
    pub withdrawn_at: DateTime<Utc>,
    /// Each door that the key opened.
    pub doors: Vec<WithdrawalAtDoor>,
}

/// One door's part in a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WithdrawalAtDoor {
    /// The door.
    pub door: DoorId,
    /// When the portal learned, by the door's signature, that the door refuses it; missing until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_at: Option<DateTime<Utc>>,
    /// The last contact with the door, by network or by a phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_contact: Option<DateTime<Utc>>,
}

/// `POST …/keys/{key}/link`: a new link. The one before, its passes and its codes end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SharedLink {
    /// The address to hand over; its fragment is the secret. Shown once: the portal keeps a hash.
    pub url: String,
}
