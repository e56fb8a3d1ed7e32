//! What an app shows, as it stood when it was asked for.

use std::time::SystemTime;

use latchkey_core::views as inner;
use latchkey_protocol::api::doors as doors_api;
use latchkey_protocol::api::keys as keys_api;
use latchkey_protocol::{roles, rules};

use crate::error::{InvalidInput, LatchkeyError};
use crate::mirror::mirror;
use crate::reason::DenialReason;

/// A door of a property.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct DoorRef {
    /// The property's id.
    pub property: String,
    /// The door's id.
    pub door: String,
}

/// A key of a property.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct KeyRef {
    /// The property's id.
    pub property: String,
    /// The key's id.
    pub key: String,
}

/// A property that this person belongs to.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Property {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The portal that speaks for it.
    pub portal_url: String,
    /// This person's name there.
    pub person_name: String,
    /// This person's role there.
    pub role: Role,
    /// Its IANA time zone; null before the first sync.
    pub zone: Option<String>,
    /// What its clock is ahead of UTC now; null before the first sync.
    pub utc_offset_seconds: Option<i32>,
}

/// A key that this person holds.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Key {
    /// Names it.
    pub at: KeyRef,
    /// The property's name.
    pub property_name: String,
    /// Its name.
    pub name: String,
    /// How it is presented.
    pub kind: KeyKind,
    /// Where it stands by the property's clock.
    pub status: KeyStatus,
    /// Of a key with a number of uses: how many are left over all doors, as far as the portal had heard at the last sync.
    pub uses_left: Option<u32>,
    /// The doors that it opens, and whether it does so now.
    pub doors: Vec<KeyAtDoor>,
    /// Whether this phone can show rotating codes for it.
    pub shows_codes: bool,
}

/// A key at a door.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct KeyAtDoor {
    /// The door.
    pub at: DoorRef,
    /// Its name.
    pub name: String,
    /// Where it stands; empty when not told.
    pub place: String,
    /// Whether the key opens it now. The door has the last word.
    pub usable: Decision,
}

/// A door that this person may see.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Door {
    /// Names it.
    pub at: DoorRef,
    /// The property's name.
    pub property_name: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: DoorKind,
    /// How it is reached.
    pub reach: DoorReach,
    /// Where it stands; empty when not told.
    pub place: String,
    /// Whether its controller was connected to the portal, at the last sync.
    pub connected: bool,
    /// When the portal last had news of it.
    pub last_contact: Option<SystemTime>,
    /// Whether one of this person's keys opens it now; null when there is no such key.
    pub usable: Option<Decision>,
}

/// What was decided for this moment.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Decision {
    /// It opens.
    Allowed {
        /// When that ends by the calendar, if within a year.
        until: Option<SystemTime>,
    },
    /// It does not.
    Denied {
        /// Why.
        reason: DenialReason,
        /// When the calendar next says yes, where it is a matter of the calendar.
        next: Option<SystemTime>,
    },
}

mirror! {
    rules::Status =>
    /// Where a key stands.
    KeyStatus {
        /// Its range has not begun.
        Upcoming,
        /// Its range runs, whatever hours it keeps.
        Active,
        /// Its range is over.
        Expired,
        /// Withdrawn.
        Revoked,
        /// All its uses are spent.
        UsedUp,
        /// Suspended for now.
        Suspended,
    }
}

mirror! {
    keys_api::KeyKind =>
    /// How a key is presented.
    KeyKind {
        /// By this phone, and by rotating codes from it.
        Mobile,
        /// By rotating codes of whoever opens its link.
        Qr,
    }
}

mirror! {
    doors_api::DoorKind =>
    /// What a door is.
    DoorKind {
        /// A home or a room.
        Unit,
        /// A vehicle or pedestrian gate.
        Gate,
        /// A garage.
        Garage,
        /// Shared: pool, gym, laundry, entrance.
        CommonArea,
    }
}

mirror! {
    doors_api::DoorReach =>
    /// How a door is reached.
    DoorReach {
        /// Its controller has a network of its own.
        Online,
        /// Through a hub or gateway.
        Hub,
        /// Never: phones carry its updates.
        Offline,
    }
}

mirror! {
    roles::Role =>
    /// What a person is at a property.
    Role {
        /// Owns the property.
        Owner,
        /// Property manager, general manager.
        Manager,
        /// Team.
        Staff,
        /// Looks, repairs, changes nothing here.
        Maintenance,
        /// Opens doors with own keys, nothing else.
        Housekeeping,
        /// Puts doors and controllers into service.
        Installer,
        /// Comes from outside to work.
        Vendor,
        /// Lives here.
        Resident,
        /// Visits.
        Guest,
    }
}

impl TryFrom<DoorRef> for inner::DoorRef {
    type Error = LatchkeyError;

    fn try_from(door: DoorRef) -> Result<Self, LatchkeyError> {
        Ok(Self {
            property: id(&door.property, InvalidInput::Property)?,
            door: id(&door.door, InvalidInput::Door)?,
        })
    }
}

impl TryFrom<KeyRef> for inner::KeyRef {
    type Error = LatchkeyError;

    fn try_from(key: KeyRef) -> Result<Self, LatchkeyError> {
        Ok(Self {
            property: id(&key.property, InvalidInput::Property)?,
            key: id(&key.key, InvalidInput::Key)?,
        })
    }
}

fn id<T: std::str::FromStr>(text: &str, what: InvalidInput) -> Result<T, LatchkeyError> {
    text.parse().map_err(|_| LatchkeyError::Invalid { what })
}

impl From<inner::DoorRef> for DoorRef {
    fn from(door: inner::DoorRef) -> Self {
        Self {
            property: door.property.to_string(),
            door: door.door.to_string(),
        }
    }
}

impl From<inner::KeyRef> for KeyRef {
    fn from(key: inner::KeyRef) -> Self {
        Self {
            property: key.property.to_string(),
            key: key.key.to_string(),
        }
    }
}

impl From<inner::PropertyView> for Property {
    fn from(view: inner::PropertyView) -> Self {
        Self {
            id: view.id.to_string(),
            name: view.name,
            portal_url: view.portal_url,
            person_name: view.person_name,
            role: view.role.into(),
            zone: view.zone,
            utc_offset_seconds: view.utc_offset,
        }
    }
}

impl From<inner::KeyView> for Key {
    fn from(view: inner::KeyView) -> Self {
        Self {
            at: view.at.into(),
            property_name: view.property_name,
            name: view.name,
            kind: view.kind.into(),
            status: view.status.into(),
            uses_left: view.uses_left,
            doors: view.doors.into_iter().map(KeyAtDoor::from).collect(),
            shows_codes: view.shows_codes,
        }
    }
}

impl From<inner::DoorUse> for KeyAtDoor {
    fn from(view: inner::DoorUse) -> Self {
        Self {
            at: view.at.into(),
            name: view.name,
            place: view.place,
            usable: view.usable.into(),
        }
    }
}

impl From<inner::DoorView> for Door {
    fn from(view: inner::DoorView) -> Self {
        Self {
            at: view.at.into(),
            property_name: view.property_name,
            name: view.name,
            kind: view.kind.into(),
            reach: view.reach.into(),
            place: view.place,
            connected: view.connected,
            last_contact: view.last_contact.map(SystemTime::from),
            usable: view.usable.map(Decision::from),
        }
    }
}

impl From<rules::Decision> for Decision {
    fn from(decision: rules::Decision) -> Self {
        match decision {
            rules::Decision::Allowed { until } => Self::Allowed {
                until: until.map(SystemTime::from),
            },
            rules::Decision::Denied { reason, next } => Self::Denied {
                reason: reason.into(),
                next: next.map(SystemTime::from),
            },
        }
    }
}
