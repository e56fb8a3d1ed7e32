//! What can be wrong with bytes that claim to be a document.

use thiserror::Error;

/// Why bytes are not the structure that they were read as.
///
/// Whether a well-formed document is to be believed is another question, with
/// reasons of its own: [`Refusal`](super::Refusal).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// More bytes than [`MAX_LEN`](super::MAX_LEN).
    #[error("too many bytes")]
    TooLarge,
    /// More nesting or more items than a document can need.
    #[error("nested too deeply or too many items")]
    TooComplex,
    /// Not well-formed CBOR of definite lengths, or bytes behind its end.
    #[error("not well-formed CBOR")]
    NotCbor,
    /// The named part is missing, of another type or out of its range.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// An element of a version that this crate does not know.
    #[error("element version {0}")]
    ElementVersion(u64),
}
