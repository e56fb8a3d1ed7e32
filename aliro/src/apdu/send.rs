//! The reader's end: one command out, its answer in.

use super::{ApduError, CHAIN, Command, Response};
use crate::command::{StatusWord, ins};
use crate::proprietary::ExtendedLength;

/// Most bytes that an answer may have, all its pieces together.
const MAX_ANSWER: usize = 0x1_0000;

/// What the device takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most data bytes in a short command, 1 to 255.
    pub short: u8,
    /// The sizes announced for extended length, if any.
    pub extended: Option<ExtendedLength>,
}

impl Limits {
    /// As the device announced.
    pub fn announced(extended: Option<ExtendedLength>) -> Self {
        Self {
            short: 255,
            extended,
        }
    }
}

/// One command on its way.
#[derive(Debug)]
pub struct Exchange {
    command: Command,
    limits: Limits,
    /// Data bytes sent so far.
    sent: usize,
    collected: Vec<u8>,
    pieces: usize,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Send this APDU.
    Send(Vec<u8>),
    /// The answer is whole.
    Done(Response),
}

impl Exchange {
    /// Begins; the first APDU to send is beside it.
    pub fn begin(command: Command, limits: Limits) -> (Self, Vec<u8>) {
        let mut exchange = Self {
            command,
            limits,
            sent: 0,
            collected: Vec::new(),
            pieces: 0,
        };
        let first = exchange.next_part();
        (exchange, first)
    }

    /// Takes the device's answer to the last APDU.
    ///
    /// # Errors
    /// [`ApduError`] for an answer without status word, one that does not end,
    /// or data in the middle of a chain.
    pub fn on_response(&mut self, apdu: &[u8]) -> Result<Progress, ApduError> {
        let response = Response::parse(apdu)?;
        if self.sent < self.command.data.len() {
            if response.status != StatusWord::OK {
                return Ok(Progress::Done(Response::error(response.status)));
            }
            if !response.data.is_empty() {
                return Err(ApduError);
            }
            return Ok(Progress::Send(self.next_part()));
        }
        if self.collected.is_empty() {
            self.collected = response.data;
        } else {
            self.collected.extend(response.data);
        }
        self.pieces += 1;
        if self.collected.len() > MAX_ANSWER || self.pieces > MAX_ANSWER / 64 {
            return Err(ApduError);
        }
        match response.status.0.to_be_bytes() {
            [0x61, more] => Ok(Progress::Send(vec![0x00, ins::GET_RESPONSE, 0, 0, more])),
            _ => Ok(Progress::Done(Response {
                data: std::mem::take(&mut self.collected),
                status: response.status,
            })),
        }
    }

    fn next_part(&mut self) -> Vec<u8> {
        if self.sent == 0 && self.fits_extended() {
            self.sent = self.command.data.len();
            return self.command.encode_extended();
        }
        let rest = &self.command.data[self.sent..];
        let length = rest.len().min(usize::from(self.limits.short.max(1)));
        let (part, rest) = rest.split_at(length);
        self.sent += length;
        let cla = if rest.is_empty() {
            self.command.cla
        } else {
            self.command.cla | CHAIN
        };
        self.command.encode_short(cla, part, 0)
    }

    /// Extended length where it saves a round trip: for long commands, and for
    /// ENVELOPE, whose answer is long.
    fn fits_extended(&self) -> bool {
        let Some(limits) = self.limits.extended else {
            return false;
        };
        let length = self.command.data.len();
        let worthwhile =
            length > usize::from(self.limits.short) || self.command.ins == ins::ENVELOPE;
        worthwhile && length > 0 && length + 9 <= usize::from(limits.max_command)
    }
}
