//! The JSON that phones, guest pages and integrators exchange with a portal, under `/v1`.
//!
//! Both sides use these types, so that the wire has one description. Instants are RFC 3339 in UTC,
//! bytes are base64url without padding. Errors are problem details (RFC 9457) of a [`problem::ProblemType`].

pub mod auth;
pub mod doors;
pub mod events;
pub mod keys;
pub mod links;
pub mod people;
pub mod problem;
pub mod property;
pub mod sync;

use serde::{Deserialize, Serialize};

/// Name of the header that makes a write repeatable: the same value and body get the same answer.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// One page of a list, oldest first unless an endpoint says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The entries of this page.
    pub items: Vec<T>,
    /// Where the next page begins; missing on the last one. Opaque: hand it back as `cursor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
