//! One revocation list: what it holds, how it is issued and read.

use std::collections::BTreeSet;

use aliro::crypto::PublicKey;
use aliro::document::issuer::{Element, RevocationDocument, SALT_LEN, Unsigned, key_id};
use aliro::document::{
    DocumentError, Extension, IssuerName, Iterations, RawDocument, Refusal, RevocationContext,
    RevocationData, RevocationEntry, Timestamp, TrustedIssuers, Validity, Verifier, key_hash,
};
use serde::{Deserialize, Serialize};

use crate::cbor::{FormatError, Reader, array};
use crate::doorstate::ListNumber;
use crate::ids::{ElementId, PassId};
use crate::rules::Reason;
use crate::vendor::{EXTENSION_VERSION, REVOCATION_EXTENSION, VENDOR_ID};

/// The element by which readers ask for the list.
pub const ELEMENT: &str = "revoked";

/// Most entries of one kind. Together they are bound by Aliro's longest document.
const MAX_ENTRIES: usize = 16_384;
/// Most epochs that one list answers for.
const MAX_EPOCHS: usize = 64;

/// When a list ends: never (RFC 5280, section 4.1.2.5, has this for no well-defined end). A list that is
/// old is still obeyed; that it is old shows in its number.
const NEVER: i64 = 253_402_300_799;

/// All that is withdrawn at a property.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocations {
    /// The list's number.
    pub number: ListNumber,
    /// The last list of each earlier epoch that this one contains; a later list of such an epoch, which
    /// the restored portal has never seen, goes on counting beside it.
    pub contains: BTreeSet<ListNumber>,
    /// Access credentials, by [`key_hash`].
    pub credentials: BTreeSet<[u8; 32]>,
    /// Elements of grants that are withdrawn for good.
    pub elements: BTreeSet<ElementId>,
    /// Elements that an edit has replaced: their holder's phone has to sync.
    pub superseded: BTreeSet<ElementId>,
    /// Passes.
    pub passes: BTreeSet<PassId>,
}

impl Revocations {
    /// The document to sign with the issuer's key. `signed` grows with every list; `salt` is fresh from
    /// secure randomness.
    ///
    /// # Errors
    /// [`DocumentError`] when there is too much for one document.
    pub fn prepare(
        &self,
        issuer: &PublicKey,
        signed: Timestamp,
        salt: [u8; SALT_LEN],
    ) -> Result<Unsigned, DocumentError> {
        if self.passes.len() > MAX_ENTRIES || self.superseded.len() > MAX_ENTRIES {
            return Err(DocumentError::TooComplex);
        }
        let keys = self.credentials.iter().map(|hash| RevocationEntry {
            key_hash: Some(*hash),
            id: Vec::new(),
            expiry: None,
        });
        // Other makers' readers refuse superseded elements, too: they stand among the withdrawn ones,
        // and our extension tells them apart.
        let gone = self.elements.union(&self.superseded);
        let elements = gone.map(|id| RevocationEntry::of_id(id.as_bytes()));
        let mut data = RevocationData::overwrite(keys.chain(elements).collect());
        data.extensions.insert(
            VENDOR_ID,
            vec![Extension {
                id: REVOCATION_EXTENSION,
                version: EXTENSION_VERSION,
                data: self.extension(),
            }],
        );
        RevocationDocument {
            issuer: IssuerName::KeyId(key_id(issuer)),
            validity: Validity {
                signed,
                valid_from: signed,
                valid_until: Timestamp::from_epoch(NEVER).unwrap_or(signed),
                expected_update: None,
                // Readers may keep one counter for lists and grants of an issuer: a list that counted
                // would cut grants off. Ours are ordered by their number.
                iteration: None,
            },
            // A door that has lost its clock must still refuse what is withdrawn.
            time_required: false,
            elements: vec![Element {
                identifier: ELEMENT.to_owned(),
                salt,
                data,
            }],
        }
        .prepare()
    }

    /// `[1, epoch, version, [[epoch, version], …], [pass, …], [superseded element, …]]`, all in order.
    fn extension(&self) -> Vec<u8> {
        array()
            .uint(self.number.epoch)
            .uint(self.number.version)
            .list(self.contains.iter().map(|number| number.write()))
            .byte_strings(self.passes.iter().map(PassId::as_bytes))
            .byte_strings(self.superseded.iter().map(ElementId::as_bytes))
            .finish()
    }

    fn from_data(data: &RevocationData) -> Result<Self, FormatError> {
        let ours = data
            .extensions
            .get(&VENDOR_ID)
            .map_or(&[][..], Vec::as_slice);
        let extension = ours
            .iter()
            .find(|extension| extension.id == REVOCATION_EXTENSION)
            .ok_or(FormatError::Malformed)?;
        if extension.version != EXTENSION_VERSION {
            return Err(FormatError::NewerVersion(extension.version));
        }
        let mut reader = Reader::versioned(&extension.data, aliro::document::MAX_LEN)?;
        let number = ListNumber {
            epoch: reader.uint()?,
            version: reader.uint()?,
        };
        let contains = set(reader.list(MAX_EPOCHS, ListNumber::read)?)?;
        let passes = set(reader.list(MAX_ENTRIES, |item| Ok(PassId(item.exactly()?)))?)?;
        let superseded: BTreeSet<ElementId> =
            set(reader.list(MAX_ENTRIES, |item| Ok(ElementId(item.exactly()?)))?)?;
        reader.end()?;
        let mut list = Self {
            number,
            contains,
            passes,
            superseded,
            ..Self::default()
        };
        for entry in &data.entries {
            list.credentials.extend(entry.key_hash);
            // Ids of other lengths are of no element of ours.
            if let Ok(id) = ElementId::from_slice(&entry.id)
                && !list.superseded.contains(&id)
            {
                list.elements.insert(id);
            }
        }
        Ok(list)
    }

    /// Whether a credential is withdrawn, with all that was issued to it.
    #[must_use]
    pub fn revokes_credential(&self, credential: &PublicKey) -> bool {
        self.credentials.contains(&key_hash(credential))
    }

    /// Why an element no longer counts: withdrawn, or changed by an edit that its holder's phone has not
    /// heard of.
    #[must_use]
    pub fn revokes_element(&self, element: ElementId) -> Option<Reason> {
        if self.elements.contains(&element) {
            Some(Reason::Revoked)
        } else {
            self.superseded
                .contains(&element)
                .then_some(Reason::KeyChanged)
        }
    }

    /// Whether a pass is withdrawn.
    #[must_use]
    pub fn revokes_pass(&self, pass: PassId) -> bool {
        self.passes.contains(&pass)
    }

    /// Whether whatever that list withdraws is answered for by this one.
    #[must_use]
    pub fn answers_for(&self, number: ListNumber) -> bool {
        self.contains
            .iter()
            .chain([&self.number])
            .any(|ours| ours.epoch == number.epoch && ours.version >= number.version)
    }
}

/// A list as it travels, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    document: Vec<u8>,
    signed: Timestamp,
    content: Revocations,
}

/// Why bytes are no revocation list of this property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// Not an Aliro document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Not signed by the property's issuer, or not a Revocation Document.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Without our extension, or with one that this side cannot read.
    #[error(transparent)]
    Extension(#[from] FormatError),
    /// It adds to a list instead of being whole; the property's issuer makes no such.
    #[error("not a whole list")]
    NotWhole,
}

impl RevocationList {
    /// Reads a document and checks that this property's issuer signed it. No time is required.
    ///
    /// # Errors
    /// [`RevocationError`].
    pub fn verify(document: &[u8], issuer: &PublicKey) -> Result<Self, RevocationError> {
        let raw = RawDocument::decode(document)?;
        let mut trusted = TrustedIssuers::new();
        trusted.add_issuer(*issuer);
        let verified = Verifier::new(&trusted).revocation(
            &raw,
            &RevocationContext {
                asked: &[ELEMENT.to_owned()],
                clock: None,
                iterations: &Iterations::new(),
            },
        )?;
        let (_, data) = verified.elements.first().ok_or(Refusal::NoElements)?;
        if data.change != aliro::document::ChangeMode::Overwrite || !data.remove.is_empty() {
            return Err(RevocationError::NotWhole);
        }
        let content = Revocations::from_data(data)?;
        Ok(Self {
            document: document.to_vec(),
            signed: verified.validity.signed,
            content,
        })
    }

    /// The document, to store and to carry.
    #[must_use]
    pub fn document(&self) -> &[u8] {
        &self.document
    }

    /// When it was signed, seconds since 1970: a bound of every clock that has verified it.
    #[must_use]
    pub fn signed(&self) -> i64 {
        self.signed.epoch()
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> ListNumber {
        self.content.number
    }

    /// What it withdraws.
    #[must_use]
    pub fn content(&self) -> &Revocations {
        &self.content
    }
}

/// Items in ascending order, each once.
fn set<T: Ord>(items: Vec<T>) -> Result<BTreeSet<T>, FormatError> {
    if !items.is_sorted_by(|a, b| a < b) {
        return Err(FormatError::Malformed);
    }
    Ok(items.into_iter().collect())
}
