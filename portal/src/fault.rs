//! Why the portal says no, or fails: one error for all operations, a [`ProblemType`] outside.

use latchkey_protocol::api::problem::ProblemType;

use crate::signer::SignerError;
use crate::store::StoreError;

/// An operation that was refused or failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Fault {
    /// Refused, in words for whoever asked.
    #[error("{}: {}", kind.slug(), detail.as_deref().unwrap_or(kind.title()))]
    Refused {
        /// What kind of problem.
        kind: ProblemType,
        /// What is special about it, and what to do.
        detail: Option<String>,
        /// Seconds after which it may be tried again.
        retry_after: Option<u32>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signer refused or failed.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// Something that cannot be, was.
    #[error("internal: {0}")]
    Internal(String),
}

impl Fault {
    /// Refused, with nothing to add to the kind's title.
    #[must_use]
    pub(crate) const fn new(kind: ProblemType) -> Self {
        Self::Refused {
            kind,
            detail: None,
            retry_after: None,
        }
    }

    /// Refused, with what to do.
    #[must_use]
    pub(crate) fn because(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self::Refused {
            kind,
            detail: Some(detail.into()),
            retry_after: None,
        }
    }

    /// A field has a value that the rules refuse.
    #[must_use]
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::because(ProblemType::InvalidValue, detail)
    }

    /// The state does not allow it.
    #[must_use]
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::because(ProblemType::Conflict, detail)
    }

    /// There is nothing, or nothing that the caller may see.
    #[must_use]
    pub(crate) const fn not_found() -> Self {
        Self::new(ProblemType::NotFound)
    }

    /// The caller's role does not allow it.
    #[must_use]
    pub(crate) const fn not_allowed() -> Self {
        Self::new(ProblemType::NotAllowed)
    }

    /// Come back later.
    #[must_use]
    pub(crate) const fn too_many(retry_after: u32) -> Self {
        Self::Refused {
            kind: ProblemType::TooManyRequests,
            detail: None,
            retry_after: Some(retry_after),
        }
    }

    /// What kind of problem it is outside.
    #[must_use]
    pub(crate) const fn kind(&self) -> ProblemType {
        match self {
            Self::Refused { kind, .. } => *kind,
            // What it can never sign is a fault of ours: nobody need come back for it.
            Self::Store(StoreError::NotStorable) => ProblemType::InvalidValue,
            Self::Store(StoreError::Unreachable(_) | StoreError::Full | StoreError::Uncertain) => {
                ProblemType::StoreUnavailable
            }
            Self::Signer(SignerError::NotSignable(_)) | Self::Store(_) | Self::Internal(_) => {
                ProblemType::Internal
            }
            Self::Signer(_) => ProblemType::SignerUnavailable,
        }
    }

    /// What is special about it, and what to do, in words for whoever asked.
    #[must_use]
    pub(crate) fn detail(&self) -> Option<String> {
        match self {
            Self::Refused { detail, .. } => detail.clone(),
            Self::Store(StoreError::Full) => {
                let full = "the portal's disk is full, and nothing was changed: tell whoever runs it, and ask again \
                            with the same idempotency key when there is room";
                Some(full.to_owned())
            }
            Self::Store(StoreError::Uncertain) => {
                let uncertain = "it is not known whether this was kept: ask again with the same idempotency key";
                Some(uncertain.to_owned())
            }
            Self::Signer(error @ SignerError::TooFast { .. }) => Some(error.to_string()),
            Self::Signer(SignerError::Unreachable(_)) => {
                let away = "the signer does not answer, and nothing was changed: ask again with the same idempotency key";
                Some(away.to_owned())
            }
            Self::Store(_) | Self::Signer(_) | Self::Internal(_) => None,
        }
    }
}
