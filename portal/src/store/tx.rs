//! What an operation may do.

use latchkey_protocol::ids::PropertyId;

use super::{Row, StoreError, Value};

/// Something that others wait for, told after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wake {
    /// The property's change log grew.
    Changed(PropertyId),
    /// Something was signed for the property's doors.
    Issued(PropertyId),
    /// Something waits to be sent.
    Outbox,
    /// A pass was used, or what its page shows has changed.
    Guests(PropertyId),
}

/// One operation's hold on the database.
pub(crate) trait Tx {
    /// Runs a statement and says how many rows it changed.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] for a value that must be unique, else [`StoreError::Database`].
    fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, StoreError>;

    /// Runs a query and gives all its rows: queries that may grow take a LIMIT.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Holds the property's row against other writers until the commit. SQLite has one writer, so there is nothing
    /// to do there; PostgreSQL locks the row.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    fn lock_property(&mut self, property: PropertyId) -> Result<(), StoreError>;

    /// Tells this after the commit, once.
    fn wake(&mut self, wake: Wake);
}

impl dyn Tx + '_ {
    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub(crate) fn first(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params)?.into_iter().next())
    }
}
