//! What the issuer has withdrawn: one signed, cumulative list per property, an Aliro Revocation Document
//! that always replaces the one before (change mode overwrite).
//!
//! Aliro's own entries name withdrawn credentials (by key hash) and elements (by id), so that any maker's
//! reader obeys them. Our extension numbers the list and adds what only our doors know: passes, and which
//! of the elements were superseded by an edit rather than withdrawn. `list` is one list, `view` what
//! a door or a phone obeys, after a restore of the portal included.

mod list;
mod view;

pub use list::{ELEMENT, RevocationError, RevocationList, Revocations};
pub use view::{RevocationView, Taken};
