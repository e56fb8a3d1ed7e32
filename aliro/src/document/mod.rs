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
//! # Example
//!
//! The issuer lets a credential unlock *floor1* on weekdays from eight to six,
//! the device shows that element, and the reader decides.
//!
//! ```
//! use aliro::crypto::{PublicKey, Signature};
//! use aliro::document::issuer::{self, AccessDocument, Element};
//! use aliro::document::*;
//! use p256::ecdsa::{SigningKey, signature::Signer};
//!
//! # fn public(key: &SigningKey) -> PublicKey {
//! #     let point = key.verifying_key().to_sec1_point(false);
//! #     PublicKey::from_uncompressed(point.as_bytes()).unwrap()
//! # }
//! # let issuer_key = SigningKey::from_slice(&[1; 32]).unwrap();
//! # let credential = public(&SigningKey::from_slice(&[2; 32]).unwrap());
//! # let issuer = public(&issuer_key);
//! // The issuer.
//! let eight_to_six_on_weekdays = Schedule {
//!     start: 1_769_932_800, // 2026-02-01 08:00, as a wall clock shows it
//!     end: None,
//!     recurrence: Some(Recurrence::weekly(0b001_1111, 10 * 3600)?),
//!     utc: false,
//! };
//! let unsigned = AccessDocument {
//!     issuer: IssuerName::KeyId(issuer::key_id(&issuer)),
//!     device_key: credential,
//!     validity: Validity {
//!         signed: Timestamp::parse("2026-02-01T08:00:00Z")?,
//!         valid_from: Timestamp::parse("2026-02-01T08:00:00Z")?,
//!         valid_until: Timestamp::parse("2026-12-31T23:59:59Z")?,
//!         expected_update: None,
//!         iteration: Some(1),
//!     },
//!     time_required: true,
//!     elements: vec![Element {
//!         identifier: "floor1".to_owned(),
//!         salt: [0x5a; 16], // fresh from a secure random source
//!         data: AccessData {
//!             rules: vec![AccessRule { capabilities: Capabilities::UNSECURE, allow: 1, deny: 0 }],
//!             schedules: vec![eight_to_six_on_weekdays],
//!             ..AccessData::default()
//!         },
//!     }],
//! }
//! .prepare()?;
//! let signature: p256::ecdsa::Signature = issuer_key.sign(&unsigned.to_be_signed());
//! let held = unsigned.finish(Signature(signature.to_bytes().into()))?;
//!
//! // The device: only what is asked for.
//! let shown = held.select(&["floor1"]).ok_or("nothing to show")?;
//!
//! // The reader, on Monday 2 February 2026 at 12:00 UTC, where it is 13:00.
//! let mut trusted = TrustedIssuers::new();
//! trusted.add_issuer(issuer);
//! let clock = Some(Now { utc: 1_770_033_600, local: 1_770_037_200 });
//! let verified = Verifier::new(&trusted).access(
//!     &shown,
//!     &VerifyContext {
//!         credential: &credential, // proved in AUTH1
//!         asked: &["floor1".to_owned()],
//!         clock,
//!         iterations: &Iterations::new(),
//!         known_reader_rules: &|_| false,
//!         understands: &|_, _, _| false,
//!     },
//! )?;
//! let revoked = RevocationList::new();
//! let by = verified.allows(Capabilities::UNSECURE, clock, &credential, &revoked)?;
//! assert_eq!(by, "floor1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
//! | old revocations | a list signed before the last one is ignored, for any phone could bring it back | [`RevocationList::take`] |
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
mod refusal;
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
pub use refusal::Refusal;
pub use request::{DeviceRequest, MAX_ASKED};
pub use response::{DeviceResponse, MAX_ELEMENTS, RawDocument};
pub use revocation::{ChangeMode, RevocationData, RevocationEntry, key_hash};
pub use revocation_list::{ListFull, MAX_REVOCATIONS, RevocationList};
pub use schedule::{Now, Schedule};
pub use timestamp::Timestamp;
pub use verify::{
    RevocationContext, TrustedIssuers, VerifiedAccess, VerifiedRevocation, Verifier, VerifyContext,
};

/// Document type and namespace of Access Documents.
pub const ACCESS: &str = "aliro-a";

/// Document type and namespace of Revocation Documents.
pub const REVOCATION: &str = "aliro-r";
