//! What the portal handed back at commissioning.

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::StoreError;

/// The package, as it was checked; none before commissioning.
pub(crate) fn installed_package(connection: &Connection) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(connection
        .query_row("SELECT package FROM installed WHERE id = 1", [], |row| {
            row.get(0)
        })
        .optional()?)
}

/// Keeps the package.
pub(crate) fn install(tx: &Transaction<'_>, package: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO installed (id, package) VALUES (1, ?1)
         ON CONFLICT (id) DO UPDATE SET package = excluded.package",
        [package],
    )?;
    Ok(())
}
