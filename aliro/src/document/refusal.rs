//! Why a reader does not believe a document.

use thiserror::Error;

use super::evaluate::Verdict;

/// Why a document, or one of its elements, is refused. In the order of the
/// checks; the first that fails is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not the document type that was asked for.
    #[error("another document type")]
    WrongDocType,
    /// Not signed with ES256.
    #[error("another signature algorithm")]
    WrongAlgorithm,
    /// Neither a key id nor a certificate.
    #[error("no issuer named")]
    NoIssuer,
    /// The key id is of no trusted issuer.
    #[error("issuer not trusted")]
    UnknownIssuer,
    /// Not an issuer certificate, or one without a usable key.
    #[error("malformed issuer certificate")]
    MalformedCertificate,
    /// Not signed by a trusted CA.
    #[error("issuer certificate not trusted")]
    UntrustedCertificate,
    /// The certificate does not hold now.
    #[error("issuer certificate expired or not yet valid")]
    CertificateExpired,
    /// The issuer's signature does not verify.
    #[error("bad issuer signature")]
    BadSignature,
    /// Another version or digest algorithm in the signed part.
    #[error("unknown version or digest algorithm")]
    UnknownVersion,
    /// The signed document type is another one.
    #[error("document type differs from the signed one")]
    DocTypeMismatch,
    /// No element.
    #[error("no data element")]
    NoElements,
    /// An element that is not the one that was signed.
    #[error("digest mismatch")]
    DigestMismatch,
    /// None of the elements asked for.
    #[error("no element that was asked for")]
    NotAsked,
    /// Issued to another key, to none, or (a revocation) to any.
    #[error("device key mismatch")]
    WrongDevice,
    /// The document holds only later.
    #[error("not yet valid")]
    NotYetValid,
    /// The document no longer holds.
    #[error("expired")]
    Expired,
    /// Signed when the issuer's certificate did not hold.
    #[error("signed outside the certificate's validity")]
    SignedOutsideCertificate,
    /// The document wants its validity checked, and there is no clock.
    #[error("needs a clock")]
    TimeRequired,
    /// The issuer's counter has gone on by 8 or more.
    #[error("validity iteration too old")]
    IterationTooOld,
    /// An element of a version other than 1.
    #[error("unknown element version")]
    ElementVersion,
    /// An element that is not AccessData or RevocationData.
    #[error("malformed element")]
    MalformedElement,
    /// A critical extension that this reader does not know.
    #[error("unknown critical extension")]
    UnknownCriticalExtension,
    /// A rule that is not configured in this reader.
    #[error("unknown reader rule")]
    UnknownReaderRule,
    /// The rules do not allow the action now.
    #[error("not allowed: {0:?}")]
    NotAllowed(Verdict),
    /// Withdrawn, by key or by id.
    #[error("revoked")]
    Revoked,
}
