//! DeviceResponse, and documents as they were received.

use std::ops::Range;

use super::cbor::{Reader, Writer};
use super::cose::IssuerAuth;
use super::error::DocumentError;
use super::mso::{MobileSecurityObject, Validity};
use super::request::DeviceRequest;
use super::timestamp::Timestamp;
use super::{ACCESS, REVOCATION};

/// What a device answers to a [`DeviceRequest`](super::DeviceRequest).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceResponse {
    /// At most one of each document type; none when the device holds none.
    pub documents: Vec<RawDocument>,
    /// [`STATUS_OK`](Self::STATUS_OK) or one of the other codes.
    pub status: u64,
}

impl DeviceResponse {
    /// Nothing went wrong, even if there was nothing to give.
    pub const STATUS_OK: u64 = 0;
    /// Something else went wrong.
    pub const STATUS_GENERAL_ERROR: u64 = 10;
    /// The request was not CBOR.
    pub const STATUS_CBOR_DECODING_ERROR: u64 = 11;
    /// The request was CBOR, but not a request.
    pub const STATUS_CBOR_VALIDATION_ERROR: u64 = 12;

    const VERSION: &'static str = "1.0";

    /// An answer without documents.
    #[must_use]
    pub fn of_status(status: u64) -> Self {
        Self {
            documents: Vec::new(),
            status,
        }
    }

    /// What a device answers to the bytes of a request, out of the documents
    /// that it holds: of each type the first that has any of the elements
    /// asked for, with these elements alone.
    #[must_use]
    pub fn answer(request: &[u8], held: &[RawDocument]) -> Self {
        let request = match DeviceRequest::decode(request) {
            Ok(request) => request,
            Err(DocumentError::NotCbor | DocumentError::TooLarge) => {
                return Self::of_status(Self::STATUS_CBOR_DECODING_ERROR);
            }
            Err(_) => return Self::of_status(Self::STATUS_CBOR_VALIDATION_ERROR),
        };
        let documents = [(ACCESS, &request.access), (REVOCATION, &request.revocation)]
            .into_iter()
            .filter_map(|(doc_type, asked)| {
                held.iter()
                    .filter(|document| document.doc_type() == doc_type)
                    .find_map(|document| document.select(asked))
            })
            .collect();
        Self {
            documents,
            status: Self::STATUS_OK,
        }
    }

    /// The document of this type, if there is one.
    #[must_use]
    pub fn document(&self, doc_type: &str) -> Option<&RawDocument> {
        self.documents
            .iter()
            .find(|document| document.doc_type() == doc_type)
    }

    /// The CBOR of the response, ready for the step-up channel.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.map(3).text("1").text(Self::VERSION);
        out.text("2").array(self.documents.len());
        for document in &self.documents {
            out.raw(document.as_bytes());
        }
        out.text("3").uint(self.status);
        out.into_bytes()
    }

    /// Reads a response, members in any order.
    ///
    /// # Errors
    /// [`DocumentError`] when it is not a version-1.0 DeviceResponse, holds a
    /// malformed document, or two of one type.
    pub fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        const WHAT: &str = "DeviceResponse";
        const MALFORMED: DocumentError = DocumentError::Malformed(WHAT);
        let mut reader = Reader::new(bytes)?;
        let (mut version, mut status, mut documents) = (None, None, None);
        for _ in 0..reader.map(WHAT)? {
            let earlier = match reader.text(WHAT)? {
                "1" => version.replace(reader.text(WHAT)?).is_some(),
                "2" => documents.replace(read_documents(&mut reader)?).is_some(),
                "3" => status.replace(reader.uint(WHAT)?).is_some(),
                _ => {
                    reader.item()?;
                    false
                }
            };
            if earlier {
                return Err(MALFORMED);
            }
        }
        reader.end()?;
        if version != Some(Self::VERSION) {
            return Err(MALFORMED);
        }
        Ok(Self {
            documents: documents.unwrap_or_default(),
            status: status.ok_or(MALFORMED)?,
        })
    }
}

fn read_documents(reader: &mut Reader<'_>) -> Result<Vec<RawDocument>, DocumentError> {
    let mut documents: Vec<RawDocument> = Vec::new();
    for _ in 0..reader.array("documents")? {
        let document = RawDocument::decode(reader.item()?)?;
        if documents
            .iter()
            .any(|other| other.doc_type == document.doc_type)
        {
            return Err(DocumentError::Malformed("documents"));
        }
        documents.push(document);
    }
    Ok(documents)
}

/// A document as it was received: parsed, but not yet believed.
///
/// It keeps the bytes, and where each signed item lies in them: digests are
/// taken over what was transmitted, never over something encoded again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawDocument {
    bytes: Vec<u8>,
    doc_type: String,
    items: Vec<Item>,
    issuer_auth_span: Range<usize>,
    issuer_auth: IssuerAuth,
    mso: MobileSecurityObject,
}

/// Most elements of one document.
pub const MAX_ELEMENTS: usize = 1024;

/// One IssuerSignedItem and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) namespace: String,
    pub(crate) digest_id: u64,
    pub(crate) identifier: String,
    /// The tagged byte string, heads included: what the digest covers.
    tagged: Range<usize>,
    /// The element value within it.
    value: Range<usize>,
}

impl RawDocument {
    /// Reads one Document.
    ///
    /// # Errors
    /// [`DocumentError`] when a part is missing, malformed or named twice. The
    /// element values themselves are not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        const WHAT: &str = "Document";
        const MALFORMED: DocumentError = DocumentError::Malformed(WHAT);
        let mut reader = Reader::new(bytes)?;
        let (mut issuer_signed, mut doc_type) = (None, None);
        for _ in 0..reader.map(WHAT)? {
            let earlier = match reader.text(WHAT)? {
                "1" => issuer_signed.replace(reader.item()?).is_some(),
                "5" => doc_type.replace(reader.text(WHAT)?).is_some(),
                _ => {
                    reader.item()?;
                    false
                }
            };
            if earlier {
                return Err(MALFORMED);
            }
        }
        reader.end()?;
        let (items, issuer_auth_bytes) =
            read_issuer_signed(bytes, issuer_signed.ok_or(MALFORMED)?)?;
        let issuer_auth = IssuerAuth::decode(issuer_auth_bytes)?;
        let mso = MobileSecurityObject::decode(issuer_auth.content()?)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            doc_type: doc_type.ok_or(MALFORMED)?.to_owned(),
            items,
            issuer_auth_span: span(bytes, issuer_auth_bytes),
            issuer_auth,
            mso,
        })
    }

    /// The document's CBOR, as received or issued.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The outer document type; [`ACCESS`](super::ACCESS) or
    /// [`REVOCATION`](super::REVOCATION) in a document of this standard.
    #[must_use]
    pub fn doc_type(&self) -> &str {
        &self.doc_type
    }

    /// When the issuer says to have signed it; what AUTH1 reports.
    #[must_use]
    pub fn signed(&self) -> Timestamp {
        self.mso.validity.signed
    }

    /// From when on the issuer says it is valid.
    #[must_use]
    pub fn valid_from(&self) -> Timestamp {
        self.mso.validity.valid_from
    }

    /// Until when the issuer says it is valid.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        self.mso.validity.valid_until
    }

    /// All that the issuer says of its validity.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.mso.validity
    }

    /// Identifiers of the elements that it carries.
    pub fn identifiers(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(|item| item.identifier.as_str())
    }

    /// A copy with the asked elements only, or `None` when it has none of them.
    ///
    /// This is the device's side of selective disclosure: what is not asked for
    /// stays hidden behind its salted digest, and the signature still holds.
    #[must_use]
    pub fn select<S: AsRef<str>>(&self, identifiers: &[S]) -> Option<Self> {
        let kept: Vec<_> = self
            .items
            .iter()
            .filter(|item| {
                item.namespace == self.doc_type
                    && identifiers.iter().any(|id| id.as_ref() == item.identifier)
            })
            .collect();
        if kept.is_empty() {
            return None;
        }
        let tagged: Vec<_> = kept.iter().map(|item| self.tagged(item)).collect();
        let issuer_auth = &self.bytes[self.issuer_auth_span.clone()];
        let assembled = assemble(&self.doc_type, &tagged, issuer_auth);
        // Every part was parsed before; only its place is another one.
        let mut start = assembled.items.start;
        let items = kept.into_iter().map(|item| {
            let moved = item.moved_to(start);
            start = moved.tagged.end;
            moved
        });
        Some(Self {
            items: items.collect(),
            bytes: assembled.bytes,
            issuer_auth_span: assembled.issuer_auth,
            doc_type: self.doc_type.clone(),
            issuer_auth: self.issuer_auth.clone(),
            mso: self.mso.clone(),
        })
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(crate) fn issuer_auth(&self) -> &IssuerAuth {
        &self.issuer_auth
    }

    pub(crate) fn mso(&self) -> &MobileSecurityObject {
        &self.mso
    }

    /// What the digest of an item covers.
    pub(crate) fn tagged(&self, item: &Item) -> &[u8] {
        &self.bytes[item.tagged.clone()]
    }

    /// The CBOR of an element value.
    pub(crate) fn value(&self, item: &Item) -> &[u8] {
        &self.bytes[item.value.clone()]
    }
}

/// A document, and where its parts stand in it.
pub(crate) struct Assembled {
    pub(crate) bytes: Vec<u8>,
    /// All signed items, one after the other.
    items: Range<usize>,
    issuer_auth: Range<usize>,
}

/// Puts signed items and issuer signature together, all of them encoded.
pub(crate) fn assemble(doc_type: &str, tagged_items: &[&[u8]], issuer_auth: &[u8]) -> Assembled {
    let mut out = Writer::default();
    out.map(2).text("1").map(2);
    out.text("1").map(1).text(doc_type);
    out.array(tagged_items.len());
    let items = out.span(|out| {
        for item in tagged_items {
            out.raw(item);
        }
    });
    out.text("2");
    let issuer_auth = out.span(|out| {
        out.raw(issuer_auth);
    });
    out.text("5").text(doc_type);
    Assembled {
        bytes: out.into_bytes(),
        items,
        issuer_auth,
    }
}

fn read_issuer_signed<'a>(
    document: &'a [u8],
    bytes: &'a [u8],
) -> Result<(Vec<Item>, &'a [u8]), DocumentError> {
    const WHAT: &str = "IssuerSigned";
    let mut reader = Reader::new(bytes)?;
    let (mut items, mut issuer_auth) = (None, None);
    for _ in 0..reader.map(WHAT)? {
        let earlier = match reader.text(WHAT)? {
            "1" => items
                .replace(read_namespaces(document, &mut reader)?)
                .is_some(),
            "2" => issuer_auth.replace(reader.item()?).is_some(),
            _ => {
                reader.item()?;
                false
            }
        };
        if earlier {
            return Err(DocumentError::Malformed(WHAT));
        }
    }
    Ok((
        items.unwrap_or_default(),
        issuer_auth.ok_or(DocumentError::Malformed(WHAT))?,
    ))
}

fn read_namespaces<'a>(
    document: &'a [u8],
    reader: &mut Reader<'a>,
) -> Result<Vec<Item>, DocumentError> {
    const WHAT: &str = "IssuerSigned namespaces";
    let mut items: Vec<Item> = Vec::new();
    for _ in 0..reader.map(WHAT)? {
        let namespace = reader.text(WHAT)?;
        for _ in 0..reader.array(WHAT)? {
            let item = read_item(document, namespace, reader.item()?)?;
            if items.len() == MAX_ELEMENTS {
                return Err(DocumentError::TooComplex);
            }
            if items.iter().any(|other| other.collides_with(&item)) {
                return Err(DocumentError::Malformed(WHAT));
            }
            items.push(item);
        }
    }
    Ok(items)
}

fn read_item(document: &[u8], namespace: &str, tagged: &[u8]) -> Result<Item, DocumentError> {
    const WHAT: &str = "IssuerSignedItem";
    const MALFORMED: DocumentError = DocumentError::Malformed(WHAT);
    let content = Reader::new(tagged)?.embedded(WHAT)?;
    let mut reader = Reader::new(content)?;
    let (mut digest_id, mut salt, mut identifier, mut value) = (None, None, None, None);
    for _ in 0..reader.map(WHAT)? {
        let earlier = match reader.text(WHAT)? {
            "1" => digest_id.replace(reader.uint(WHAT)?).is_some(),
            "2" => salt.replace(reader.bytes(WHAT)?).is_some(),
            "3" => identifier.replace(reader.text(WHAT)?).is_some(),
            "4" => value.replace(reader.item()?).is_some(),
            _ => {
                reader.item()?;
                false
            }
        };
        if earlier {
            return Err(MALFORMED);
        }
    }
    reader.end()?;
    // Without a salt an observer could guess hidden elements from their digests.
    if salt.is_none_or(<[u8]>::is_empty) {
        return Err(MALFORMED);
    }
    Ok(Item {
        namespace: namespace.to_owned(),
        digest_id: digest_id.ok_or(MALFORMED)?,
        identifier: identifier
            .filter(|identifier| !identifier.is_empty())
            .ok_or(MALFORMED)?
            .to_owned(),
        tagged: span(document, tagged),
        value: span(document, value.ok_or(MALFORMED)?),
    })
}

impl Item {
    /// The same item in another document, where it stands from here on.
    fn moved_to(&self, start: usize) -> Self {
        let moved = |place: &Range<usize>| {
            let offset = place.start - self.tagged.start;
            start + offset..start + offset + place.len()
        };
        Self {
            tagged: moved(&self.tagged),
            value: moved(&self.value),
            ..self.clone()
        }
    }

    /// Within a namespace, digest ids and identifiers are unique.
    fn collides_with(&self, other: &Self) -> bool {
        self.namespace == other.namespace
            && (self.digest_id == other.digest_id || self.identifier == other.identifier)
    }
}

/// Where `part`, a slice of `whole`, lies in it.
fn span(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}
