//! What statements left behind: how far both series have come, the settings that stand, the passes
//! that are known.

use latchkey_protocol::doorstate::StatementNumbers;
use latchkey_protocol::ids::PassId;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{StoreError, from_sql, to_sql};

/// Which setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// The property's calendar.
    Property,
    /// How this door behaves.
    Door,
    /// To which key the log is sealed.
    LogKey,
}

impl Setting {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Property, Self::Door, Self::LogKey];

    fn name(self) -> &'static str {
        match self {
            Self::Property => "property",
            Self::Door => "door",
            Self::LogKey => "log_key",
        }
    }
}

pub(crate) fn statement_numbers(connection: &Connection) -> Result<StatementNumbers, StoreError> {
    let found = connection
        .query_row(
            "SELECT epoch, all_doors, own FROM series WHERE id = 1",
            [],
            |row| {
                Ok(StatementNumbers {
                    epoch: row.get(0)?,
                    all: from_sql(row.get(1)?),
                    own: from_sql(row.get(2)?),
                })
            },
        )
        .optional()?;
    Ok(found.unwrap_or_default())
}

pub(crate) fn keep_statement_numbers(
    tx: &Transaction<'_>,
    numbers: StatementNumbers,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO series (id, epoch, all_doors, own) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch,
             all_doors = excluded.all_doors, own = excluded.own",
        params![numbers.epoch, to_sql(numbers.all), to_sql(numbers.own)],
    )?;
    Ok(())
}

/// The signed statement that this setting stands in.
pub(crate) fn setting(
    connection: &Connection,
    which: Setting,
) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(connection
        .query_row(
            "SELECT statement FROM settings WHERE name = ?1",
            [which.name()],
            |row| row.get(0),
        )
        .optional()?)
}

pub(crate) fn keep_setting(
    tx: &Transaction<'_>,
    which: Setting,
    statement: &[u8],
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO settings (name, statement) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET statement = excluded.statement",
        params![which.name(), statement],
    )?;
    Ok(())
}

/// The signed statement of a pass.
pub(crate) fn known_pass(
    connection: &Connection,
    pass: PassId,
) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(connection
        .query_row(
            "SELECT statement FROM passes WHERE pass = ?1",
            [pass.as_bytes()],
            |row| row.get(0),
        )
        .optional()?)
}

/// Keeps a pass that the statement of this number told of, in place of an earlier statement of it.
pub(crate) fn keep_pass(
    tx: &Transaction<'_>,
    pass: PassId,
    statement: &[u8],
    until: u32,
    number: u64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO passes (pass, statement, ends_at, number) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (pass) DO UPDATE SET statement = excluded.statement,
             ends_at = excluded.ends_at, number = excluded.number
             WHERE passes.number <= excluded.number",
        params![pass.as_bytes(), statement, until, to_sql(number)],
    )?;
    Ok(())
}

/// A new epoch states again which passes stand.
pub(crate) fn forget_passes(tx: &Transaction<'_>) -> Result<(), StoreError> {
    forget_passes_up_to(tx, u64::MAX)
}

/// Forgets the passes that statements up to this number told of.
pub(crate) fn forget_passes_up_to(tx: &Transaction<'_>, number: u64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM passes WHERE number <= ?1", [to_sql(number)])?;
    Ok(())
}

/// Forgets passes that ended before `before` (seconds since 1970).
pub(crate) fn forget_passes_ended(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM passes WHERE ends_at < ?1", [before])?;
    Ok(())
}

/// How many passes are known.
pub(crate) fn count_passes(connection: &Connection) -> Result<u64, StoreError> {
    let count = connection.query_row("SELECT count(*) FROM passes", [], |row| row.get(0))?;
    Ok(from_sql(count))
}
