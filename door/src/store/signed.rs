//! What came signed and stays: revocation lists, iterations; and the clock as it was last stored.

use aliro::document::Iterations;
use latchkey_protocol::clock::PersistedClock;
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::revocation::RevocationList;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{StoreError, from_sql, to_sql};

/// All lists that count, as they were signed.
pub(crate) fn revocation_documents(connection: &Connection) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut statement =
        connection.prepare("SELECT document FROM revocations ORDER BY epoch, version")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps these lists in place of those before.
pub(crate) fn keep_revocations<'a>(
    tx: &Transaction<'_>,
    lists: impl IntoIterator<Item = &'a RevocationList>,
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM revocations", [])?;
    for list in lists {
        let number = list.number();
        tx.execute(
            "INSERT INTO revocations (epoch, version, document) VALUES (?1, ?2, ?3)",
            params![number.epoch, to_sql(number.version), list.document()],
        )?;
    }
    Ok(())
}

/// The number of the newest list; zeros before the first.
pub(crate) fn revocation_number(connection: &Connection) -> Result<ListNumber, StoreError> {
    let newest = connection
        .query_row(
            "SELECT epoch, version FROM revocations ORDER BY epoch DESC, version DESC LIMIT 1",
            [],
            |row| {
                Ok(ListNumber {
                    epoch: row.get(0)?,
                    version: from_sql(row.get(1)?),
                })
            },
        )
        .optional()?;
    Ok(newest.unwrap_or_default())
}

/// The highest `validityIteration` accepted from each issuer, by its key id.
pub(crate) fn iterations(connection: &Connection) -> Result<Iterations, StoreError> {
    let mut statement = connection.prepare("SELECT issuer, highest FROM iterations")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, from_sql(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn keep_iterations(
    tx: &Transaction<'_>,
    iterations: &Iterations,
) -> Result<(), StoreError> {
    for (issuer, highest) in iterations.iter() {
        tx.execute(
            "INSERT INTO iterations (issuer, highest) VALUES (?1, ?2)
             ON CONFLICT (issuer) DO UPDATE SET highest = max(highest, excluded.highest)",
            params![issuer, to_sql(highest)],
        )?;
    }
    Ok(())
}

/// The clock at the moment of storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedClock {
    /// What the model needs.
    pub(crate) clock: PersistedClock,
    /// For controllers with a battery-backed clock: what that one read at this moment (milliseconds
    /// since 1970), and how far off the door's own may have been.
    pub(crate) battery: Option<SavedBattery>,
}

/// See [`SavedClock::battery`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedBattery {
    /// Milliseconds since 1970, by a clock that need not be right but must go on.
    pub(crate) read_ms: i64,
    /// Milliseconds.
    pub(crate) uncertainty_ms: u32,
}

pub(crate) fn saved_clock(connection: &Connection) -> Result<Option<SavedClock>, StoreError> {
    let saved: Option<String> = connection
        .query_row("SELECT saved FROM clock WHERE id = 1", [], |row| row.get(0))
        .optional()?;
    saved
        .map(|saved| serde_json::from_str(&saved).map_err(|_| StoreError::Damaged("the clock")))
        .transpose()
}

pub(crate) fn save_clock(tx: &Transaction<'_>, clock: &SavedClock) -> Result<(), StoreError> {
    let saved = serde_json::to_string(clock).map_err(|_| StoreError::Damaged("the clock"))?;
    tx.execute(
        "INSERT INTO clock (id, saved) VALUES (1, ?1)
         ON CONFLICT (id) DO UPDATE SET saved = excluded.saved",
        [saved],
    )?;
    Ok(())
}
