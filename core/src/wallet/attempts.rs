//! Gestures that were committed at a door and not answered: the next commit names them as replaced, so
//! that the door never opens for both (DESIGN: attempts).

use chrono::{DateTime, Utc};
use latchkey_protocol::ids::{AttemptId, DoorId, PropertyId};
use serde::{Deserialize, Serialize};

use super::seal::{Cell, RowId};
use super::{Tx, WalletError};

const TABLE: &str = "attempts";

/// A gesture without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnansweredAttempt {
    pub(crate) attempt: AttemptId,
    pub(crate) door: DoorId,
    /// By the portal's clock.
    pub(crate) made_at: DateTime<Utc>,
}

impl Tx<'_> {
    /// Those at any door of a property, oldest first.
    pub(crate) fn unanswered_attempts(
        &self,
        property: PropertyId,
    ) -> Result<Vec<UnansweredAttempt>, WalletError> {
        let property = self.property_id(property);
        let mut query = self
            .sql
            .prepare_cached("SELECT id, record FROM attempts WHERE property = ?1 ORDER BY rowid")?;
        let rows = query.query_map([property], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (id, sealed): (RowId, Vec<u8>) = row?;
            self.open(cell(&row_of(&id, &property)), &sealed)
        })
        .collect()
    }

    pub(crate) fn put_attempt(
        &self,
        property: PropertyId,
        record: &UnansweredAttempt,
    ) -> Result<(), WalletError> {
        let property = self.property_id(property);
        let id = self.attempt_id(record.attempt);
        let sealed = self.seal(cell(&row_of(&id, &property)), record)?;
        self.sql.execute(
            "INSERT INTO attempts (id, property, record) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            rusqlite::params![id, property, sealed],
        )?;
        Ok(())
    }

    pub(crate) fn delete_attempt(&self, attempt: AttemptId) -> Result<(), WalletError> {
        let id = self.attempt_id(attempt);
        self.sql
            .execute("DELETE FROM attempts WHERE id = ?1", [id])?;
        Ok(())
    }

    fn attempt_id(&self, attempt: AttemptId) -> RowId {
        self.key.row_id(TABLE, &[attempt.as_bytes()])
    }
}

fn row_of(id: &RowId, property: &RowId) -> Vec<u8> {
    [id.as_slice(), property].concat()
}

fn cell(row: &[u8]) -> Cell<'_> {
    Cell {
        table: TABLE,
        row,
        column: "record",
    }
}
