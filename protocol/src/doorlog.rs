//! A door's log on its way by phone: parcels of events, each whole by itself, signed by the door and sealed
//! to the portal's log key; and the receipt by which a door without a network hears that they are kept.
//!
//! A parcel says from where on the door still hands out entries, after which entry it begins and up to which it goes, and leaves nothing out in between that
//! the door still has. So the portal knows without asking whether something is missing, however many phones
//! brought what; a receipt covers only what is there without a gap. Until it comes, the door keeps
//! everything and hands it out again.

use aliro::crypto::{PublicKey, Signature};
use serde::{Deserialize, Serialize};

use crate::cbor::{FormatError, Reader, array};
use crate::doorlink::DoorEvent;
use crate::ids::{DoorId, Generation, PropertyId};
use crate::sealing::{self, DoesNotOpen, NotSealable, Sealed, SealingKey};
use crate::signing::{Envelope, Purpose, SignedError, input, signed};

/// Most bytes of a parcel's payload.
pub const MAX_PARCEL: usize = 15 * 1024;
/// Most bytes of a sealed parcel.
pub const MAX_SEALED: usize = 65 + MAX_PARCEL + Envelope::OVERHEAD + sealing::TAG;
/// Most events of a parcel.
pub const MAX_EVENTS: usize = 64;

const MAX_RECEIPT: usize = 64;

/// Enters HPKE's key schedule, and then the property.
const INFO: &[u8] = b"latchkey/1/door-log-seal\0";

/// A part of a door's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// The property.
    pub property: PropertyId,
    /// Whose log.
    pub door: DoorId,
    /// Which controller's: each counts for itself.
    pub generation: Generation,
    /// The door hands out no entry up to this one any more: they are kept already, or have made room for others.
    pub kept: u64,
    /// It begins after the entry of this sequence number.
    pub after: u64,
    /// It goes up to the entry of this one.
    pub up_to: u64,
    /// The entries, ascending.
    pub events: Vec<DoorEvent>,
}

impl Parcel {
    /// The payload, with as many of the events as fit: `[1, property, door, generation, kept, after,
    /// up to, [event as JSON, …]]`; and the number up to which it goes. None when there is no event, or when the
    /// first does not fit.
    #[must_use]
    pub fn payload(
        property: PropertyId,
        door: DoorId,
        generation: Generation,
        kept: u64,
        after: u64,
        events: &[DoorEvent],
    ) -> Option<(Vec<u8>, u64)> {
        // The head and the numbers.
        let mut length = 80;
        let mut texts = Vec::new();
        let mut up_to = None;
        for event in events.iter().take(MAX_EVENTS) {
            let text = serde_json::to_string(event).ok()?;
            length += text.len() + 3;
            if length > MAX_PARCEL {
                break;
            }
            up_to = Some(event.sequence);
            texts.push(text);
        }
        let up_to = up_to?;
        let payload = array()
            .bytes(&property.0)
            .bytes(&door.0)
            .uint(generation.0)
            .uint(kept)
            .uint(after)
            .uint(up_to)
            .byte_strings(texts)
            .finish();
        Some((payload, up_to))
    }

    /// What the door signs for this payload.
    #[must_use]
    pub fn to_be_signed(payload: &[u8]) -> Vec<u8> {
        input(Purpose::DoorLog, &[payload])
    }

    fn from_payload(payload: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::versioned(payload, MAX_PARCEL)?;
        let parcel = Self {
            property: PropertyId(reader.exactly()?),
            door: DoorId(reader.exactly()?),
            generation: Generation(reader.uint()?),
            kept: reader.uint()?,
            after: reader.uint()?,
            up_to: reader.uint()?,
            events: reader.list(MAX_EVENTS, |item| {
                let text = item.bytes(MAX_PARCEL)?;
                serde_json::from_slice(&text).map_err(|_| FormatError::Malformed)
            })?,
        };
        reader.end()?;
        let ascending = parcel
            .events
            .is_sorted_by(|one, other| one.sequence < other.sequence);
        let within =
            |event: &DoorEvent| (parcel.after + 1..=parcel.up_to).contains(&event.sequence);
        if parcel.kept > parcel.after
            || parcel.after >= parcel.up_to
            || parcel.events.is_empty()
            || !ascending
            || !parcel.events.iter().all(within)
        {
            return Err(FormatError::Malformed);
        }
        Ok(parcel)
    }
}

/// A parcel with its door's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedParcel(Envelope);

impl SignedParcel {
    /// Puts payload and signature together.
    #[must_use]
    pub fn new(payload: Vec<u8>, signature: Signature) -> Self {
        Self(Envelope { payload, signature })
    }

    /// Seals it to the property's log key. `seed` is from secure randomness, and used for nothing else.
    ///
    /// # Errors
    /// [`NotSealable`].
    pub fn seal(
        &self,
        property: PropertyId,
        log_key: &PublicKey,
        seed: [u8; 32],
    ) -> Result<Vec<u8>, NotSealable> {
        let sealed = sealing::seal(log_key, &info(property), &self.0.to_bytes(), seed)?;
        Ok(sealed.to_bytes())
    }

    /// Opens what [`Self::seal`] made; who signed it is still to be verified.
    ///
    /// # Errors
    /// [`DoesNotOpen`] when it was not sealed to this key, or holds something else.
    pub fn open(bytes: &[u8], property: PropertyId, key: &SealingKey) -> Result<Self, DoesNotOpen> {
        if bytes.len() > MAX_SEALED {
            return Err(DoesNotOpen);
        }
        let plain = key.open(&info(property), &Sealed::from_bytes(bytes)?)?;
        Envelope::from_bytes(&plain, MAX_PARCEL)
            .map(Self)
            .map_err(|_| DoesNotOpen)
    }

    /// Which door this claims to be from, for finding the key that [`Self::verify`] needs.
    ///
    /// # Errors
    /// [`FormatError`] when the payload is no parcel.
    pub fn claimed(&self) -> Result<(PropertyId, DoorId, Generation), FormatError> {
        let parcel = Parcel::from_payload(&self.0.payload)?;
        Ok((parcel.property, parcel.door, parcel.generation))
    }

    /// The parcel, once its door's key has been checked.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn verify(&self, door_key: &PublicKey) -> Result<Parcel, SignedError> {
        self.0.verify(Purpose::DoorLog, door_key)?;
        Ok(Parcel::from_payload(&self.0.payload)?)
    }
}

fn info(property: PropertyId) -> Vec<u8> {
    [INFO, &property.0].concat()
}

/// What the portal keeps of a door's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The property.
    pub property: PropertyId,
    /// Whose log.
    pub door: DoorId,
    /// Which controller's.
    pub generation: Generation,
    /// All entries up to this one are kept durably. An earlier receipt says less, and nothing against it.
    pub up_to: u64,
}

impl Receipt {
    /// The payload: `[1, property, door, generation, up to]`.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        array()
            .bytes(&self.property.0)
            .bytes(&self.door.0)
            .uint(self.generation.0)
            .uint(self.up_to)
            .finish()
    }

    /// What the issuer signs for this payload.
    #[must_use]
    pub fn to_be_signed(payload: &[u8]) -> Vec<u8> {
        input(Purpose::LogReceipt, &[payload])
    }

    fn from_payload(payload: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::versioned(payload, MAX_RECEIPT)?;
        let receipt = Self {
            property: PropertyId(reader.exactly()?),
            door: DoorId(reader.exactly()?),
            generation: Generation(reader.uint()?),
            up_to: reader.uint()?,
        };
        reader.end()?;
        Ok(receipt)
    }
}

signed! {
    /// A receipt with the issuer's signature.
    SignedReceipt, MAX_RECEIPT
}

impl SignedReceipt {
    /// The receipt, once the issuer's key has been checked. Whose it is, the door compares.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn verify(&self, issuer: &PublicKey) -> Result<Receipt, SignedError> {
        self.0.verify(Purpose::LogReceipt, issuer)?;
        Ok(Receipt::from_payload(&self.0.payload)?)
    }
}
