//! Attempts: what became of each gesture, so that its repeats cost and move nothing.

use latchkey_protocol::ids::{AttemptId, EventId};
use latchkey_protocol::uses::AttemptState;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{StoreError, events::event_id};

/// A stored attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Its id.
    pub(crate) id: AttemptId,
    /// Whose it is: SHA-256 of the credential's public key, or the pass. Good for nobody else.
    pub(crate) subject: Vec<u8>,
    /// How far it came.
    pub(crate) state: AttemptState,
    /// The event that tells of it.
    pub(crate) event: EventId,
    /// When it was decided, by the door's clock, milliseconds since 1970.
    pub(crate) at_ms: i64,
}

const fn number_of(state: AttemptState) -> i64 {
    match state {
        AttemptState::Spent => 1,
        AttemptState::Moved => 2,
        AttemptState::Replaced => 3,
    }
}

fn state_of(number: i64) -> Result<AttemptState, StoreError> {
    match number {
        1 => Ok(AttemptState::Spent),
        2 => Ok(AttemptState::Moved),
        3 => Ok(AttemptState::Replaced),
        _ => Err(StoreError::Damaged("an attempt's state")),
    }
}

pub(crate) fn known_attempt(
    connection: &Connection,
    id: AttemptId,
) -> Result<Option<Attempt>, StoreError> {
    let row = connection
        .query_row(
            "SELECT subject, state, event, at_ms FROM attempts WHERE attempt = ?1",
            [id.as_bytes()],
            |row| {
                Ok((
                    row.get::<_, Vec<u8>>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, Vec<u8>>(2)?,
                    row.get::<_, i64>(3)?,
                ))
            },
        )
        .optional()?;
    row.map(|(subject, state, event, at_ms)| {
        Ok(Attempt {
            id,
            subject,
            state: state_of(state)?,
            event: event_id(&event)?,
            at_ms,
        })
    })
    .transpose()
}

/// Stores a new attempt; an id that is there already is an error of the caller's.
pub(crate) fn keep_attempt(tx: &Transaction<'_>, attempt: &Attempt) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO attempts (attempt, subject, state, event, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            attempt.id.as_bytes(),
            attempt.subject,
            number_of(attempt.state),
            attempt.event.as_bytes(),
            attempt.at_ms
        ],
    )?;
    Ok(())
}

/// The lock has moved for this attempt.
pub(crate) fn mark_moved(tx: &Transaction<'_>, id: AttemptId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE attempts SET state = 2 WHERE attempt = ?1",
        [id.as_bytes()],
    )?;
    Ok(())
}

/// A later gesture of `subject` takes the place of this one, whether it ever arrived or not. What
/// has opened stays opened.
pub(crate) fn replace_attempt(
    tx: &Transaction<'_>,
    id: AttemptId,
    subject: &[u8],
    at_ms: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO attempts (attempt, subject, state, event, at_ms)
         VALUES (?1, ?2, 3, zeroblob(16), ?3)
         ON CONFLICT (attempt) DO UPDATE SET state = 3
             WHERE state = 1 AND subject = excluded.subject",
        params![id.as_bytes(), subject, at_ms],
    )?;
    Ok(())
}

/// Forgets attempts that are long over.
pub(crate) fn forget_attempts_before(tx: &Transaction<'_>, at_ms: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM attempts WHERE at_ms < ?1", [at_ms])?;
    Ok(())
}
