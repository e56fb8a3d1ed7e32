//! Portals that this phone is, or was, signed in at.

use chrono::{DateTime, Utc};
use latchkey_protocol::ids::{AccountId, DeviceId};
use rusqlite::OptionalExtension as _;
use serde::{Deserialize, Serialize};

use super::seal::{Cell, RowId};
use super::{Tx, WalletError};

const TABLE: &str = "portals";

/// A portal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PortalRecord {
    /// Its address, without a slash at the end.
    pub(crate) url: String,
    /// The address that the person signs in with.
    pub(crate) email: String,
    /// The account key's label in the keystore.
    pub(crate) account_label: String,
    /// Missing after the portal has ended the sign-in.
    pub(crate) tokens: Option<TokenRecord>,
    /// What to add to this device's wall clock to read the portal's, in milliseconds.
    pub(crate) clock_offset_ms: i64,
}

/// The latest tokens. Secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    /// By the portal's clock.
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
}

impl Tx<'_> {
    /// The row id of the portal at an address.
    pub(crate) fn portal_id(&self, url: &str) -> RowId {
        self.key.row_id(TABLE, &[url.as_bytes()])
    }

    pub(crate) fn portal(&self, id: RowId) -> Result<Option<PortalRecord>, WalletError> {
        self.sql
            .query_row("SELECT record FROM portals WHERE id = ?1", [id], |row| {
                row.get::<_, Vec<u8>>(0)
            })
            .optional()?
            .map(|sealed| self.open(record_cell(&id), &sealed))
            .transpose()
    }

    pub(crate) fn portals(&self) -> Result<Vec<(RowId, PortalRecord)>, WalletError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT id, record FROM portals ORDER BY rowid")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (id, sealed): (RowId, Vec<u8>) = row?;
            Ok((id, self.open(record_cell(&id), &sealed)?))
        })
        .collect()
    }

    pub(crate) fn put_portal(&self, record: &PortalRecord) -> Result<RowId, WalletError> {
        let id = self.portal_id(&record.url);
        let sealed = self.seal(record_cell(&id), record)?;
        self.sql.execute(
            "INSERT INTO portals (id, record) VALUES (?1, ?2)
             ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            rusqlite::params![id, sealed],
        )?;
        Ok(id)
    }

    /// With everything that came from it.
    pub(crate) fn delete_portal(&self, id: RowId) -> Result<(), WalletError> {
        self.sql
            .execute("DELETE FROM portals WHERE id = ?1", [id])?;
        Ok(())
    }
}

fn record_cell(id: &RowId) -> Cell<'_> {
    Cell {
        table: TABLE,
        row: id,
        column: "record",
    }
}
