//! Access Documents and Revocation Documents: the step-up phase.
//!
//! A reader that does not know a credential asks the device for elements by
//! identifier ([`DeviceRequest`]); the device answers with documents that an
//! issuer signed ([`DeviceResponse`], [`RawDocument`]), showing only what was
//! asked for. The layout is ISO/IEC 18013-5 in a short form: a COSE_Sign1 over
//! salted digests, and the elements beside it.
//!
//! * An **Access Document** is bound to one Access Credential. Each element is
//!   an [`AccessData`]: rules, schedules, reader rules, extensions.
//! * A **Revocation Document** is bound to no device, so that any phone can
//!   carry it. Each element is a [`RevocationData`], a change to the reader's
//!   [`RevocationList`].
//!
//! A reader gives a [`RawDocument`] to a [`Verifier`], which says whether it is
//! authentic and fits the transaction, and then asks [`evaluate`] (or
//! [`VerifiedAccess::allows`]) whether an element allows an action now. The
//! issuing side is [`issuer`]. Nothing here reads a clock, makes a salt or
//! signs: all of that is passed in.
//!
//! # Decisions
//!
//! The public sources leave some things open. What this crate does, and where:
//!
//! | open | decided | where |
//! |---|---|---|
//! | criticality bit of access extensions | 0 = critical: a shipped reader and the newest reference encoder agree; never let safety hang on another maker's reading | [`policy::CRITICAL`] |
//! | extension data | CBOR in a byte string; a bare map is read too | `extension.rs` |
//! | rules and schedules | rules are alternatives; in a rule, deny wins over allow | [`evaluate`] |
//! | element without rules | grants every assigned capability; an empty list of rules is malformed | [`policy::NO_RULES_GRANT_ALL`], [`AccessData::decode`] |
//! | unassigned capability bits | may be set, allow nothing | [`Capabilities`] |
//! | unknown members | ignored in the ISO part; refused in elements, where ignoring one could grant too much | [`AccessData::decode`] |
//! | `end` of a schedule | excluded without recurrence; with one it bounds starts (included), and an occurrence runs on past it; 0 is none, as in the reference | [`Schedule`] |
//! | the start of a recurring schedule | no occurrence unless it fits the pattern | [`recurrence`] |
//! | ordinals | those of the reference's conversion from iCalendar: n-th of each weekday (3, 5), n-th date filtered by weekday (4, 6), ISO week (7) | [`recurrence`] |
//! | pattern 8 | n-th ISO-like week of the month: it belongs to the month of its Thursday | [`recurrence`] |
//! | masks that could never match | malformed, since a deny schedule must not vanish | [`Recurrence::new`] |
//! | kid and x5chain together | a kid of a trusted issuer decides; an unknown kid leaves it to the certificate | [`Verifier`] |
//! | x5chain | one certificate, its signature DER; critical extensions beyond key usage and basic constraints refused | `certificate.rs` |
//! | scope of `validityIteration` | one counter for each trusted issuer (or CA) and document type; a document without one is not held against it, as in known readers | [`Iterations`], [`policy`] |
//! | elements asked for, some unusable | an unknown critical extension, reader rule or version refuses that element; the document only if none is left | [`Verifier::access`] |
//! | removal of revocation entries | exactly what the entry names; an entry with key and id withdraws either | [`RevocationList`] |
//! | expired revocation entries | count until dropped with a trusted clock | [`RevocationList::drop_expired`] |
//! | `signed` of revocations | told to the reader, which ignores earlier ones | [`VerifiedRevocation`] |
//! | sizes | a document up to 256 KiB; definite lengths only | [`MAX_LEN`] |

mod access;
mod cbor;
mod certificate;
mod civil;
mod cose;
mod error;
mod evaluate;
mod extension;
mod fields;
pub mod issuer;
mod iterations;
mod mso;
pub mod policy;
pub mod recurrence;
mod request;
mod response;
mod revocation;
mod revocation_list;
mod schedule;
mod timestamp;
pub mod verify;

pub use access::{AccessData, AccessRule, Capabilities, MAX_ID};
pub use cbor::MAX_LEN;
pub use cose::{IssuerName, KeyId};
pub use error::DocumentError;
pub use evaluate::{Verdict, evaluate};
pub use extension::{AccessExtension, Extension, Extensions};
pub use iterations::Iterations;
pub use mso::Validity;
pub use recurrence::{Pattern, Recurrence};
pub use request::{DeviceRequest, MAX_ASKED};
pub use response::{DeviceResponse, MAX_ELEMENTS, RawDocument};
pub use revocation::{ChangeMode, RevocationData, RevocationEntry, key_hash};
pub use revocation_list::{ListFull, MAX_REVOCATIONS, RevocationList};
pub use schedule::{Now, Schedule};
pub use timestamp::Timestamp;
pub use verify::{
    Refusal, RevocationContext, TrustedIssuers, VerifiedAccess, VerifiedRevocation, Verifier,
    VerifyContext,
};

/// Document type and namespace of Access Documents.
pub const ACCESS: &str = "aliro-a";

/// Document type and namespace of Revocation Documents.
pub const REVOCATION: &str = "aliro-r";
