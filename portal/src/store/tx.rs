//! What an operation may do.

use latchkey_protocol::ids::PropertyId;

use super::{Row, StoreError, Value, Wake};

/// What an operation's rows belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// The portal as a whole: accounts, tokens, the directory of addresses, the outbox.
    Portal,
    /// One property; tables of the portal may be touched beside it. No other writer works on the property meanwhile,
    /// at whichever instance.
    Property(PropertyId),
}

impl From<PropertyId> for Scope {
    fn from(property: PropertyId) -> Self {
        Self::Property(property)
    }
}

/// One operation's hold on the database.
pub(crate) trait Tx {
    /// Runs a statement and says how many rows it changed.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] for a value that must be unique, else [`StoreError::Database`]. After an error the
    /// operation cannot succeed any more: nothing of it is kept, whatever it answers.
    fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, StoreError>;

    /// Runs a query and gives all its rows: queries that may grow take a LIMIT.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Makes sure that no other writer works on the property until the commit.
    ///
    /// # Errors
    /// [`StoreError::Scope`] when the operation was begun for something else.
    fn lock_property(&mut self, property: PropertyId) -> Result<(), StoreError>;

    /// Holds a name of the portal as a whole against other writers until the commit, at whichever instance: before
    /// rows are read that decide what is written. SQLite has one writer, so there is nothing to do there.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    fn lock(&mut self, name: &str) -> Result<(), StoreError>;

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
