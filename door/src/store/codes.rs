//! Rotating codes that were accepted: each pass's newest.

use latchkey_protocol::ids::PassId;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{StoreError, from_sql, to_sql};

/// The issue time (centiseconds since 1970) of the newest code of this pass that was accepted.
pub(crate) fn last_accepted(
    connection: &Connection,
    pass: PassId,
) -> Result<Option<u64>, StoreError> {
    let issued = connection
        .query_row(
            "SELECT issued FROM accepted_codes WHERE pass = ?1",
            [pass.as_bytes()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(issued.map(from_sql))
}

/// Takes a code, unless one as new or newer was accepted before.
pub(crate) fn accept_code(
    tx: &Transaction<'_>,
    pass: PassId,
    issued: u64,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "INSERT INTO accepted_codes (pass, issued, accepted_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (pass) DO UPDATE
             SET issued = excluded.issued, accepted_at = excluded.accepted_at
             WHERE issued < excluded.issued",
        params![pass.as_bytes(), to_sql(issued), now_ms],
    )?;
    Ok(changed == 1)
}

/// Forgets what was accepted before `before_ms`. No code that old can be within its window again,
/// since a door's clock never goes below its bound.
pub(crate) fn forget_codes(tx: &Transaction<'_>, before_ms: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM accepted_codes WHERE accepted_at < ?1",
        [before_ms],
    )?;
    Ok(())
}
