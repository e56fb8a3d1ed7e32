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

    #[test]
    fn what_happened_before_events_were_their_own_log_is_still_there() {
        let mut database = rusqlite::Connection::open_in_memory().unwrap();
        embedded::migrations::runner()
            .set_target(Target::Version(8))
            .run(&mut database)
            .unwrap();
        database
            .execute_batch(
                "INSERT INTO event VALUES (x'01', x'02', 7, x'03', 1, 1, 0, 0, 0, 'stream', NULL,
                     x'04', NULL, '{}');
                 INSERT INTO change_log VALUES ('01', 'events', 'event', '02', 8),
                     ('01', 'person:04', 'event', '02', 9), ('01', 'everyone', 'door', '03', 10);",
            )
            .unwrap();
        run(&mut database).unwrap();
        let one = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0));
        assert_eq!(
            one("SELECT ordinal FROM event WHERE person = x'04'").unwrap(),
            7
        );
        assert_eq!(one("SELECT COUNT(*) FROM change_log").unwrap(), 1);
        assert_eq!(
            one("SELECT number FROM change_log WHERE kind = 'door'").unwrap(),
            10
        );
    }
}
