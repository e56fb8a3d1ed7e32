//! Messages as they run over BLE's L2CAP channel, and over anything else that
//! carries them: `type (1) | id (1) | payload length (2, big-endian) | payload`.
//!
//! Payloads of types 1, 2 and 3 are attributes, `id (1) | length (1) | value`;
//! those of type 0 are bare APDUs, those of type 4 belong to applications.

mod buffer;
mod notification;

use std::time::Duration;

pub use buffer::{MessageBuffer, TooLong};
pub use notification::{
    Action, ErrorCode, Flow, Notification, OperationSource, ReaderState, Reporting,
};

/// Bytes of the header in front of every payload.
pub const HEADER_LENGTH: usize = 4;

/// Protocol types (the low 6 bits of a message's first byte).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// APDUs of the access protocol, with their own protection.
    AccessProtocol,
    /// UWB ranging (not implemented beyond being recognised).
    Ranging,
    /// Events, states, requests.
    Notification,
    /// Time synchronisation for UWB.
    Supplementary,
    /// Pass-through for applications.
    ThirdParty,
}

impl Protocol {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::AccessProtocol,
            1 => Self::Ranging,
            2 => Self::Notification,
            3 => Self::Supplementary,
            4 => Self::ThirdParty,
            _ => return None,
        })
    }
}

/// Ids of access protocol messages (type 0).
pub(crate) const AP_REQUEST: u8 = 0;
/// See [`AP_REQUEST`].
pub(crate) const AP_RESPONSE: u8 = 1;

/// How long a side waits for the natural next message. Certification survives a
/// pause of 1 s and gives up after 3 s; the exact bound is not in the sources.
pub const RESPONSE_TIME: Duration = Duration::from_secs(2);

/// One whole message, its payload as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// What the payload is.
    pub protocol: Protocol,
    /// Which message of that protocol.
    pub id: u8,
    /// The payload, without the header.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads exactly one message.
    ///
    /// # Errors
    /// [`MessageError`] when the length field does not match, or the type is
    /// unknown.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let [kind, id, high, low, payload @ ..] = bytes else {
            return Err(MessageError::Truncated);
        };
        if payload.len() != usize::from(u16::from_be_bytes([*high, *low])) {
            return Err(MessageError::Length);
        }
        let protocol = Protocol::from_byte(*kind).ok_or(MessageError::UnknownType(*kind))?;
        Ok(Self {
            protocol,
            id: *id,
            payload,
        })
    }

    /// Writes a message. Payloads are below 65536 bytes; a longer one is
    /// refused.
    ///
    /// # Errors
    /// [`MessageError::Length`].
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        let header = header(self.protocol, self.id, self.payload.len())?;
        let mut out = Vec::with_capacity(HEADER_LENGTH + self.payload.len());
        out.extend(header);
        out.extend(self.payload);
        Ok(out)
    }
}

/// A message that is not encrypted.
pub(crate) fn clear_message(
    protocol: Protocol,
    id: u8,
    payload: &[u8],
) -> Result<Vec<u8>, MessageError> {
    Message {
        protocol,
        id,
        payload,
    }
    .encode()
}

/// The four bytes in front of a payload of `length` bytes.
pub(crate) fn header(
    protocol: Protocol,
    id: u8,
    length: usize,
) -> Result<[u8; HEADER_LENGTH], MessageError> {
    let [high, low] = u16::try_from(length)
        .map_err(|_| MessageError::Length)?
        .to_be_bytes();
    Ok([protocol as u8, id, high, low])
}

/// What can be wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Shorter than a header.
    #[error("a message is cut off")]
    Truncated,
    /// The length field does not match, or the payload does not fit in it.
    #[error("a message's length is wrong")]
    Length,
    /// A protocol type outside 0 to 4.
    #[error("unknown message type {0}")]
    UnknownType(u8),
    /// A mandatory attribute is missing, twice there, or of a wrong length.
    #[error("attribute {0} is missing or malformed")]
    Attribute(u8),
    /// An id that this protocol does not have.
    #[error("unknown message id {0}")]
    UnknownId(u8),
    /// An attribute's value means nothing.
    #[error("attribute {0} has a value without meaning")]
    Value(u8),
}

/// Appends one attribute of at most 255 bytes.
///
/// # Errors
/// [`MessageError::Attribute`] for a longer value.
pub fn push_attribute(out: &mut Vec<u8>, id: u8, value: &[u8]) -> Result<(), MessageError> {
    let length = u8::try_from(value.len()).map_err(|_| MessageError::Attribute(id))?;
    out.extend([id, length]);
    out.extend(value);
    Ok(())
}

/// The attributes of a payload, in their order.
///
/// # Errors
/// [`MessageError::Truncated`].
pub fn attributes(mut payload: &[u8]) -> Result<Vec<(u8, &[u8])>, MessageError> {
    let mut out = Vec::new();
    while let [id, length, rest @ ..] = payload {
        let (value, rest) = rest
            .split_at_checked(usize::from(*length))
            .ok_or(MessageError::Truncated)?;
        out.push((*id, value));
        payload = rest;
    }
    if payload.is_empty() {
        Ok(out)
    } else {
        Err(MessageError::Truncated)
    }
}
