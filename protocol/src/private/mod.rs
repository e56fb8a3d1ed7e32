//! What our own two sides say to each other inside Aliro's encrypted third-party messages (type 4), beside
//! the standard: which gesture a commit belongs to, what came of it, and what phones carry to and from
//! doors. Other makers' devices ignore these messages.
//!
//! Each is `[1, kind, …]`; a kind that this side does not know is skipped.

mod lock_sync;
mod pages;
mod result;

pub use lock_sync::{Assembling, BundlePage, LogParcel, LogReach, Needs};
pub use pages::{MAX_LIST, MAX_PAGE, Page, PageAssembler};
pub use result::{Outcome, ResultRecord, Wants};

use crate::bundle::SignedHeader;
use crate::cbor::{FormatError, Reader, array, inner};
use crate::clock::SignedTimeAnswer;
use crate::doorlog::SignedReceipt;
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
    /// Phone: it has come to carry; no commit follows any more. The door answers with what it needs.
    Carry,
    /// Door: how far it has come, and what the phone may bring it.
    Needs(Box<Needs>),
    /// Phone: the signed header of a bundle for this door.
    BundleHeader(Vec<u8>),
    /// Phone: one page of that bundle.
    BundlePage(BundlePage),
    /// Phone: a signed receipt for what the portal keeps of the log.
    LogReceipt(Vec<u8>),
    /// Phone: it takes entries of the log along, those after this one. The door answers with the next.
    TakeLog {
        /// What this phone took along before, and has not been told that it is kept.
        after: u64,
    },
    /// Door: the next entries of its log; none when there are no more.
    Log(Option<LogParcel>),
    /// Phone: the signed answer to the door's question for the time.
    Time(Vec<u8>),
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
            Self::Carry => array().uint(7u8).finish(),
            Self::Needs(needs) => needs.write(array().uint(8u8)).finish(),
            Self::BundleHeader(header) => array().uint(9u8).bytes(header).finish(),
            Self::BundlePage(page) => page.write(array().uint(10u8)).finish(),
            Self::LogReceipt(receipt) => array().uint(11u8).bytes(receipt).finish(),
            Self::TakeLog { after } => array().uint(12u8).uint(*after).finish(),
            Self::Log(parcel) => array()
                .uint(13u8)
                .optional(parcel.as_ref(), |writer, parcel| {
                    writer.nested(parcel.write(inner()))
                })
                .finish(),
            Self::Time(answer) => array().uint(14u8).bytes(answer).finish(),
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
            7 => Self::Carry,
            8 => Self::Needs(Box::new(Needs::read(&mut reader)?)),
            9 => Self::BundleHeader(reader.bytes(SignedHeader::MAX)?),
            10 => Self::BundlePage(BundlePage::read(&mut reader)?),
            11 => Self::LogReceipt(reader.bytes(SignedReceipt::MAX)?),
            12 => Self::TakeLog {
                after: reader.uint()?,
            },
            13 => Self::Log(reader.optional(|reader| {
                let mut items = reader.nested()?;
                let parcel = LogParcel::read(&mut items)?;
                items.end()?;
                Ok(parcel)
            })?),
            14 => Self::Time(reader.bytes(SignedTimeAnswer::MAX)?),
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
