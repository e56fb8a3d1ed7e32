//! The issuing side: what to sign, and the document once it is signed.
//!
//! Signing stands outside: [`AccessDocument::prepare`] says what to sign, the
//! caller has it signed wherever the key lives, and [`Unsigned::finish`] puts
//! the document together.

use std::collections::BTreeMap;

use super::access::AccessData;
use super::cbor::Writer;
use super::certificate;
use super::cose::{self, IssuerName, KeyId};
use super::error::DocumentError;
use super::mso::{self, DeviceKey, MobileSecurityObject, Validity};
use super::response::{self, MAX_ELEMENTS, RawDocument};
use super::revocation::RevocationData;
use super::{ACCESS, REVOCATION};
use crate::crypto::{PublicKey, Signature};

/// Bytes of the random salt of each element.
pub const SALT_LEN: usize = 16;

/// The key id by which documents name an issuer.
#[must_use]
pub fn key_id(issuer: &PublicKey) -> KeyId {
    issuer.key_identifier()
}

/// One element to issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element<D> {
    /// What readers ask for it by; opaque, not empty.
    pub identifier: String,
    /// Fresh from a secure random source, so that its digest tells nothing to
    /// readers that are not shown the element.
    pub salt: [u8; SALT_LEN],
    /// The value.
    pub data: D,
}

/// An Access Document to issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessDocument {
    /// How readers find the key that signs.
    pub issuer: IssuerName,
    /// The Access Credential that it is for.
    pub device_key: PublicKey,
    /// From when until when it holds.
    pub validity: Validity,
    /// Whether a reader without a clock must refuse it.
    pub time_required: bool,
    /// At least one, with identifiers of their own.
    pub elements: Vec<Element<AccessData>>,
}

/// A Revocation Document to issue; for any device to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationDocument {
    /// How readers find the key that signs.
    pub issuer: IssuerName,
    /// From when until when it holds.
    pub validity: Validity,
    /// Whether a reader without a clock must refuse it. A list that only
    /// readers with a clock believe revokes little.
    pub time_required: bool,
    /// At least one, with identifiers of their own.
    pub elements: Vec<Element<RevocationData>>,
}

/// A document that only wants its signature.
#[derive(Debug, Clone)]
pub struct Unsigned {
    doc_type: &'static str,
    issuer: IssuerName,
    tagged_items: Vec<Vec<u8>>,
    payload: Vec<u8>,
}

impl AccessDocument {
    /// Encodes everything but the signature.
    ///
    /// # Errors
    /// [`DocumentError`] when no reader could take the document.
    pub fn prepare(&self) -> Result<Unsigned, DocumentError> {
        let elements = encoded(&self.elements, AccessData::encode)?;
        prepare(ACCESS, &self.issuer, elements, |digests| {
            MobileSecurityObject {
                device_key: Some(DeviceKey::new(&self.device_key)),
                ..signed_object(ACCESS, digests, self.validity, self.time_required)
            }
        })
    }
}

impl RevocationDocument {
    /// Encodes everything but the signature.
    ///
    /// # Errors
    /// [`DocumentError`] when no reader could take the document.
    pub fn prepare(&self) -> Result<Unsigned, DocumentError> {
        let elements = encoded(&self.elements, RevocationData::encode)?;
        prepare(REVOCATION, &self.issuer, elements, |digests| {
            signed_object(REVOCATION, digests, self.validity, self.time_required)
        })
    }
}

impl Unsigned {
    /// The bytes to sign with ECDSA over SHA-256, by the key that `issuer`
    /// names.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        cose::issue_to_be_signed(&self.payload)
    }

    /// The finished document.
    ///
    /// # Errors
    /// [`DocumentError::TooLarge`] when it has more than
    /// [`MAX_LEN`](super::MAX_LEN) bytes.
    pub fn finish(self, signature: Signature) -> Result<RawDocument, DocumentError> {
        let issuer_auth = cose::issue(&self.issuer, self.payload, &signature);
        let items: Vec<_> = self.tagged_items.iter().map(Vec::as_slice).collect();
        RawDocument::decode(&response::assemble(self.doc_type, &items, &issuer_auth).bytes)
    }
}

/// An element whose value is encoded.
struct Encoded<'a> {
    identifier: &'a str,
    salt: &'a [u8; SALT_LEN],
    value: Vec<u8>,
}

fn encoded<D>(
    elements: &[Element<D>],
    encode: impl Fn(&D) -> Result<Vec<u8>, DocumentError>,
) -> Result<Vec<Encoded<'_>>, DocumentError> {
    elements
        .iter()
        .map(|element| {
            Ok(Encoded {
                identifier: &element.identifier,
                salt: &element.salt,
                value: encode(&element.data)?,
            })
        })
        .collect()
}

fn prepare(
    doc_type: &'static str,
    issuer: &IssuerName,
    elements: Vec<Encoded<'_>>,
    mso: impl FnOnce(BTreeMap<u64, [u8; 32]>) -> MobileSecurityObject,
) -> Result<Unsigned, DocumentError> {
    check(issuer, &elements)?;
    // The reference counts digest ids from 1.
    let numbered = (1..).zip(&elements);
    let tagged_items: Vec<_> = numbered.map(|(id, element)| element.tagged(id)).collect();
    let digests = (1..)
        .zip(&tagged_items)
        .map(|(id, tagged)| (id, cose::sha256(tagged)))
        .collect();
    let mut payload = Writer::default();
    payload.embedded(&mso(digests).encode());
    Ok(Unsigned {
        doc_type,
        issuer: issuer.clone(),
        tagged_items,
        payload: payload.into_bytes(),
    })
}

fn check(issuer: &IssuerName, elements: &[Encoded<'_>]) -> Result<(), DocumentError> {
    if let IssuerName::Certificate(der) | IssuerName::Both(_, der) = issuer
        && !certificate::is_certificate(der)
    {
        return Err(DocumentError::Malformed("issuer certificate"));
    }
    if elements.len() > MAX_ELEMENTS {
        return Err(DocumentError::TooComplex);
    }
    let mut identifiers: Vec<_> = elements.iter().map(|element| element.identifier).collect();
    identifiers.sort_unstable();
    identifiers.dedup();
    if elements.is_empty() || identifiers.len() < elements.len() || identifiers.contains(&"") {
        return Err(DocumentError::Malformed("element identifiers"));
    }
    Ok(())
}

impl Encoded<'_> {
    /// The IssuerSignedItem in its tagged byte string.
    fn tagged(&self, digest_id: u64) -> Vec<u8> {
        let mut item = Writer::default();
        item.map(4).text("1").uint(digest_id);
        item.text("2").bytes(self.salt);
        item.text("3").text(self.identifier);
        item.text("4").raw(&self.value);
        let mut tagged = Writer::default();
        tagged.embedded(&item.into_bytes());
        tagged.into_bytes()
    }
}

fn signed_object(
    doc_type: &str,
    digests: BTreeMap<u64, [u8; 32]>,
    validity: Validity,
    time_required: bool,
) -> MobileSecurityObject {
    MobileSecurityObject {
        version: mso::VERSION.to_owned(),
        digest_algorithm: mso::DIGEST_ALGORITHM.to_owned(),
        digests: BTreeMap::from([(doc_type.to_owned(), digests)]),
        device_key: None,
        doc_type: doc_type.to_owned(),
        validity,
        time_required,
    }
}
