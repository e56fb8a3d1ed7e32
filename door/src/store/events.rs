//! The log of what happened, until the portal keeps it.

use latchkey_protocol::doorlink::DoorEvent;
use latchkey_protocol::ids::EventId;
use rusqlite::{Connection, Transaction, params};

use super::{StoreError, from_sql, to_sql};

/// Most events that a door remembers. Beyond it the oldest go: first those that the portal keeps,
/// then denials; openings that nobody has heard of stay as long as any denial is left.
const MOST_EVENTS: u64 = 50_000;

/// Notes an event; its `sequence` is given here and returned.
pub(crate) fn log_event(tx: &Transaction<'_>, event: &DoorEvent) -> Result<u64, StoreError> {
    let body = serde_json::to_string(event).map_err(|_| StoreError::Damaged("an event"))?;
    tx.execute(
        "INSERT INTO events (body, opened) VALUES (?1, ?2)",
        params![body, event.denied.is_none()],
    )?;
    let sequence = tx.last_insert_rowid();
    make_room(tx)?;
    Ok(from_sql(sequence))
}

/// The oldest events that the portal has not said it keeps, from `after` on, at most `limit`.
pub(crate) fn unkept_events(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> Result<Vec<DoorEvent>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence, body FROM events WHERE kept = 0 AND sequence > ?1
         ORDER BY sequence LIMIT ?2",
    )?;
    let rows = statement.query_map(params![to_sql(after), to_sql(limit as u64)], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    rows.map(|row| {
        let (sequence, body) = row?;
        let mut event: DoorEvent =
            serde_json::from_str(&body).map_err(|_| StoreError::Damaged("an event"))?;
        event.sequence = from_sql(sequence);
        Ok(event)
    })
    .collect()
}

/// The portal keeps all events up to this one.
pub(crate) fn mark_events_kept(tx: &Transaction<'_>, up_to: u64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE events SET kept = 1 WHERE kept = 0 AND sequence <= ?1",
        [to_sql(up_to)],
    )?;
    Ok(())
}

/// How far the log reaches: the portal keeps all up to the first number, and the second is the last entry.
pub(crate) fn log_reach(connection: &Connection) -> Result<(u64, u64), StoreError> {
    // A table that was emptied still knows its last number.
    Ok(connection.query_row(
        "SELECT coalesce((SELECT min(sequence) - 1 FROM events WHERE kept = 0), last), last
         FROM (SELECT coalesce(max(seq), 0) AS last FROM sqlite_sequence WHERE name = 'events')",
        [],
        |row| Ok((from_sql(row.get(0)?), from_sql(row.get(1)?))),
    )?)
}

/// How many events there are, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventLog {
    /// All that are remembered.
    pub(crate) remembered: u64,
    /// Those that the portal has not said it keeps.
    pub(crate) unreported: u64,
}

impl EventLog {
    pub(crate) fn of(connection: &Connection) -> Result<Self, StoreError> {
        Ok(connection.query_row(
            "SELECT count(*), count(*) FILTER (WHERE kept = 0) FROM events",
            [],
            |row| {
                Ok(Self {
                    remembered: from_sql(row.get(0)?),
                    unreported: from_sql(row.get(1)?),
                })
            },
        )?)
    }
}

pub(super) fn event_id(bytes: &[u8]) -> Result<EventId, StoreError> {
    EventId::from_slice(bytes).map_err(|_| StoreError::Damaged("an event's id"))
}

fn make_room(tx: &Transaction<'_>) -> Result<(), StoreError> {
    // The span of numbers is cheap to ask for and never smaller than the count.
    let span: i64 = tx.query_row(
        "SELECT coalesce(max(sequence) - min(sequence) + 1, 0) FROM events",
        [],
        |row| row.get(0),
    )?;
    if from_sql(span) <= MOST_EVENTS {
        return Ok(());
    }
    let count: i64 = tx.query_row("SELECT count(*) FROM events", [], |row| row.get(0))?;
    let excess = from_sql(count).saturating_sub(MOST_EVENTS);
    tx.execute(
        "DELETE FROM events WHERE sequence IN
             (SELECT sequence FROM events ORDER BY kept DESC, opened, sequence LIMIT ?1)",
        [to_sql(excess)],
    )?;
    Ok(())
}
