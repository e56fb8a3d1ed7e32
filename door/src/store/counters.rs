//! Numbers that only ever grow.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{StoreError, from_sql, to_sql};

/// Which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    /// Of the states that this door has signed.
    SignedStates,
    /// When it was last signed in at the portal, by its own clock, in milliseconds since 1970.
    LastContactMs,
    /// Of changes of what is held of counted keys.
    LeaseChanges,
}

impl Counter {
    fn name(self) -> &'static str {
        match self {
            Self::SignedStates => "signed_states",
            Self::LastContactMs => "last_contact_ms",
            Self::LeaseChanges => "lease_changes",
        }
    }
}

/// The number; 0 before the first.
pub(crate) fn counter(connection: &Connection, which: Counter) -> Result<u64, StoreError> {
    let value = connection
        .query_row(
            "SELECT value FROM counters WHERE name = ?1",
            [which.name()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(value.map_or(0, from_sql))
}

/// Raises the number to `to`; a lower one changes nothing.
pub(crate) fn raise(tx: &Transaction<'_>, which: Counter, to: u64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO counters (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        params![which.name(), to_sql(to)],
    )?;
    Ok(())
}

/// One more, and returns it.
pub(crate) fn advance(tx: &Transaction<'_>, which: Counter) -> Result<u64, StoreError> {
    let next = tx.query_row(
        "INSERT INTO counters (name, value) VALUES (?1, 1)
         ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
        [which.name()],
        |row| row.get(0),
    )?;
    Ok(from_sql(next))
}
