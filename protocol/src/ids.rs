//! Identifiers. All are random but for [`DoorNumber`] and [`Generation`], and are written in lowercase hex.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not an identifier of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: {hex_digits} lowercase hex digits are wanted")]
pub struct BadId {
    /// How many digits an identifier of this kind has.
    pub hex_digits: usize,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes when there are exactly as many as there must be.
            ///
            /// # Errors
            /// [`BadId`] for any other length.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, BadId> {
                bytes.try_into().map(Self).map_err(|_| BadId { hex_digits: 2 * $len })
            }

            /// The bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let bad = BadId { hex_digits: 2 * $len };
                if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(bad);
                }
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| bad)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some(format!("^[0-9a-f]{{{}}}$", 2 * $len)))
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}

identifier! {
    /// A property. Its bytes are Aliro's reader group identifier.
    PropertyId, 16
}
identifier! {
    /// A door. With its controller's [`Generation`] it makes Aliro's reader group sub-identifier.
    DoorId, 12
}
identifier! {
    /// A person at one property. The audit chain holds this id, never a name.
    PersonId, 16
}
identifier! {
    /// A key: persons × doors × access rules.
    KeyId, 16
}
identifier! {
    /// A registered access credential or code key of one phone at one property.
    CredentialId, 16
}
identifier! {
    /// A holder's right to show rotating codes.
    PassId, 8
}
identifier! {
    /// One element of a grant. Revocation names it, so that one key or one holder can be cut off alone.
    ElementId, 8
}
identifier! {
    /// The count of a key's uses, over all its doors, holders and edits. Grants and passes of a counted key carry it.
    BudgetId, 8
}
identifier! {
    /// One gesture of a person at a door; carriers that race, and retries, share it.
    AttemptId, 16
}
identifier! {
    /// One entry of a door's event log. Reports carry it and count once.
    EventId, 16
}
identifier! {
    /// An account at a portal.
    AccountId, 16
}
identifier! {
    /// A signed-in device of an account.
    DeviceId, 16
}
identifier! {
    /// A guest link.
    LinkId, 16
}

/// A door's short number within its property: from 1, never given twice. Element names and pass
/// statements use it, since a code has room for few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct DoorNumber(pub u16);

/// Which controller stands at a door: 1 for the first, one more for each replacement, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Generation(pub u32);

/// Aliro's reader group sub-identifier: the door's id, then its controller's generation (big-endian).
#[must_use]
pub fn sub_identifier(door: DoorId, generation: Generation) -> [u8; 16] {
    let mut out = [0; 16];
    out[..DoorId::LEN].copy_from_slice(door.as_bytes());
    out[DoorId::LEN..].copy_from_slice(&generation.0.to_be_bytes());
    out
}

/// The door and generation that a sub-identifier names.
#[must_use]
pub fn door_of(sub_identifier: &[u8; 16]) -> (DoorId, Generation) {
    let mut door = [0; DoorId::LEN];
    door.copy_from_slice(&sub_identifier[..DoorId::LEN]);
    let mut generation = [0; 4];
    generation.copy_from_slice(&sub_identifier[DoorId::LEN..]);
    (DoorId(door), Generation(u32::from_be_bytes(generation)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_read_back_what_they_write_and_refuse_the_rest() {
        let id = PassId([1, 2, 3, 4, 5, 6, 7, 0xAB]);
        assert_eq!(id.to_string(), "01020304050607ab");
        assert_eq!("01020304050607ab".parse(), Ok(id));
        for bad in [
            "",
            "01",
            "01020304050607AB",
            "01020304050607abcd",
            "zz020304050607ab",
        ] {
            assert_eq!(
                bad.parse::<PassId>(),
                Err(BadId { hex_digits: 16 }),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_sub_identifier_names_its_door_and_generation() {
        let door = DoorId([7; 12]);
        assert_eq!(
            door_of(&sub_identifier(door, Generation(0x0102_0304))),
            (door, Generation(0x0102_0304))
        );
    }
}
