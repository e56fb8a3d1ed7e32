//! The result record: what a door says after a commit.

use chrono::{DateTime, Utc};

use crate::cbor::{FormatError, Reader, Writer, inner};
use crate::doorstate::{ListNumber, SignedDoorState, StatementNumbers};
use crate::ids::{AttemptId, EventId};
use crate::rules::{Decision, Reason};

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The door opened.
    Opened {
        /// When the key's yes ends by the calendar, where it does within a year.
        until: Option<DateTime<Utc>>,
    },
    /// It did not.
    Denied {
        /// The first reason that applies.
        reason: Reason,
        /// When the calendar next says yes, beside a calendar reason.
        next: Option<DateTime<Utc>>,
    },
}

impl From<Decision> for Outcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allowed { until } => Self::Opened { until },
            Decision::Denied { reason, next } => Self::Denied { reason, next },
        }
    }
}

/// What the door lacks: a phone that holds a newer list or later statements sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wants {
    /// A revocation list newer than this one.
    pub list_after: ListNumber,
    /// Statements after these.
    pub statements_after: StatementNumbers,
}

/// What a door says of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRecord {
    /// The gesture.
    pub attempt: AttemptId,
    /// What became of it.
    pub outcome: Outcome,
    /// The door's log entry about it; the phone's own log refers to it.
    pub event: EventId,
    /// The door's signed state ([`SignedDoorState`]), when it changed since this phone last saw it; the
    /// phone passes it on unopened.
    pub state: Option<Vec<u8>>,
    /// What the phone may bring it.
    pub wants: Wants,
}

impl ResultRecord {
    /// `attempt, [0, until] or [1, reason, next], event, state, [list, statements]`; instants in seconds
    /// since 1970 or null.
    pub(super) fn write(&self, writer: Writer) -> Writer {
        let outcome = match self.outcome {
            Outcome::Opened { until } => instant(inner().uint(0u8), until),
            Outcome::Denied { reason, next } => {
                instant(inner().uint(1u8).uint(reason.code()), next)
            }
        };
        writer
            .bytes(&self.attempt.0)
            .nested(outcome)
            .bytes(&self.event.0)
            .optional(self.state.as_ref(), |writer, state| writer.bytes(state))
            .nested(
                inner()
                    .nested(self.wants.list_after.write())
                    .nested(self.wants.statements_after.write()),
            )
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        let attempt = AttemptId(reader.exactly()?);
        let mut items = reader.nested()?;
        let outcome = match items.uint()? {
            0u8 => Outcome::Opened {
                until: read_instant(&mut items)?,
            },
            1 => {
                let code: u8 = items.uint()?;
                let reason =
                    Reason::from_code(code).ok_or(FormatError::UnknownKind(code.into()))?;
                Outcome::Denied {
                    reason,
                    next: read_instant(&mut items)?,
                }
            }
            _ => return Err(FormatError::Malformed),
        };
        items.end()?;
        let event = EventId(reader.exactly()?);
        let state = reader.optional(|reader| reader.bytes(SignedDoorState::MAX))?;
        let mut wants = reader.nested()?;
        let record = Self {
            attempt,
            outcome,
            event,
            state,
            wants: Wants {
                list_after: ListNumber::read(&mut wants)?,
                statements_after: StatementNumbers::read(&mut wants)?,
            },
        };
        wants.end()?;
        Ok(record)
    }
}

fn instant(writer: Writer, at: Option<DateTime<Utc>>) -> Writer {
    writer.optional(at, |writer, at| writer.int(at.timestamp()))
}

fn read_instant(reader: &mut Reader) -> Result<Option<DateTime<Utc>>, FormatError> {
    reader
        .optional(Reader::int)?
        .map(|seconds| DateTime::from_timestamp(seconds, 0).ok_or(FormatError::Malformed))
        .transpose()
}
