//! The signer: holds the issuer and reader CA keys of each property and signs what doors obey. It stands behind a
//! trait: embedded by default ([`embedded::EmbeddedSigner`]), or a process of its own ([`service`]), which instances ask
//! through a Unix socket ([`remote`], in the words of [`wire`]). What it never signs is in [`checks`].
//!
//! It keeps its own state outside every backup of the portal's database: the epoch, `validityIteration`, how far the
//! numbers have come. It reads its own clock, takes no time from callers, and refuses once that clock has stepped
//! against the monotonic one.
//!
//! **Numbers.** The portal asks for the next number of a series within the transaction that keeps the statement. A
//! transaction may be lost after the signer has signed, so a number counts as given out only once it was
//! [confirmed](Signer::confirm) after the commit; up to there the signer never signs a number again. A portal that asks
//! for a confirmed number was restored from a backup: [`SignerError::Behind`]. It goes on in a [new
//! epoch](Signer::begin_epoch), whose first list contains the newest that the signer has [kept](Signer::keep_list).

pub(crate) mod checks;
pub(crate) mod embedded;
mod files;
#[cfg(unix)]
pub(crate) mod remote;
#[cfg(unix)]
pub(crate) mod service;
mod state;
mod steady;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;

use aliro::crypto::PublicKey;
use chrono::{DateTime, Utc};
use latchkey_protocol::bundle::Content;
use latchkey_protocol::doorlog::Receipt;
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::grant::KeyAt;
use latchkey_protocol::ids::{DoorId, DoorNumber, ElementId, Generation, PropertyId};
use latchkey_protocol::pass::Pass;
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::rules::Offsets;
use latchkey_protocol::statement::{Addressee, Body};
use serde::{Deserialize, Serialize};

use wire::packed;

/// Where a portal's signer is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SignerPlace {
    /// In the portal's own process, its files in the folder `signer` of the portal's data.
    #[default]
    Embedded,
    /// A process of its own, which listens at this Unix socket.
    Socket(PathBuf),
}

/// The public keys of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKeys {
    /// Signs grants, lists and statements.
    #[serde(with = "packed")]
    pub issuer: PublicKey,
    /// Signs door certificates.
    #[serde(with = "packed")]
    pub reader_ca: PublicKey,
}

/// A grant to sign; dates and iteration are the signer's to set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantDraft {
    /// The access credential that it is bound to.
    #[serde(with = "packed")]
    pub holder: PublicKey,
    /// All that it opens.
    pub keys: Vec<KeyAt>,
    /// The property's zone.
    pub offsets: Offsets,
    /// How long it is to hold, in seconds from now.
    pub lifetime: u32,
    /// The latest `signed` of this credential's documents: the new ones are later.
    pub signed_after: Option<i64>,
}

/// A signed grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedGrant {
    /// Its documents; the first one serves doors that none names.
    pub documents: Vec<SignedDocument>,
    /// For each key of the draft, the element that it stands in.
    pub elements: Vec<ElementId>,
    /// `signed` of all of them, seconds since 1970.
    pub signed: i64,
}

/// One document of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedDocument {
    /// The doors that it names.
    pub doors: Vec<DoorNumber>,
    /// Which keys of the draft it carries.
    pub keys: Vec<usize>,
    /// CBOR.
    #[serde(with = "packed")]
    pub document: Vec<u8>,
    /// When it ends.
    pub valid_until: DateTime<Utc>,
}

/// A bundle to seal and sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleDraft {
    /// For which door.
    pub door: DoorId,
    /// For which controller of it.
    pub generation: Generation,
    /// That controller's key.
    #[serde(with = "packed")]
    pub sealing_key: PublicKey,
    /// Its number in the present epoch.
    pub number: u64,
    /// The last statement for all doors that it stands for.
    pub all: u64,
    /// The last one for this door.
    pub own: u64,
    /// What it says.
    #[serde(with = "packed")]
    pub content: Content,
}

/// A bundle as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedBundle {
    /// The signed header.
    #[serde(with = "packed")]
    pub header: Vec<u8>,
    /// The sealed body.
    #[serde(with = "packed")]
    pub body: Vec<u8>,
}

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignerError {
    /// It has no keys of this property.
    #[error("the signer has no keys of this property")]
    UnknownProperty,
    /// Its clock has stepped: a wrong time signed is worse than none.
    #[error("the signer's clock has stepped by {seconds} s; set it right and start again")]
    ClockStepped {
        /// By how many seconds, forward positive.
        seconds: i64,
    },
    /// The portal asks for a number that was given out before: it was restored from a backup.
    #[error(
        "the portal asks for number {asked}, but {confirmed} was given out: was it restored from a backup?"
    )]
    Behind {
        /// What it asks for.
        asked: u64,
        /// What was given out.
        confirmed: u64,
    },
    /// A person would hold more keys at one door than a grant can say.
    #[error("one person would hold too many keys at one door")]
    TooManyKeys,
    /// More is withdrawn than one list can hold.
    #[error(
        "the revocation list is full; bring the doors that were not visited for longest up to date"
    )]
    ListTooLong,
    /// What it was asked to sign cannot be said in its format.
    #[error("cannot be signed: {0}")]
    NotSignable(String),
    /// More is asked for than the property's rate allows.
    #[error(
        "more was asked of the signer for this property than its rate allows; ask again in {seconds} s"
    )]
    TooFast {
        /// When there is room for it.
        seconds: u64,
    },
    /// Only its operators may ask that, at a socket of their own.
    #[error("only at the signer's socket for operators (`signer --operators`)")]
    ForOperators,
    /// It is a process of its own, and does not answer.
    #[error("the signer does not answer: {0}")]
    Unreachable(String),
    /// Its keys or its state cannot be read or kept.
    #[error("the signer's files: {0}")]
    Files(String),
}

/// A series of numbers without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// Statements for an addressee.
    Statements(Addressee),
    /// Revocation lists.
    Lists,
    /// Bundles for a door; its numbers grow, and some may be left out.
    Bundles(DoorId),
    /// Generations of a door's controllers. The only series that a new epoch does not begin anew: no generation is used
    /// again.
    Controllers(DoorId),
}

/// How far a property has come, by the signer's own memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The epoch in which its numbers count.
    pub epoch: u32,
    /// The present `validityIteration`.
    pub iteration: u64,
    /// Whether it keeps a list: signers of before kept none.
    pub keeps_list: bool,
    /// How far each series was given out, by its name.
    given_out: BTreeMap<String, u64>,
}

impl Standing {
    /// The last number of a series that was given out; 0 before the first.
    pub(crate) fn given_out(&self, series: Series) -> u64 {
        let number = self.given_out.get(&state::name(series));
        number.copied().unwrap_or(0)
    }

    /// The last controller of each door.
    pub(crate) fn controllers(&self) -> impl Iterator<Item = (DoorId, Generation)> {
        self.given_out.iter().filter_map(|(name, number)| {
            let generation = Generation(u32::try_from(*number).ok()?);
            Some((state::door_of_controllers(name)?, generation))
        })
    }
}

/// An epoch that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    /// Its number.
    pub epoch: u32,
    /// The newest list of the epochs before that the signer keeps, as it was signed. The new epoch's first has to contain
    /// it.
    #[serde(with = "packed::optional")]
    pub list: Option<Vec<u8>>,
}

/// Signs for doors. All calls are short and may block on the signer's own files.
pub(crate) trait Signer: Send + Sync {
    /// Makes the keys of a new property; never again those of one that has some.
    ///
    /// # Errors
    /// [`SignerError::Files`].
    fn create(&self, property: PropertyId) -> Result<PublicKeys, SignerError>;

    /// How far the property has come.
    ///
    /// # Errors
    /// [`SignerError::UnknownProperty`].
    fn standing(&self, property: PropertyId) -> Result<Standing, SignerError>;

    /// Begins a new epoch after a restore: durable when this returns. Its numbers count from 1.
    ///
    /// # Errors
    /// [`SignerError::UnknownProperty`] or [`SignerError::Files`].
    fn begin_epoch(&self, property: PropertyId) -> Result<Begun, SignerError>;

    /// Signs a statement with this number of its series.
    ///
    /// # Errors
    /// [`SignerError`].
    fn statement(
        &self,
        property: PropertyId,
        addressee: Addressee,
        number: u64,
        body: Body,
    ) -> Result<Vec<u8>, SignerError>;

    /// Signs a pass; `until` is cut to its longest life.
    ///
    /// # Errors
    /// [`SignerError`].
    fn pass(&self, property: PropertyId, pass: &Pass) -> Result<Vec<u8>, SignerError>;

    /// Answers a door's challenge with the signer's time.
    ///
    /// # Errors
    /// [`SignerError`].
    fn time(
        &self,
        property: PropertyId,
        door: DoorId,
        nonce: [u8; 16],
    ) -> Result<Vec<u8>, SignerError>;

    /// Signs a grant.
    ///
    /// # Errors
    /// [`SignerError::TooManyKeys`] or another.
    fn grant(&self, property: PropertyId, draft: GrantDraft) -> Result<SignedGrant, SignerError>;

    /// Signs a revocation list of this version in the present epoch; the number within `list` is set by the signer.
    ///
    /// # Errors
    /// [`SignerError::ListTooLong`] or another.
    fn revocation_list(
        &self,
        property: PropertyId,
        version: u64,
        list: Revocations,
        signed_after: Option<i64>,
    ) -> Result<(ListNumber, i64, Vec<u8>), SignerError>;

    /// Seals a bundle to its door, and signs it.
    ///
    /// # Errors
    /// [`SignerError`].
    fn bundle(&self, property: PropertyId, draft: BundleDraft)
    -> Result<SignedBundle, SignerError>;

    /// Signs that all entries of a controller's log up to this one are kept.
    ///
    /// # Errors
    /// [`SignerError`].
    fn log_receipt(&self, receipt: &Receipt) -> Result<Vec<u8>, SignerError>;

    /// Certifies a door's key: the compressed certificate. No generation is certified again once it was confirmed.
    ///
    /// # Errors
    /// [`SignerError`].
    fn certificate(
        &self,
        property: PropertyId,
        door: DoorId,
        generation: Generation,
        reader_key: PublicKey,
    ) -> Result<Vec<u8>, SignerError>;

    /// Everything of this series up to this number is committed.
    ///
    /// # Errors
    /// [`SignerError::Files`].
    fn confirm(&self, property: PropertyId, series: Series, number: u64)
    -> Result<(), SignerError>;

    /// This list is committed, and so are those before it. The signer keeps the newest outside every backup of the
    /// portal's database: what it withdraws stays withdrawn, whatever a restored portal has forgotten.
    ///
    /// # Errors
    /// [`SignerError::NotSignable`] for what it has not signed itself; [`SignerError::Files`].
    fn keep_list(&self, property: PropertyId, document: &[u8]) -> Result<(), SignerError>;
}
