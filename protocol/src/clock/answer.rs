//! A door's question for the time and the issuer's answer.

use aliro::crypto::PublicKey;

use crate::cbor::{FormatError, Reader, array};
use crate::ids::{DoorId, PropertyId};
use crate::signing::{Purpose, SignedError, input, signed};

/// A door's question: random, good for one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeChallenge {
    /// From the door's secure randomness.
    pub nonce: [u8; 16],
}

/// What the issuer signs. The signer reads its own clock for it and takes no time from callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeAnswer {
    /// The property whose issuer speaks.
    pub property: PropertyId,
    /// The door that asked.
    pub door: DoorId,
    /// Its question.
    pub nonce: [u8; 16],
    /// Milliseconds since 1970 at the signer.
    pub unix_ms: u64,
}

const MAX_ANSWER: usize = 64;

impl TimeAnswer {
    /// The payload.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        array()
            .bytes(&self.property.0)
            .bytes(&self.door.0)
            .bytes(&self.nonce)
            .uint(self.unix_ms)
            .finish()
    }

    /// What the issuer signs for this payload.
    #[must_use]
    pub fn to_be_signed(payload: &[u8]) -> Vec<u8> {
        input(Purpose::Time, &[payload])
    }

    fn from_payload(payload: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::versioned(payload, MAX_ANSWER)?;
        let answer = Self {
            property: PropertyId(reader.exactly()?),
            door: DoorId(reader.exactly()?),
            nonce: reader.exactly()?,
            unix_ms: reader.uint()?,
        };
        reader.end()?;
        Ok(answer)
    }
}

signed! {
    /// An answer with the issuer's signature.
    SignedTimeAnswer, MAX_ANSWER
}

impl SignedTimeAnswer {
    /// The answer, once the issuer's key, the property and the door have been checked. Whether the
    /// nonce is one that the door still waits for is [`super::DoorClock::answer`]'s to say.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn verify(
        &self,
        issuer: &PublicKey,
        property: PropertyId,
        door: DoorId,
    ) -> Result<TimeAnswer, SignedError> {
        self.0.verify(Purpose::Time, issuer)?;
        let answer = TimeAnswer::from_payload(&self.0.payload)?;
        if (answer.property, answer.door) == (property, door) {
            Ok(answer)
        } else {
            Err(SignedError::Elsewhere)
        }
    }
}
