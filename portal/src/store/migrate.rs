//! The tables, brought up to date at each start.

use super::StoreError;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Runs what this database has not seen. A database that a newer portal has changed is refused.
pub(super) fn run(connection: &mut impl refinery::Migrate) -> Result<(), StoreError> {
    embedded::migrations::runner()
        .set_abort_missing(true)
        .run(connection)
        .map(drop)
        .map_err(|error| StoreError::Database(format!("migration: {error}")))
}
