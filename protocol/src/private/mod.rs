//! What our own two sides say to each other inside Aliro's encrypted third-party messages (type 4), beside
//! the standard: which gesture a commit belongs to, what came of it, and what phones carry to and from
//! doors. Other makers' devices ignore these messages.
//!
//! Each is `[1, kind, …]`; a kind that this side does not know is skipped.

mod pages;
mod result;

pub use pages::{MAX_LIST, MAX_PAGE, Page, PageAssembler};
pub use result::{Outcome, ResultRecord, Wants};

use crate::cbor::{FormatError, Reader, array};
use crate::doorstate::SignedDoorState;
use crate::ids::AttemptId;

/// Most bytes of one message: a page and what stands around it.
pub const MAX_MESSAGE: usize = 40 * 1024;
/// Most bytes of statements in one message, all together.
pub const MAX_STATEMENTS: usize = 36 * 1024;
/// Most statements in one message.
pub const MAX_STATEMENT_COUNT: usize = 256;
/// Most unanswered attempts that a commit replaces.
pub const MAX_REPLACED: usize = 16;

/// A message between a Latchkey phone and a Latchkey door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrivateMessage {
    /// Phone, just before its remote-keyless request: which gesture this is.
    Commit {
        /// Good for one credential at one door for 30 seconds; carriers that race, and retries, share it.
        attempt: AttemptId,
        /// Earlier gestures that were never answered and that this one takes the place of.
        replaces: Vec<AttemptId>,
    },
    /// Door: what came of the attempt.
    Result(ResultRecord),
    /// Phone: one page of a revocation list that is newer than the door's.
    RevocationPage(Page),
    /// Phone: signed statements that the door has not applied, each as it came, in order.
    Statements(Vec<Vec<u8>>),
    /// Door: its signed state, after it has applied what was carried.
    State(Vec<u8>),
    /// Either: nothing more to say.
    Done,
}

impl PrivateMessage {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Commit { attempt, replaces } => array()
                .uint(1u8)
                .bytes(&attempt.0)
                .byte_strings(replaces.iter().map(AttemptId::as_bytes))
                .finish(),
            Self::Result(record) => record.write(array().uint(2u8)).finish(),
            Self::RevocationPage(page) => page.write(array().uint(3u8)).finish(),
            Self::Statements(statements) => array().uint(4u8).byte_strings(statements).finish(),
            Self::State(state) => array().uint(5u8).bytes(state).finish(),
            Self::Done => array().uint(6u8).finish(),
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`FormatError::UnknownKind`] for one that is to be skipped, and others for what no peer of ours
    /// sends.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::versioned(bytes, MAX_MESSAGE)?;
        let message = match reader.uint()? {
            1 => Self::Commit {
                attempt: AttemptId(reader.exactly()?),
                replaces: reader.list(MAX_REPLACED, |item| Ok(AttemptId(item.exactly()?)))?,
            },
            2 => Self::Result(ResultRecord::read(&mut reader)?),
            3 => Self::RevocationPage(Page::read(&mut reader)?),
            4 => Self::Statements(
                reader.list(MAX_STATEMENT_COUNT, |item| item.bytes(MAX_STATEMENTS))?,
            ),
            5 => Self::State(reader.bytes(SignedDoorState::MAX)?),
            6 => Self::Done,
            kind => return Err(FormatError::UnknownKind(kind)),
        };
        reader.end()?;
        Ok(message)
    }

    /// Puts statements into as few messages as hold them. One that is too long for any is left out: no
    /// statement of ours is.
    #[must_use]
    pub fn statements(all: impl IntoIterator<Item = Vec<u8>>) -> Vec<Self> {
        let mut messages = Vec::new();
        let (mut batch, mut length) = (Vec::new(), 0);
        for statement in all {
            // A byte string's head has 5 bytes at most in these lengths.
            let more = statement.len() + 5;
            if more > MAX_STATEMENTS {
                continue;
            }
            if length + more > MAX_STATEMENTS || batch.len() == MAX_STATEMENT_COUNT {
                messages.push(Self::Statements(std::mem::take(&mut batch)));
                length = 0;
            }
            length += more;
            batch.push(statement);
        }
        if !batch.is_empty() {
            messages.push(Self::Statements(batch));
        }
        messages
    }
}
