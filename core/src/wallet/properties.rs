//! Memberships: where the person is known, and how far the sync has come.

use latchkey_protocol::api::auth::Membership;
use latchkey_protocol::ids::PropertyId;
use rusqlite::OptionalExtension as _;

use super::seal::{Cell, RowId};
use super::{Tx, WalletError};

const TABLE: &str = "properties";

/// A property, as this phone knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PropertyRecord {
    pub(crate) portal: RowId,
    pub(crate) membership: Membership,
    /// Where the sync goes on; none before the first page.
    pub(crate) cursor: Option<String>,
}

impl Tx<'_> {
    /// The row id of a property.
    pub(crate) fn property_id(&self, property: PropertyId) -> RowId {
        self.key.row_id(TABLE, &[property.as_bytes()])
    }

    pub(crate) fn property(
        &self,
        property: PropertyId,
    ) -> Result<Option<PropertyRecord>, WalletError> {
        let id = self.property_id(property);
        self.sql
            .query_row(
                "SELECT portal, membership, cursor FROM properties WHERE id = ?1",
                [id],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?
            .map(|(portal, membership, cursor): SealedProperty| {
                self.open_property(id, (portal, membership, cursor))
            })
            .transpose()
    }

    /// All properties, in the order in which they came.
    pub(crate) fn properties(&self) -> Result<Vec<PropertyRecord>, WalletError> {
        let mut query = self.sql.prepare_cached(
            "SELECT id, portal, membership, cursor FROM properties ORDER BY rowid",
        )?;
        let rows = query.query_map([], |row| {
            Ok((
                row.get::<_, RowId>(0)?,
                (row.get(1)?, row.get(2)?, row.get(3)?),
            ))
        })?;
        rows.map(|row| {
            let (id, sealed) = row?;
            self.open_property(id, sealed)
        })
        .collect()
    }

    /// Adds a membership or brings it up to date; the cursor stays. False, and nothing changed, when the
    /// property came from another portal: one portal cannot speak for what another one holds.
    pub(crate) fn put_membership(
        &self,
        portal: RowId,
        membership: &Membership,
    ) -> Result<bool, WalletError> {
        let id = self.property_id(membership.property);
        let row = row_of(&id, &portal);
        let sealed = self.seal(cell(&row, "membership"), membership)?;
        let changed = self.sql.execute(
            "INSERT INTO properties (id, portal, membership) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET membership = excluded.membership
             WHERE portal = excluded.portal",
            rusqlite::params![id, portal, sealed],
        )?;
        Ok(changed == 1)
    }

    /// Sets where the sync goes on.
    pub(crate) fn put_cursor(
        &self,
        property: PropertyId,
        portal: RowId,
        cursor: Option<&str>,
    ) -> Result<(), WalletError> {
        let id = self.property_id(property);
        let row = row_of(&id, &portal);
        let sealed = cursor
            .map(|cursor| self.seal(cell(&row, "cursor"), &cursor))
            .transpose()?;
        self.sql.execute(
            "UPDATE properties SET cursor = ?2 WHERE id = ?1",
            rusqlite::params![id, sealed],
        )?;
        Ok(())
    }

    /// With everything that synced from it.
    pub(crate) fn delete_property(&self, property: PropertyId) -> Result<(), WalletError> {
        let id = self.property_id(property);
        self.sql
            .execute("DELETE FROM properties WHERE id = ?1", [id])?;
        Ok(())
    }

    fn open_property(
        &self,
        id: RowId,
        (portal, membership, cursor): SealedProperty,
    ) -> Result<PropertyRecord, WalletError> {
        let row = row_of(&id, &portal);
        Ok(PropertyRecord {
            portal,
            membership: self.open(cell(&row, "membership"), &membership)?,
            cursor: cursor
                .map(|cursor| self.open(cell(&row, "cursor"), &cursor))
                .transpose()?,
        })
    }
}

type SealedProperty = (RowId, Vec<u8>, Option<Vec<u8>>);

fn row_of(id: &RowId, portal: &RowId) -> Vec<u8> {
    [id.as_slice(), portal].concat()
}

fn cell<'a>(row: &'a [u8], column: &'static str) -> Cell<'a> {
    Cell {
        table: TABLE,
        row,
        column,
    }
}
