//! Grants: from the keys that somebody holds to Aliro Access Documents, and back.
//!
//! A key at a place (a door, or all doors) becomes an *element*, whose rules any maker's reader
//! can follow: the range as one-off deny schedules in UTC before and after it, weekly windows as
//! recurring schedules in local time. What Aliro cannot say (uses, rights beyond opening) stands
//! in an extension of ours, in elements that only our doors ask for; holidays are a reader rule
//! that only our doors know. [`prepare`] makes the documents that are to be signed, [`held_keys`]
//! gives back exactly the access rules that they were made from.

mod element;
mod extension;
mod held;
mod issue;
mod name;
mod pack;
mod rights;
mod schedule;

pub use element::NotOurs;
pub use held::{
    HeldKey, HeldKeys, document_for, held_keys, knows_reader_rule, understands, verify_grant,
};
pub use issue::{Grant, GrantDocument, GrantError, GrantRequest, KeyAt, Lifetime, prepare};
pub use name::{BadElementName, ElementName, Place, SLOTS, asked_elements};
pub use rights::{Right, Rights};
