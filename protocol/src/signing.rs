//! What our signatures cover. Each is ES256 (RFC 7518, section 3.4: ECDSA over P-256 with SHA-256, raw
//! r || s) over an ASCII prefix of its own and then the parts, so that a signature made for one purpose
//! says nothing for another.
//!
//! Nothing here signs: a format returns the bytes that are to be signed, and whoever holds the key,
//! often hardware, answers with the signature.

use aliro::crypto::{PublicKey, Signature};

use crate::cbor::{FormatError, Reader, inner};

/// What a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The issuer speaks to doors: [`crate::statement`].
    Statement,
    /// The issuer makes a pass: [`crate::pass`].
    Pass,
    /// A code key signs a rotating code: [`crate::code`].
    Code,
    /// A code key asks for an opening over the network. Reserved; the format comes with the page's
    /// button.
    Open,
    /// A door tells its state: [`crate::doorstate`].
    DoorState,
    /// A door signs in at the portal: [`crate::proof`].
    DoorSignIn,
    /// The issuer tells a door the time: [`crate::clock`].
    Time,
    /// A phone or a page proves that it holds the key it registers: [`crate::proof`].
    CredentialProof,
    /// A new controller proves that it holds its reader key: [`crate::commissioning`].
    CommissioningOffer,
    /// The issuer's bundle for a door without a network: [`crate::bundle`].
    Bundle,
    /// A door hands out entries of its log: [`crate::doorlog`].
    DoorLog,
    /// The issuer tells a door how much of its log is kept: [`crate::doorlog`].
    LogReceipt,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 12] = [
        Self::Statement,
        Self::Pass,
        Self::Code,
        Self::Open,
        Self::DoorState,
        Self::DoorSignIn,
        Self::Time,
        Self::CredentialProof,
        Self::CommissioningOffer,
        Self::Bundle,
        Self::DoorLog,
        Self::LogReceipt,
    ];

    /// What stands before the signed parts. Each ends with a zero byte, so none is the start of another.
    #[must_use]
    pub const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Statement => b"latchkey/1/statement\0",
            Self::Pass => b"latchkey/1/pass\0",
            Self::Code => b"latchkey/1/code\0",
            Self::Open => b"latchkey/1/open\0",
            Self::DoorState => b"latchkey/1/door-state\0",
            Self::DoorSignIn => b"latchkey/1/door-sign-in\0",
            Self::Time => b"latchkey/1/time\0",
            Self::CredentialProof => b"latchkey/1/credential-proof\0",
            Self::CommissioningOffer => b"latchkey/1/commissioning-offer\0",
            Self::Bundle => b"latchkey/1/bundle\0",
            Self::DoorLog => b"latchkey/1/door-log\0",
            Self::LogReceipt => b"latchkey/1/log-receipt\0",
        }
    }
}

/// The bytes that a signature for this purpose covers: the prefix, then the parts as given. All parts
/// but the last have a fixed length in every format that uses this, so no two lists of parts look alike.
#[must_use]
pub fn input(purpose: Purpose, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = purpose.prefix().to_vec();
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Checks a signature over [`input`].
///
/// # Errors
/// [`BadSignature`] when it does not verify.
pub fn verify(
    purpose: Purpose,
    key: &PublicKey,
    parts: &[&[u8]],
    signature: &Signature,
) -> Result<(), BadSignature> {
    key.verify(&input(purpose, parts), signature)
        .map_err(|_| BadSignature)
}

/// The signature is not by this key over these bytes for this purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// Why something signed is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// The bytes are not of this format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// Rightly signed, but for another property, door or question.
    #[error("signed for something else")]
    Elsewhere,
}

/// A payload beside its signature, exactly as they were made: CBOR `[payload, signature]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What was signed, after the prefix.
    pub payload: Vec<u8>,
    /// r || s.
    pub signature: Signature,
}

impl Envelope {
    /// How many bytes an envelope adds to its payload at most.
    pub const OVERHEAD: usize = 1 + 9 + 2 + 64;

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        inner()
            .bytes(&self.payload)
            .bytes(&self.signature.0)
            .finish()
    }

    /// Reads an envelope whose payload has at most `limit` bytes. Nothing is verified yet.
    ///
    /// # Errors
    /// [`FormatError`] for anything else.
    pub fn from_bytes(bytes: &[u8], limit: usize) -> Result<Self, FormatError> {
        let mut reader = Reader::bare(bytes, limit.saturating_add(Self::OVERHEAD))?;
        let payload = reader.bytes(limit)?;
        let signature = reader.signature()?;
        reader.end()?;
        Ok(Self { payload, signature })
    }

    /// Checks the signature over the payload alone.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not verify.
    pub fn verify(&self, purpose: Purpose, key: &PublicKey) -> Result<(), BadSignature> {
        verify(purpose, key, &[&self.payload], &self.signature)
    }
}

/// Declares a payload with its signature as it is carried and kept. Who must have signed, and what else must hold, is the
/// type's own `verify`.
macro_rules! signed {
    ($(#[$doc:meta])* $name:ident, $most:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name($crate::signing::Envelope);

        impl $name {
            /// Most bytes on the wire.
            pub const MAX: usize = $most + $crate::signing::Envelope::OVERHEAD;

            /// Puts payload and signature together.
            #[must_use]
            pub fn new(payload: Vec<u8>, signature: aliro::crypto::Signature) -> Self {
                Self($crate::signing::Envelope { payload, signature })
            }

            /// The bytes.
            #[must_use]
            pub fn to_bytes(&self) -> Vec<u8> {
                self.0.to_bytes()
            }

            /// Reads what [`Self::to_bytes`] wrote; nothing is verified yet.
            ///
            /// # Errors
            /// [`FormatError`](crate::cbor::FormatError) for anything else.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, $crate::cbor::FormatError> {
                $crate::signing::Envelope::from_bytes(bytes, $most).map(Self)
            }
        }
    };
}

pub(crate) use signed;

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Envelope({} bytes)", self.payload.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_prefix_is_the_start_of_another() {
        for one in Purpose::ALL {
            for other in Purpose::ALL {
                assert!(
                    one == other || !other.prefix().starts_with(one.prefix()),
                    "{one:?} and {other:?}"
                );
            }
            assert!(one.prefix().is_ascii());
        }
    }
}
