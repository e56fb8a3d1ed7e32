//! A property as phones and pages see it.

use serde::{Deserialize, Serialize};

use crate::bytes::Base64;
use crate::ids::PropertyId;
use crate::roles::GuestKinds;
use crate::rules::{Holidays, Offsets};

/// What every member of a property may know of it, and needs in order to decide and to unlock without a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Property {
    /// The id, Aliro's reader group identifier.
    pub id: PropertyId,
    /// Its name.
    pub name: String,
    /// The zone, expanded into offsets.
    pub offsets: Offsets,
    /// Days on which keys that heed holidays are closed.
    pub holidays: Holidays,
    /// P-256, 65 bytes: signs grants, lists and statements.
    pub issuer_key: Base64,
    /// P-256, 65 bytes: signs door certificates.
    pub reader_ca_key: Base64,
    /// Life of a grant in seconds.
    pub grant_lifetime: u32,
    /// The kinds of guest keys that whoever asks may grant from keys of their own.
    #[serde(default)]
    pub may_grant: GuestKinds,
}
