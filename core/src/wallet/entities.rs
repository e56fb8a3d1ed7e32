//! Things that synced, each in its latest form.

use latchkey_protocol::api::sync::{Entity, EntityKind};
use latchkey_protocol::ids::PropertyId;
use rusqlite::OptionalExtension as _;

use super::seal::{Cell, RowId};
use super::{Tx, WalletError};

const TABLE: &str = "entities";

pub(super) const DELETE_STALE: &str = "DELETE FROM entities WHERE property = ?1 AND stale = 1";

impl Tx<'_> {
    pub(crate) fn entity(
        &self,
        property: PropertyId,
        kind: EntityKind,
        id: &str,
    ) -> Result<Option<Entity>, WalletError> {
        let property = self.property_id(property);
        let id = self.entity_id(&property, kind, id);
        self.sql
            .query_row("SELECT value FROM entities WHERE id = ?1", [id], |row| {
                row.get::<_, Vec<u8>>(0)
            })
            .optional()?
            .map(|sealed| self.open(cell(&row_of(&id, &property, number(kind))), &sealed))
            .transpose()
    }

    /// All things of a kind, in the order in which they first came.
    pub(crate) fn entities(
        &self,
        property: PropertyId,
        kind: EntityKind,
    ) -> Result<Vec<Entity>, WalletError> {
        let property = self.property_id(property);
        let mut query = self.sql.prepare_cached(
            "SELECT id, value FROM entities WHERE property = ?1 AND kind = ?2 ORDER BY rowid",
        )?;
        let rows = query.query_map(rusqlite::params![property, number(kind)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        rows.map(|row| {
            let (id, sealed): (RowId, Vec<u8>) = row?;
            self.open(cell(&row_of(&id, &property, number(kind))), &sealed)
        })
        .collect()
    }

    pub(crate) fn put_entity(
        &self,
        property: PropertyId,
        kind: EntityKind,
        id: &str,
        value: &Entity,
    ) -> Result<(), WalletError> {
        let property = self.property_id(property);
        let id = self.entity_id(&property, kind, id);
        let sealed = self.seal(cell(&row_of(&id, &property, number(kind))), value)?;
        self.sql.execute(
            "INSERT INTO entities (id, property, kind, value) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET value = excluded.value, stale = 0",
            rusqlite::params![id, property, number(kind), sealed],
        )?;
        Ok(())
    }

    pub(crate) fn delete_entity(
        &self,
        property: PropertyId,
        kind: EntityKind,
        id: &str,
    ) -> Result<(), WalletError> {
        let property = self.property_id(property);
        let id = self.entity_id(&property, kind, id);
        self.sql
            .execute("DELETE FROM entities WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Before a sync from the beginning: what it does not bring again goes at its end, and until then
    /// every key keeps working.
    pub(crate) fn mark_entities_stale(&self, property: PropertyId) -> Result<(), WalletError> {
        let property = self.property_id(property);
        self.sql.execute(
            "UPDATE entities SET stale = 1 WHERE property = ?1",
            [property],
        )?;
        Ok(())
    }

    /// At the end of a sync, which has stale ones only when it began at the beginning. How many there were.
    pub(crate) fn delete_stale_entities(&self, property: PropertyId) -> Result<usize, WalletError> {
        let property = self.property_id(property);
        Ok(self.sql.execute(DELETE_STALE, [property])?)
    }

    fn entity_id(&self, property: &RowId, kind: EntityKind, id: &str) -> RowId {
        self.key.row_id(
            TABLE,
            &[property, &number(kind).to_be_bytes(), id.as_bytes()],
        )
    }
}

/// Kinds as the table numbers them: never changed, only added to.
fn number(kind: EntityKind) -> i64 {
    match kind {
        EntityKind::Property => 1,
        EntityKind::Door => 2,
        EntityKind::Key => 3,
        EntityKind::Grant => 4,
        EntityKind::Pass => 5,
        EntityKind::Revocation => 6,
        EntityKind::Statement => 7,
        EntityKind::Person => 8,
        EntityKind::Event => 9,
        EntityKind::Bundle => 10,
        EntityKind::LogReceipt => 11,
    }
}

fn row_of(id: &RowId, property: &RowId, kind: i64) -> Vec<u8> {
    [id.as_slice(), property, &kind.to_be_bytes()].concat()
}

fn cell(row: &[u8]) -> Cell<'_> {
    Cell {
        table: TABLE,
        row,
        column: "value",
    }
}
