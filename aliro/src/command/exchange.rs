//! EXCHANGE, decrypted: mailbox, notifications, reader status, ranging key, and
//! (recognised, never carried out) an update of the document.

use super::ReaderStatus;
use crate::mailbox;
use crate::tlv::{self, Tag, TlvError};

const MAILBOX: Tag = 0xba;
const NOTIFY: Tag = 0xae;
const STATUS: Tag = 0x97;
const RANGING_KEY: Tag = 0x98;
const UPDATE: Tag = 0x81;

/// What a reader exchanges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExchangeCommand {
    /// Mailbox commands (tag BA).
    pub mailbox: Option<mailbox::Request>,
    /// A notification for others (tag AE), its value, at most 250 bytes.
    pub notify: Option<Vec<u8>>,
    /// The end of the transaction.
    pub status: Option<ReaderStatus>,
    /// Make the ranging key available.
    pub ranging_key: bool,
    /// A new Access Document.
    pub update: Option<Vec<u8>>,
}

impl ExchangeCommand {
    /// Only a status.
    pub fn status(status: ReaderStatus) -> Self {
        Self {
            status: Some(status),
            ..Self::default()
        }
    }

    /// Only mailbox commands.
    pub fn mailbox(request: mailbox::Request) -> Self {
        Self {
            mailbox: Some(request),
            ..Self::default()
        }
    }

    /// How many pieces come back.
    pub fn reads(&self) -> usize {
        self.mailbox.as_ref().map_or(0, mailbox::Request::reads)
    }

    /// The plaintext.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(mailbox) = &self.mailbox {
            tlv::push(&mut out, MAILBOX, &mailbox.encode());
        }
        if let Some(notify) = &self.notify {
            tlv::push(&mut out, NOTIFY, notify);
        }
        if let Some(ReaderStatus(status)) = &self.status {
            tlv::push(&mut out, STATUS, &status.to_be_bytes());
        }
        if self.ranging_key {
            tlv::push(&mut out, RANGING_KEY, &[]);
        }
        if let Some(update) = &self.update {
            tlv::push(&mut out, UPDATE, update);
        }
        out
    }

    /// Reads the plaintext.
    ///
    /// # Errors
    /// [`TlvError`].
    pub fn parse(plain: &[u8]) -> Result<Self, TlvError> {
        let [mailbox, notify, status, ranging_key, update] =
            tlv::pick(plain, [MAILBOX, NOTIFY, STATUS, RANGING_KEY, UPDATE])?;
        Ok(Self {
            mailbox: mailbox.map(mailbox::Request::parse).transpose()?,
            notify: tlv::at_most(NOTIFY, notify, 250)?.map(<[u8]>::to_vec),
            status: tlv::optional(STATUS, status)?.map(|s| ReaderStatus(u16::from_be_bytes(s))),
            ranging_key: tlv::optional::<0>(RANGING_KEY, ranging_key)?.is_some(),
            update: update.map(<[u8]>::to_vec),
        })
    }
}

/// How a device answers inside the encryption: 0000 for success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeResult(pub u16);

impl ExchangeResult {
    /// Everything was done.
    pub const OK: Self = Self(0);
    /// Nothing was done (values other than 0 are the implementation's own).
    pub const FAILED: Self = Self(0xffff);
}

/// The plaintext of an answer: what was read, each piece after its length, then
/// the result.
pub fn exchange_response(reads: &[Vec<u8>], result: ExchangeResult) -> Vec<u8> {
    let mut out = Vec::new();
    for read in reads {
        out.extend((read.len() as u16).to_be_bytes());
        out.extend(read);
    }
    out.extend([0, 2]);
    out.extend(result.0.to_be_bytes());
    out
}

/// Splits the plaintext of an answer to a command with `reads` reads.
///
/// # Errors
/// [`TlvError::Truncated`] unless exactly that many pieces and a result are
/// there, or the result alone when it is a failure.
pub fn parse_exchange_response(
    mut plain: &[u8],
    reads: usize,
) -> Result<(Vec<Vec<u8>>, ExchangeResult), TlvError> {
    let mut pieces = Vec::new();
    while let [high, low, rest @ ..] = plain {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (piece, rest) = rest.split_at_checked(length).ok_or(TlvError::Truncated)?;
        pieces.push(piece.to_vec());
        plain = rest;
    }
    let result = match pieces.pop().as_deref() {
        Some([high, low]) if plain.is_empty() => ExchangeResult(u16::from_be_bytes([*high, *low])),
        _ => return Err(TlvError::Truncated),
    };
    let expected = if result == ExchangeResult::OK {
        reads
    } else {
        0
    };
    if pieces.len() == expected {
        Ok((pieces, result))
    } else {
        Err(TlvError::Truncated)
    }
}
