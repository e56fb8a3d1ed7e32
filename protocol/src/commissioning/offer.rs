//! What a controller that belongs to nobody offers.

use aliro::crypto::PublicKey;

use super::CommissioningCode;
use crate::cbor::{FormatError, Reader, array};
use crate::clock::TimeChallenge;
use crate::hello::MAX_VERSIONS;
use crate::signing::{Purpose, SignedError, input, signed};

/// A controller's public keys and its first question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its door key: Aliro's reader key.
    pub reader_key: PublicKey,
    /// What is sealed to it is sealed to this key (HPKE, DHKEM over P-256).
    pub sealing_key: PublicKey,
    /// Its first challenge for the time.
    pub challenge: TimeChallenge,
    /// Versions that it speaks, as in its [`crate::hello::ServerHello`].
    pub versions: Vec<u16>,
}

const MAX_OFFER: usize = 256;

impl Offer {
    /// The payload: `[1, reader key (65), sealing key (65), nonce (16), [version, …]]`.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        array()
            .bytes(self.reader_key.as_bytes())
            .bytes(self.sealing_key.as_bytes())
            .bytes(&self.challenge.nonce)
            .uints(self.versions.iter().copied())
            .finish()
    }

    /// What the reader key signs for this payload, to prove that the controller holds it.
    #[must_use]
    pub fn to_be_signed(payload: &[u8]) -> Vec<u8> {
        input(Purpose::CommissioningOffer, &[payload])
    }

    /// The code that the controller shows.
    #[must_use]
    pub fn code(&self) -> CommissioningCode {
        CommissioningCode::of(&self.reader_key, &self.sealing_key)
    }

    fn from_payload(payload: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::versioned(payload, MAX_OFFER)?;
        let offer = Self {
            reader_key: reader.public_key()?,
            sealing_key: reader.public_key()?,
            challenge: TimeChallenge {
                nonce: reader.exactly()?,
            },
            versions: reader.uints(MAX_VERSIONS)?,
        };
        reader.end()?;
        Ok(offer)
    }
}

signed! {
    /// An offer with the reader key's signature.
    SignedOffer, MAX_OFFER
}

impl SignedOffer {
    /// The offer, once it has shown that it was made by the reader key in it. Whose controller it is, only
    /// its code can tell.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn verify(&self) -> Result<Offer, SignedError> {
        let offer = Offer::from_payload(&self.0.payload)?;
        self.0
            .verify(Purpose::CommissioningOffer, &offer.reader_key)?;
        Ok(offer)
    }
}
