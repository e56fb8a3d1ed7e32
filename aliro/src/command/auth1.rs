//! AUTH1: proofs. The reader's in clear, the device's encrypted.

use super::Signaling;
use crate::crypto::{PublicKey, Signature};
use crate::identifier::{ReaderIdentifier, TransactionIdentifier};
use crate::tlv::{self, Tag, TlvError};

const PARAMETERS: Tag = 0x41;
const SIGNATURE: Tag = 0x9e;
const CERTIFICATE: Tag = 0x90;
const KEY_SLOT: Tag = 0x4e;
const PUBLIC_KEY: Tag = 0x5a;
const MAILBOX: Tag = 0x4b;
const SIGNALING: Tag = 0x5e;
const ACCESS_SIGNED: Tag = 0x91;
const REVOCATION_SIGNED: Tag = 0x92;

/// Whose signature it is: enters what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// The reader's.
    Reader,
    /// The device's.
    Device,
}

/// The 126 bytes that both sides sign, each with its own usage.
pub fn signature_input(
    reader: &ReaderIdentifier,
    device_point: &PublicKey,
    reader_point: &PublicKey,
    transaction: &TransactionIdentifier,
    usage: Usage,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(126);
    tlv::push(&mut out, 0x4d, &reader.to_bytes());
    tlv::push(&mut out, 0x86, device_point.x());
    tlv::push(&mut out, 0x87, reader_point.x());
    tlv::push(&mut out, 0x4c, transaction);
    let usage = match usage {
        Usage::Reader => [0x41, 0x5d, 0x95, 0x69],
        Usage::Device => [0x4e, 0x88, 0x7b, 0x4c],
    };
    tlv::push(&mut out, 0x93, &usage);
    out
}

/// The reader's proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth1Command {
    /// Whether the device is to name its credential by the whole public key
    /// (else by the key slot).
    pub want_public_key: bool,
    /// The reader's signature.
    pub signature: Signature,
    /// The compressed reader certificate, unless LOAD CERT brought it.
    pub certificate: Option<Vec<u8>>,
}

impl Auth1Command {
    /// The command's data.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(69);
        tlv::push(&mut out, PARAMETERS, &[u8::from(self.want_public_key)]);
        tlv::push(&mut out, SIGNATURE, &self.signature.0);
        if let Some(certificate) = &self.certificate {
            tlv::push(&mut out, CERTIFICATE, certificate);
        }
        out
    }

    /// Reads the command's data.
    ///
    /// # Errors
    /// [`TlvError`].
    pub fn parse(data: &[u8]) -> Result<Self, TlvError> {
        let [parameters, signature, certificate] =
            tlv::pick(data, [PARAMETERS, SIGNATURE, CERTIFICATE])?;
        let want_public_key = match tlv::exactly(PARAMETERS, parameters)? {
            [0] => false,
            [1] => true,
            _ => return Err(TlvError::Length(PARAMETERS)),
        };
        Ok(Self {
            want_public_key,
            signature: Signature(tlv::exactly(SIGNATURE, signature)?),
            certificate: certificate.map(<[u8]>::to_vec),
        })
    }
}

/// How a device names its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialName {
    /// By its public key.
    PublicKey(PublicKey),
    /// By the first bytes of the key's hash.
    KeySlot([u8; 8]),
}

/// The device's proof, decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth1Response {
    /// Who it is.
    pub credential: Option<CredentialName>,
    /// Its signature.
    pub signature: Option<Signature>,
    /// A piece of the mailbox, in a format that the sources do not tell.
    pub mailbox: Option<Vec<u8>>,
    /// What it offers.
    pub signaling: Option<Signaling>,
    /// When its Access Document was signed.
    pub access_signed: Option<[u8; 20]>,
    /// When its Revocation Document was signed.
    pub revocation_signed: Option<[u8; 20]>,
}

impl Auth1Response {
    /// The plaintext.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        match &self.credential {
            Some(CredentialName::KeySlot(slot)) => tlv::push(&mut out, KEY_SLOT, slot),
            Some(CredentialName::PublicKey(key)) => {
                tlv::push(&mut out, PUBLIC_KEY, key.as_bytes());
            }
            None => {}
        }
        if let Some(signature) = &self.signature {
            tlv::push(&mut out, SIGNATURE, &signature.0);
        }
        if let Some(mailbox) = &self.mailbox {
            tlv::push(&mut out, MAILBOX, mailbox);
        }
        if let Some(Signaling(bits)) = &self.signaling {
            tlv::push(&mut out, SIGNALING, &bits.to_be_bytes());
        }
        if let Some(signed) = &self.access_signed {
            tlv::push(&mut out, ACCESS_SIGNED, signed);
        }
        if let Some(signed) = &self.revocation_signed {
            tlv::push(&mut out, REVOCATION_SIGNED, signed);
        }
        out
    }

    /// Reads the plaintext. What is missing is the caller's to judge, since
    /// each absence has its own reader status.
    ///
    /// # Errors
    /// [`TlvError`], also for both names at once and a point off the curve.
    pub fn parse(plain: &[u8]) -> Result<Self, TlvError> {
        let [slot, key, signature, mailbox, signaling, access, revocation] = tlv::pick(
            plain,
            [
                KEY_SLOT,
                PUBLIC_KEY,
                SIGNATURE,
                MAILBOX,
                SIGNALING,
                ACCESS_SIGNED,
                REVOCATION_SIGNED,
            ],
        )?;
        let slot = tlv::optional(KEY_SLOT, slot)?.map(CredentialName::KeySlot);
        let key = key
            .map(|key| PublicKey::from_uncompressed(key).map_err(|_| TlvError::Length(PUBLIC_KEY)))
            .transpose()?
            .map(CredentialName::PublicKey);
        if slot.is_some() && key.is_some() {
            return Err(TlvError::Order(PUBLIC_KEY));
        }
        Ok(Self {
            credential: slot.or(key),
            signature: tlv::optional(SIGNATURE, signature)?.map(Signature),
            mailbox: mailbox.map(<[u8]>::to_vec),
            signaling: tlv::optional(SIGNALING, signaling)?
                .map(|bits| Signaling(u16::from_be_bytes(bits))),
            access_signed: timestamp(ACCESS_SIGNED, access)?,
            revocation_signed: timestamp(REVOCATION_SIGNED, revocation)?,
        })
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`: only the shape is checked.
pub(super) fn timestamp(tag: Tag, value: Option<&[u8]>) -> Result<Option<[u8; 20]>, TlvError> {
    let Some(value) = tlv::optional::<20>(tag, value)? else {
        return Ok(None);
    };
    let shaped = value
        .iter()
        .zip(b"dddd-dd-ddTdd:dd:ddZ")
        .all(|(byte, shape)| {
            if *shape == b'd' {
                byte.is_ascii_digit()
            } else {
                byte == shape
            }
        });
    if shaped {
        Ok(Some(value))
    } else {
        Err(TlvError::Length(tag))
    }
}
