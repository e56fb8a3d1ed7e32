//! ISO 7816-4 APDUs: how commands and answers are cut for the carrier. Whole
//! commands go in and come out; chaining, GET RESPONSE and extended length stay
//! inside.

mod receive;
mod send;

pub use receive::{Assembler, Received};
pub use send::{Exchange, Limits, Progress};

use crate::command::{StatusWord, ins};

/// Set in the class byte of every command of a chain but the last.
const CHAIN: u8 = 0x10;

/// One command, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Class.
    pub cla: u8,
    /// Instruction.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// Data.
    pub data: Vec<u8>,
    /// Whether an answer with data is expected.
    pub answered: bool,
}

impl Command {
    /// One of Aliro's own commands (class 80, parameters 0).
    pub fn aliro(ins: u8, data: Vec<u8>) -> Self {
        Self {
            cla: 0x80,
            ins,
            p1: 0,
            p2: 0,
            data,
            answered: ins != ins::CONTROL_FLOW,
        }
    }

    /// ENVELOPE (class 00, parameters 0).
    pub fn envelope(data: Vec<u8>) -> Self {
        Self {
            cla: 0x00,
            ..Self::aliro(ins::ENVELOPE, data)
        }
    }

    /// SELECT of an application.
    pub fn select(application: &[u8]) -> Self {
        Self {
            cla: 0x00,
            p1: 4,
            ..Self::aliro(ins::SELECT, application.to_vec())
        }
    }

    /// Reads one command APDU, short or extended. The class byte keeps its
    /// chaining bit. Le, beside the command, may be absent.
    ///
    /// # Errors
    /// [`ApduError`].
    pub fn parse(apdu: &[u8]) -> Result<(Self, Form, Option<u16>), ApduError> {
        let [cla, ins, p1, p2, body @ ..] = apdu else {
            return Err(ApduError);
        };
        let (data, le, form) = match body {
            [] | [_] => (&[][..], body, Form::Short),
            [0, _, _] => (&[][..], &body[1..], Form::Extended),
            [0, high, low, rest @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let (data, le) = rest.split_at_checked(length).ok_or(ApduError)?;
                if data.is_empty() || !matches!(le.len(), 0 | 2) {
                    return Err(ApduError);
                }
                (data, le, Form::Extended)
            }
            [length, rest @ ..] => {
                let (data, le) = rest
                    .split_at_checked(usize::from(*length))
                    .ok_or(ApduError)?;
                if data.is_empty() || le.len() > 1 {
                    return Err(ApduError);
                }
                (data, le, Form::Short)
            }
        };
        let command = Self {
            cla: *cla,
            ins: *ins,
            p1: *p1,
            p2: *p2,
            data: data.to_vec(),
            answered: !le.is_empty(),
        };
        let le = match le {
            [] => None,
            digits => Some(
                digits
                    .iter()
                    .fold(0, |le, digit| le << 8 | u16::from(*digit)),
            ),
        };
        Ok((command, form, le))
    }

    /// Writes one command APDU with at most 255 bytes of data.
    fn encode_short(&self, cla: u8, data: &[u8], le: u8) -> Vec<u8> {
        let mut out = Vec::with_capacity(data.len() + 6);
        out.extend([cla, self.ins, self.p1, self.p2]);
        if !data.is_empty() {
            out.push(data.len() as u8);
            out.extend(data);
        }
        if self.answered {
            out.push(le);
        }
        out
    }

    fn encode_extended(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + 9);
        out.extend([self.cla, self.ins, self.p1, self.p2, 0]);
        out.extend((self.data.len() as u16).to_be_bytes());
        out.extend(&self.data);
        if self.answered {
            out.extend([0, 0]);
        }
        out
    }
}

/// Which form a command had: the answer's length follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lengths of one byte.
    Short,
    /// Lengths of three bytes.
    Extended,
}

/// One answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Data; empty with an error status.
    pub data: Vec<u8>,
    /// How it went.
    pub status: StatusWord,
}

impl Response {
    /// Done, with this data.
    pub fn ok(data: Vec<u8>) -> Self {
        Self {
            data,
            status: StatusWord::OK,
        }
    }

    /// Refused.
    pub fn error(status: StatusWord) -> Self {
        Self {
            data: Vec::new(),
            status,
        }
    }

    /// Reads one response APDU.
    ///
    /// # Errors
    /// [`ApduError`] when it has no status word.
    pub fn parse(apdu: &[u8]) -> Result<Self, ApduError> {
        let (data, status) = apdu.split_last_chunk::<2>().ok_or(ApduError)?;
        Ok(Self {
            data: data.to_vec(),
            status: StatusWord(u16::from_be_bytes(*status)),
        })
    }

    /// Writes one response APDU.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + 2);
        out.extend(&self.data);
        out.extend(self.status.0.to_be_bytes());
        out
    }
}

/// An APDU is malformed, or an answer never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an APDU is malformed")]
pub struct ApduError;

#[cfg(test)]
mod tests;
