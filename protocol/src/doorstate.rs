//! What a door tells about itself, signed with its door key whenever something in it has changed. Phones
//! and the portal's instances pass it on unopened; proof of withdrawal, drift and *needs sync* rest on it
//! alone.

use aliro::crypto::PublicKey;
use serde::{Deserialize, Serialize};

use crate::cbor::{FormatError, Reader, VERSION, Writer, array_of, inner};
use crate::clock::ClockReading;
use crate::ids::{DoorId, Generation, PropertyId};
use crate::signing::{Purpose, SignedError, input, signed};
use crate::uses::LeaseReport;

/// The number of a revocation list: the signer's epoch, then a count within it. Zero and zero before
/// the first list.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct ListNumber {
    /// The signer's epoch.
    pub epoch: u32,
    /// From 1 in each epoch.
    pub version: u64,
}

/// How far a door has come in both series of statements. The numbers begin again with each epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StatementNumbers {
    /// The signer's epoch.
    pub epoch: u32,
    /// The last one applied of those for all doors; 0 before the first.
    pub all: u64,
    /// The last one applied of those for this door; 0 before the first.
    pub own: u64,
}

/// The number of a bundle for one door: the signer's epoch, then a count within it. Zero and zero before
/// the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BundleNumber {
    /// The signer's epoch.
    pub epoch: u32,
    /// From 1 in each epoch, strictly growing; some may be left out.
    pub number: u64,
}

/// A door's clock, as it reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockState {
    /// The time and how sure it is.
    pub reading: ClockReading,
    /// Measured drift of its oscillator in parts per million, positive when it runs slow.
    pub drift_ppm: Option<i32>,
}

/// The state of one controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorState {
    /// Its property.
    pub property: PropertyId,
    /// Its door.
    pub door: DoorId,
    /// Which controller of that door.
    pub generation: Generation,
    /// The highest `validityIteration` that it has accepted; 0 before the first.
    pub iteration: u64,
    /// The revocation list that it obeys.
    pub list: ListNumber,
    /// The statements that it has applied, or that a bundle which it has applied stands for.
    pub statements: StatementNumbers,
    /// Its clock at the moment of signing.
    pub clock: ClockState,
    /// Battery, percent, where it has one.
    pub battery: Option<u8>,
    /// One more with each state that it signs: a state with a lower counter is an older one.
    pub counter: u64,
    /// Leases on uses that have changed, at most [`MAX_LEASES`] in ascending order of their budgets, each once.
    pub leases: Vec<LeaseReport>,
    /// The bundle that it has applied.
    pub bundle: BundleNumber,
}

/// Most leases that one state tells of.
pub const MAX_LEASES: usize = 16;

/// Most bytes of a state's payload.
pub const MAX_STATE: usize = 1024;

/// Most bytes of a payload of version 1.
const MAX_FIRST: usize = 256;

/// The version of a state that tells of leases.
const WITH_LEASES: u64 = 2;

/// The version of a state that tells of a bundle, and of leases if there are any.
const WITH_BUNDLE: u64 = 3;

impl ListNumber {
    pub(crate) fn write(self) -> Writer {
        inner().uint(self.epoch).uint(self.version)
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        let mut items = reader.nested()?;
        let number = Self {
            epoch: items.uint()?,
            version: items.uint()?,
        };
        items.end()?;
        Ok(number)
    }
}

impl StatementNumbers {
    pub(crate) fn write(self) -> Writer {
        inner().uint(self.epoch).uint(self.all).uint(self.own)
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        let mut items = reader.nested()?;
        let numbers = Self {
            epoch: items.uint()?,
            all: items.uint()?,
            own: items.uint()?,
        };
        items.end()?;
        Ok(numbers)
    }
}

impl BundleNumber {
    pub(crate) fn write(self) -> Writer {
        inner().uint(self.epoch).uint(self.number)
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        let mut items = reader.nested()?;
        let number = Self {
            epoch: items.uint()?,
            number: items.uint()?,
        };
        items.end()?;
        Ok(number)
    }
}

impl ClockState {
    fn write(self) -> Writer {
        inner()
            .uint(self.reading.unix_ms)
            .uint(self.reading.uncertainty_ms)
            .bool(self.reading.unsure)
            .optional(self.drift_ppm, Writer::int)
    }

    fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        let mut items = reader.nested()?;
        let clock = Self {
            reading: ClockReading {
                unix_ms: items.uint()?,
                uncertainty_ms: items.uint()?,
                unsure: items.bool()?,
            },
            drift_ppm: items.optional(Reader::int)?,
        };
        items.end()?;
        Ok(clock)
    }
}

impl DoorState {
    /// The payload: of the lowest version that says all of it, so that a portal which counts no uses and
    /// makes no bundles reads it.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let version = self.version();
        let state = array_of(version)
            .bytes(&self.property.0)
            .bytes(&self.door.0)
            .uint(self.generation.0)
            .uint(self.iteration)
            .nested(self.list.write())
            .nested(self.statements.write())
            .nested(self.clock.write())
            .optional(self.battery, Writer::uint)
            .uint(self.counter);
        if version < WITH_LEASES {
            return state.finish();
        }
        let state = state.list(self.leases.iter().map(LeaseReport::write));
        if version < WITH_BUNDLE {
            return state.finish();
        }
        state.nested(self.bundle.write()).finish()
    }

    fn version(&self) -> u64 {
        if self.bundle != BundleNumber::default() {
            WITH_BUNDLE
        } else if self.leases.is_empty() {
            VERSION
        } else {
            WITH_LEASES
        }
    }

    /// What the door key signs for this payload.
    #[must_use]
    pub fn to_be_signed(payload: &[u8]) -> Vec<u8> {
        input(Purpose::DoorState, &[payload])
    }

    fn from_payload(payload: &[u8]) -> Result<Self, FormatError> {
        let (version, mut reader) = Reader::up_to_version(WITH_BUNDLE, payload, MAX_STATE)?;
        if version < WITH_LEASES && payload.len() > MAX_FIRST {
            return Err(FormatError::TooLong { limit: MAX_FIRST });
        }
        let mut state = Self {
            property: PropertyId(reader.exactly()?),
            door: DoorId(reader.exactly()?),
            generation: Generation(reader.uint()?),
            iteration: reader.uint()?,
            list: ListNumber::read(&mut reader)?,
            statements: StatementNumbers::read(&mut reader)?,
            clock: ClockState::read(&mut reader)?,
            battery: reader.optional(Reader::uint)?,
            counter: reader.uint()?,
            leases: Vec::new(),
            bundle: BundleNumber::default(),
        };
        if version >= WITH_LEASES {
            state.leases = reader.list(MAX_LEASES, LeaseReport::read)?;
            if !state.leases.is_sorted_by(|a, b| a.budget < b.budget) {
                return Err(FormatError::Malformed);
            }
        }
        if version >= WITH_BUNDLE {
            state.bundle = BundleNumber::read(&mut reader)?;
        }
        reader.end()?;
        // Of the versions that could say this, the lowest is written.
        if state.version() == version {
            Ok(state)
        } else {
            Err(FormatError::Malformed)
        }
    }
}

signed! {
    /// A state with its door's signature.
    SignedDoorState, MAX_STATE
}

impl SignedDoorState {
    /// Which door this claims to be from, for finding the key that [`Self::verify`] needs.
    ///
    /// # Errors
    /// [`FormatError`] when the payload is not a door's state.
    pub fn claimed(&self) -> Result<(PropertyId, DoorId, Generation), FormatError> {
        let state = DoorState::from_payload(&self.0.payload)?;
        Ok((state.property, state.door, state.generation))
    }

    /// The state, once its door's key has been checked.
    ///
    /// # Errors
    /// [`SignedError`] when it is not signed by that key, or is not a state.
    pub fn verify(&self, door_key: &PublicKey) -> Result<DoorState, SignedError> {
        self.0.verify(Purpose::DoorState, door_key)?;
        Ok(DoorState::from_payload(&self.0.payload)?)
    }
}
