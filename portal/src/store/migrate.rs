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

#[cfg(test)]
mod tests {
    use refinery::Target;

    use super::*;

    #[test]
    fn a_database_of_each_earlier_version_is_brought_up_to_date() {
        let all = embedded::migrations::runner();
        for migration in all.get_migrations() {
            let mut database = rusqlite::Connection::open_in_memory().unwrap();
            embedded::migrations::runner()
                .set_target(Target::Version(migration.version()))
                .run(&mut database)
                .unwrap();
            run(&mut database).unwrap();
        }
    }
}
