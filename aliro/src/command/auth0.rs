//! AUTH0: fresh points and names, in clear.

use super::Policy;
use crate::crypto::PublicKey;
use crate::identifier::{ReaderIdentifier, TransactionIdentifier, Version};
use crate::tlv::{self, Tag, TlvError};

const PARAMETERS: Tag = 0x41;
const POLICY: Tag = 0x42;
const VERSION: Tag = 0x5c;
const READER_POINT: Tag = 0x87;
const TRANSACTION: Tag = 0x4c;
const READER: Tag = 0x4d;
const READER_EXTENSION: Tag = 0xb1;
const DEVICE_POINT: Tag = 0x86;
const CRYPTOGRAM: Tag = 0x9d;
const DEVICE_EXTENSION: Tag = 0xb2;

/// The reader's opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth0Command {
    /// Whether it asks for the fast phase.
    pub fast: bool,
    /// Whether the user must be asked.
    pub policy: Policy,
    /// The version chosen.
    pub version: Version,
    /// The reader's fresh point.
    pub reader_point: PublicKey,
    /// The transaction's number.
    pub transaction: TransactionIdentifier,
    /// The reader's name.
    pub reader: ReaderIdentifier,
    /// Vendor extension (tag B1), its value.
    pub extension: Option<Vec<u8>>,
}

impl Auth0Command {
    /// What follows the key salts' interface and version: `command_parameters
    /// || authentication_policy`.
    pub fn flag(&self) -> [u8; 2] {
        [u8::from(self.fast), self.policy as u8]
    }

    /// The command's data.
    pub fn encode(&self) -> Vec<u8> {
        let [parameters, policy] = self.flag();
        let mut out = Vec::with_capacity(129);
        tlv::push(&mut out, PARAMETERS, &[parameters]);
        tlv::push(&mut out, POLICY, &[policy]);
        tlv::push(&mut out, VERSION, &self.version.to_be_bytes());
        tlv::push(&mut out, READER_POINT, self.reader_point.as_bytes());
        tlv::push(&mut out, TRANSACTION, &self.transaction);
        tlv::push(&mut out, READER, &self.reader.to_bytes());
        if let Some(extension) = &self.extension {
            tlv::push(&mut out, READER_EXTENSION, extension);
        }
        out
    }

    /// Reads the command's data.
    ///
    /// # Errors
    /// [`TlvError`]; a point that is not on the curve counts as a wrong length
    /// of its tag, a parameter without meaning likewise.
    pub fn parse(data: &[u8]) -> Result<Self, TlvError> {
        let [
            parameters,
            policy,
            version,
            point,
            transaction,
            reader,
            extension,
        ] = tlv::pick(
            data,
            [
                PARAMETERS,
                POLICY,
                VERSION,
                READER_POINT,
                TRANSACTION,
                READER,
                READER_EXTENSION,
            ],
        )?;
        let fast = match tlv::exactly(PARAMETERS, parameters)? {
            [0] => false,
            [1] => true,
            _ => return Err(TlvError::Length(PARAMETERS)),
        };
        let [policy] = tlv::exactly(POLICY, policy)?;
        Ok(Self {
            fast,
            policy: Policy::from_byte(policy).ok_or(TlvError::Length(POLICY))?,
            version: Version::from_be_bytes(tlv::exactly(VERSION, version)?),
            reader_point: point_in(READER_POINT, point)?,
            transaction: tlv::exactly(TRANSACTION, transaction)?,
            reader: ReaderIdentifier::from(tlv::exactly::<32>(READER, reader)?),
            extension: tlv::at_most(READER_EXTENSION, extension, 127)?.map(<[u8]>::to_vec),
        })
    }
}

/// The device's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth0Response {
    /// The device's fresh point.
    pub device_point: PublicKey,
    /// Present exactly when the fast phase was asked for.
    pub cryptogram: Option<[u8; 64]>,
    /// Vendor extension (tag B2), its value.
    pub extension: Option<Vec<u8>>,
}

impl Auth0Response {
    /// The answer's data.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(67 + 66);
        tlv::push(&mut out, DEVICE_POINT, self.device_point.as_bytes());
        if let Some(cryptogram) = &self.cryptogram {
            tlv::push(&mut out, CRYPTOGRAM, cryptogram);
        }
        if let Some(extension) = &self.extension {
            tlv::push(&mut out, DEVICE_EXTENSION, extension);
        }
        out
    }

    /// Reads the answer's data, to a command that did or did not ask for the
    /// fast phase.
    ///
    /// # Errors
    /// [`TlvError`], also for a cryptogram that is missing or not asked for.
    pub fn parse(data: &[u8], fast: bool) -> Result<Self, TlvError> {
        let [point, cryptogram, extension] =
            tlv::pick(data, [DEVICE_POINT, CRYPTOGRAM, DEVICE_EXTENSION])?;
        let cryptogram = tlv::optional(CRYPTOGRAM, cryptogram)?;
        if cryptogram.is_some() != fast {
            return Err(TlvError::Missing(CRYPTOGRAM));
        }
        Ok(Self {
            device_point: point_in(DEVICE_POINT, point)?,
            cryptogram,
            extension: tlv::at_most(DEVICE_EXTENSION, extension, 128)?.map(<[u8]>::to_vec),
        })
    }
}

fn point_in(tag: Tag, value: Option<&[u8]>) -> Result<PublicKey, TlvError> {
    let value = tlv::exactly::<65>(tag, value)?;
    PublicKey::from_uncompressed(&value).map_err(|_| TlvError::Length(tag))
}
