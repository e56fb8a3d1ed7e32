//! What the issuer tells doors beside grants and revocation lists: numbered statements, in two series
//! without gaps, one for all doors and one for each.
//!
//! Payload: `[1, property (16), addressee (null for all, else the door, 12), epoch, number, kind, body]`.

mod body;
mod series;

use aliro::crypto::PublicKey;

pub use body::{Body, DoorSettings, PropertySettings};
use serde::{Deserialize, Serialize};
pub use series::Step;

use crate::cbor::{FormatError, Reader, Writer, array};
use crate::ids::{DoorId, PropertyId};
use crate::signing::{Purpose, SignedError, input, signed};

/// Most bytes of a statement's payload. A century of offsets and ten years of holidays fit.
pub const MAX_STATEMENT: usize = 32 * 1024;

/// To whom a statement speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressee {
    /// Every door of the property.
    All,
    /// One door, whatever controller stands there.
    Door(DoorId),
}

/// A statement of a property's issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Whose issuer speaks.
    pub property: PropertyId,
    /// To whom; each addressee has a series of its own.
    pub addressee: Addressee,
    /// The signer's epoch: a restored portal begins a new one, in which all series begin again.
    pub epoch: u32,
    /// Its number in its series, from 1, without gaps.
    pub number: u64,
    /// What it says.
    pub body: Body,
}

impl Statement {
    /// The payload.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let writer = array().bytes(&self.property.0);
        let writer = match self.addressee {
            Addressee::All => writer.null(),
            Addressee::Door(door) => writer.bytes(&door.0),
        };
        let writer = writer
            .uint(self.epoch)
            .uint(self.number)
            .uint(self.body.kind());
        self.body.write(writer).finish()
    }

    /// What the issuer signs for this payload.
    #[must_use]
    pub fn to_be_signed(payload: &[u8]) -> Vec<u8> {
        input(Purpose::Statement, &[payload])
    }

    fn from_payload(payload: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::versioned(payload, MAX_STATEMENT)?;
        let property = PropertyId(reader.exactly()?);
        let addressee = match reader.optional(Reader::exactly)? {
            None => Addressee::All,
            Some(door) => Addressee::Door(DoorId(door)),
        };
        let epoch = reader.uint()?;
        let number = reader.uint()?;
        if number == 0 {
            return Err(FormatError::Malformed);
        }
        let kind = reader.uint()?;
        let body = Body::read(kind, &mut reader)?;
        reader.end()?;
        Ok(Self {
            property,
            addressee,
            epoch,
            number,
            body,
        })
    }
}

signed! {
    /// A statement with the issuer's signature, as it is carried and kept.
    SignedStatement, MAX_STATEMENT
}

impl SignedStatement {
    /// The statement, once the issuer's key and the property have been checked.
    ///
    /// # Errors
    /// [`SignedError`]; [`FormatError::UnknownKind`] or [`FormatError::NewerVersion`] within it means
    /// that the statement is good but this door has to be updated before it can obey.
    pub fn verify(
        &self,
        issuer: &PublicKey,
        property: PropertyId,
    ) -> Result<Statement, SignedError> {
        self.0.verify(Purpose::Statement, issuer)?;
        let statement = Statement::from_payload(&self.0.payload)?;
        if statement.property == property {
            Ok(statement)
        } else {
            Err(SignedError::Elsewhere)
        }
    }
}
