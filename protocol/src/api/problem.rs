//! Problem details (RFC 9457): what went wrong, in a form that a program can act on.

use serde::{Deserialize, Serialize};

/// Media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! problems {
    ($($(#[$doc:meta])* $variant:ident = $slug:literal, $status:literal, $title:literal;)*) => {
        /// What kinds of problem there are. Each has a page under `/problems/{slug}` of the portal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemType { $($(#[$doc])* $variant,)* }

        impl ProblemType {
            /// Every kind, in the order of the docs.
            pub const ALL: &'static [ProblemType] = &[$(ProblemType::$variant,)*];

            /// The last part of the type's URI reference.
            #[must_use]
            pub fn slug(self) -> &'static str { match self { $(ProblemType::$variant => $slug,)* } }

            /// The HTTP status that goes with it (RFC 9110, section 15).
            #[must_use]
            pub fn status(self) -> u16 { match self { $(ProblemType::$variant => $status,)* } }

            /// A short text for people, the same for every occurrence.
            #[must_use]
            pub fn title(self) -> &'static str { match self { $(ProblemType::$variant => $title,)* } }
        }
    };
}

problems! {
    /// The body, a parameter or a header does not read.
    BadRequest = "bad-request", 400, "The request does not read";
    /// A field has a value that the rules refuse; `detail` names the field and says what is wanted.
    InvalidValue = "invalid-value", 422, "A value is refused";
    /// No token, or one that does not count.
    NotSignedIn = "not-signed-in", 401, "Sign in first";
    /// The DPoP proof lacks the server's nonce (RFC 9449, section 8): repeat with the one in `DPoP-Nonce`.
    UseDpopNonce = "use-dpop-nonce", 401, "Repeat with the nonce in the DPoP-Nonce header";
    /// The DPoP proof does not fit the request, the token or its key, or was used before.
    BadProof = "bad-proof", 401, "The proof of possession is refused";
    /// The sign-in code is wrong, used or too old.
    WrongCode = "wrong-code", 401, "The code is wrong or too old";
    /// The refresh token was used before by somebody else: all of this device's tokens are dead.
    TokenReused = "token-reused", 401, "This sign-in was ended because its token was used twice";
    /// The person's role does not allow it.
    NotAllowed = "not-allowed", 403, "Your role does not allow this";
    /// There is no such thing, or none that the caller may see.
    NotFound = "not-found", 404, "There is nothing here";
    /// The method does not exist on this path.
    MethodNotAllowed = "method-not-allowed", 405, "The method does not exist here";
    /// Something changed in between, or the state does not allow it any more.
    Conflict = "conflict", 409, "The state does not allow this";
    /// The idempotency key was used before with another request.
    IdempotencyReused = "idempotency-reused", 422, "The idempotency key belongs to another request";
    /// A write came without an idempotency key.
    IdempotencyMissing = "idempotency-missing", 400, "Send an Idempotency-Key header with every write";
    /// The link was resent, withdrawn, bound too often or has ended.
    LinkEnded = "link-ended", 410, "This link is no longer good";
    /// The sync cursor is of an older epoch, or not one of this portal: sync from the beginning.
    CursorStale = "cursor-stale", 410, "Start the sync from the beginning";
    /// The body is larger than the portal takes.
    TooLarge = "too-large", 413, "The body is too large";
    /// The body has another media type than the endpoint takes.
    UnsupportedMediaType = "unsupported-media-type", 415, "Send application/json";
    /// Too many requests; `Retry-After` says when to come back.
    TooManyRequests = "too-many-requests", 429, "Too many requests";
    /// The controller's code does not match the keys that it offers.
    CommissioningMismatch = "commissioning-mismatch", 422, "The code does not belong to this controller";
    /// The door has no connection to the portal now.
    DoorOffline = "door-offline", 503, "The door is not connected";
    /// The signer cannot be reached or refuses; nothing was changed.
    SignerUnavailable = "signer-unavailable", 503, "Nothing can be signed now";
    /// The portal's database cannot be reached, has no room or broke off: ask again a little later, with the same
    /// idempotency key.
    StoreUnavailable = "store-unavailable", 503, "The portal cannot use its database now";
    /// The portal holds as many connections, or answers, as it can; `Retry-After` says when to come back.
    Full = "full", 503, "The portal is full";
    /// A fault of the portal. The log has it under the request's id.
    Internal = "internal", 500, "The portal failed";
}

impl ProblemType {
    /// The kind that a type's URI reference names.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        let slug = uri.rsplit('/').next()?;
        Self::ALL.iter().copied().find(|kind| kind.slug() == slug)
    }
}

/// The body of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `/problems/{slug}`, relative to the portal.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same text for every occurrence of this type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is special about this occurrence, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The request's id, as in the portal's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl Problem {
    /// A problem of this kind without detail.
    #[must_use]
    pub fn new(kind: ProblemType) -> Self {
        Self {
            kind: format!("/problems/{}", kind.slug()),
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: None,
            instance: None,
        }
    }

    /// The same with a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// What kind it is, when this version knows it.
    #[must_use]
    pub fn problem_type(&self) -> Option<ProblemType> {
        ProblemType::from_uri(&self.kind)
    }
}
