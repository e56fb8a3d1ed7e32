//! People of a property.

use serde::{Deserialize, Serialize};

use crate::ids::PersonId;
use crate::roles::Role;

/// A person as staff see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Person {
    /// The id.
    pub id: PersonId,
    /// The name.
    pub name: String,
    /// The role.
    pub role: Role,
    /// The address for sign-in, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether a device of this person has registered an access credential.
    pub has_phone: bool,
}

/// `POST /v1/properties/{property}/people`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// The name.
    pub name: String,
    /// The role.
    pub role: Role,
    /// The address for sign-in. One address belongs to one person at a property.
    #[serde(default)]
    pub email: Option<String>,
}
