//! The issuer's signature: COSE_Sign1 with ES256 (RFC 9052).
//!
//! `coset` makes the bytes that are signed. It does not read what comes from
//! outside: it follows counter-signatures through any number of nested headers.

use ciborium::value::Value;
use coset::AsCborValue;
use coset::{CoseSign1Builder, Header, HeaderBuilder, ProtectedHeader, iana};

use super::cbor::{self, Reader};
use super::error::DocumentError;
use crate::crypto::Signature;

/// First 8 bytes of SHA-256 over `key-identifier` and the issuer's key.
pub type KeyId = [u8; 8];

/// `{1: -7}`: ES256, and nothing else that a reader would have to understand.
const PROTECTED: [u8; 3] = [0xa1, 0x01, 0x26];

const LABEL_KID: u64 = 4;
const LABEL_X5CHAIN: u64 = 33;

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}

/// A received COSE_Sign1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IssuerAuth {
    protected: Vec<u8>,
    pub(crate) kid: Option<KeyId>,
    /// One DER certificate.
    pub(crate) certificate: Option<Vec<u8>>,
    payload: Vec<u8>,
    pub(crate) signature: Signature,
}

impl IssuerAuth {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        const WHAT: &str = "issuer signature";
        const MALFORMED: DocumentError = DocumentError::Malformed(WHAT);
        let mut reader = Reader::new(bytes)?;
        if reader.array(WHAT)? != 4 {
            return Err(MALFORMED);
        }
        let protected = reader.bytes(WHAT)?.to_vec();
        let (mut kid, mut certificate) = (None, None);
        for _ in 0..reader.map(WHAT)? {
            let earlier = match reader.clone().uint(WHAT) {
                Ok(LABEL_KID) => {
                    reader.uint(WHAT)?;
                    let bytes = reader.bytes(WHAT)?.try_into().map_err(|_| MALFORMED)?;
                    kid.replace(bytes).is_some()
                }
                Ok(LABEL_X5CHAIN) => {
                    reader.uint(WHAT)?;
                    certificate.replace(reader.bytes(WHAT)?.to_vec()).is_some()
                }
                _ => {
                    reader.item()?;
                    reader.item()?;
                    false
                }
            };
            if earlier {
                return Err(MALFORMED);
            }
        }
        let payload = reader.bytes(WHAT)?.to_vec();
        let signature = reader.bytes(WHAT)?.try_into().map_err(|_| MALFORMED)?;
        reader.end()?;
        Ok(Self {
            protected,
            kid,
            certificate,
            payload,
            signature: Signature(signature),
        })
    }

    /// Whether the protected header says ES256 and nothing more.
    pub(crate) fn is_es256(&self) -> bool {
        self.protected == PROTECTED
    }

    /// The bytes inside the payload's `#6.24(bstr)`.
    pub(crate) fn content(&self) -> Result<&[u8], DocumentError> {
        const WHAT: &str = "issuer signature payload";
        let mut reader = Reader::new(&self.payload)?;
        let content = reader.embedded(WHAT)?;
        reader.end()?;
        Ok(content)
    }

    /// What the signature is over.
    pub(crate) fn to_be_signed(&self) -> Vec<u8> {
        to_be_signed(&self.protected, &self.payload)
    }
}

/// How a document says who signed it. At least one of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerName {
    /// The signing key is itself trusted by readers.
    KeyId(KeyId),
    /// One DER certificate of the signing key, issued by a CA that readers
    /// trust (RFC 9360 `x5chain`).
    Certificate(Vec<u8>),
    /// Both: readers that trust the key, and readers that trust the CA.
    Both(KeyId, Vec<u8>),
}

impl IssuerName {
    fn header(&self) -> Header {
        let x5chain = |builder: HeaderBuilder, der: &[u8]| {
            builder.value(LABEL_X5CHAIN as i64, Value::Bytes(der.to_vec()))
        };
        match self {
            Self::KeyId(kid) => HeaderBuilder::new().key_id(kid.to_vec()),
            Self::Certificate(der) => x5chain(HeaderBuilder::new(), der),
            Self::Both(kid, der) => x5chain(HeaderBuilder::new().key_id(kid.to_vec()), der),
        }
        .build()
    }
}

/// The signature's input for a payload that we issue.
pub(crate) fn issue_to_be_signed(payload: &[u8]) -> Vec<u8> {
    to_be_signed(&PROTECTED, payload)
}

/// The COSE_Sign1 of a payload that we issue.
pub(crate) fn issue(name: &IssuerName, payload: Vec<u8>, signature: &Signature) -> Vec<u8> {
    let mut sign1 = CoseSign1Builder::new()
        .unprotected(name.header())
        .payload(payload)
        .build();
    sign1.protected = es256(&PROTECTED);
    sign1.signature = signature.0.to_vec();
    let value = sign1.to_cbor_value().expect("no label is given twice");
    cbor::encode(&value)
}

fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    coset::sig_structure_data(
        coset::SignatureContext::CoseSign1,
        es256(protected),
        None,
        &[],
        payload,
    )
}

/// The header as it was transmitted; `coset` signs `original_data` as it is.
fn es256(protected: &[u8]) -> ProtectedHeader {
    ProtectedHeader {
        original_data: Some(protected.to_vec()),
        header: HeaderBuilder::new()
            .algorithm(iana::Algorithm::ES256)
            .build(),
    }
}
