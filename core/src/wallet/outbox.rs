//! Requests that wait to be sent, in the order in which they were made.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::problem::Problem;
use latchkey_protocol::ids::PropertyId;
use rusqlite::OptionalExtension as _;
use serde::{Deserialize, Serialize};

use super::seal::{Cell, RowId};
use super::{Tx, WalletError};

const TABLE: &str = "outbox";

/// A write to a portal, and what became of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutboxRecord {
    pub(crate) property: PropertyId,
    /// `POST`, `PUT` or `DELETE`.
    pub(crate) method: String,
    /// From `/v1` on.
    pub(crate) path: String,
    pub(crate) body: serde_json::Value,
    /// The same at every attempt, so that the portal does it once.
    pub(crate) idempotency_key: String,
    /// What it is, for people's eyes; see [`crate::outbox::Action`].
    pub(crate) action: crate::outbox::Action,
    pub(crate) made_at: DateTime<Utc>,
    pub(crate) state: OutboxState,
}

/// What became of a write.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutboxState {
    /// Not answered yet.
    Waiting,
    /// Done; the answer's body.
    Done(serde_json::Value),
    /// Refused for good.
    Refused(Problem),
}

impl Tx<'_> {
    /// Puts a write at the end; its number.
    pub(crate) fn push_outbox(
        &self,
        portal: RowId,
        record: &OutboxRecord,
    ) -> Result<i64, WalletError> {
        // The number is part of what the cell is bound to, so the row comes first.
        self.sql.execute(
            "INSERT INTO outbox (portal, record) VALUES (?1, x'')",
            [portal],
        )?;
        let seq = self.sql.last_insert_rowid();
        self.put_outbox(seq, portal, record)?;
        Ok(seq)
    }

    pub(crate) fn put_outbox(
        &self,
        seq: i64,
        portal: RowId,
        record: &OutboxRecord,
    ) -> Result<(), WalletError> {
        let sealed = self.seal(cell(&row_of(seq, &portal)), record)?;
        self.sql.execute(
            "UPDATE outbox SET record = ?2 WHERE seq = ?1",
            rusqlite::params![seq, sealed],
        )?;
        Ok(())
    }

    pub(crate) fn outbox_entry(
        &self,
        seq: i64,
    ) -> Result<Option<(RowId, OutboxRecord)>, WalletError> {
        self.sql
            .query_row(
                "SELECT portal, record FROM outbox WHERE seq = ?1",
                [seq],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?
            .map(|(portal, sealed): (RowId, Vec<u8>)| {
                Ok((portal, self.open(cell(&row_of(seq, &portal)), &sealed)?))
            })
            .transpose()
    }

    /// Everything, oldest first.
    pub(crate) fn outbox(&self) -> Result<Vec<(i64, RowId, OutboxRecord)>, WalletError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT seq, portal, record FROM outbox ORDER BY seq")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.map(|row| {
            let (seq, portal, sealed): (i64, RowId, Vec<u8>) = row?;
            let record = self.open(cell(&row_of(seq, &portal)), &sealed)?;
            Ok((seq, portal, record))
        })
        .collect()
    }

    pub(crate) fn delete_outbox(&self, seq: i64) -> Result<(), WalletError> {
        self.sql
            .execute("DELETE FROM outbox WHERE seq = ?1", [seq])?;
        Ok(())
    }
}

fn row_of(seq: i64, portal: &RowId) -> Vec<u8> {
    [seq.to_be_bytes().as_slice(), portal].concat()
}

fn cell(row: &[u8]) -> Cell<'_> {
    Cell {
        table: TABLE,
        row,
        column: "record",
    }
}
