//! Private keys in software, for devices without a keystore of their own.

use rusqlite::OptionalExtension as _;
use zeroize::Zeroizing;

use super::seal::{Cell, RowId};
use super::{Tx, WalletError};

const TABLE: &str = "device_keys";

impl Tx<'_> {
    /// A key, as PKCS#8.
    pub(crate) fn device_key(
        &self,
        label: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, WalletError> {
        let id = self.device_key_id(label);
        self.sql
            .query_row("SELECT pkcs8 FROM device_keys WHERE id = ?1", [id], |row| {
                row.get::<_, Vec<u8>>(0)
            })
            .optional()?
            .map(|sealed| self.key.open_cell(cell(&id), &sealed))
            .transpose()
    }

    /// Replaces a key of the same label.
    pub(crate) fn put_device_key(&self, label: &str, pkcs8: &[u8]) -> Result<(), WalletError> {
        let id = self.device_key_id(label);
        let sealed = self.key.seal_cell(cell(&id), pkcs8, &**self.random)?;
        self.sql.execute(
            "INSERT INTO device_keys (id, pkcs8) VALUES (?1, ?2)
             ON CONFLICT (id) DO UPDATE SET pkcs8 = excluded.pkcs8",
            rusqlite::params![id, sealed],
        )?;
        Ok(())
    }

    pub(crate) fn delete_device_key(&self, label: &str) -> Result<(), WalletError> {
        let id = self.device_key_id(label);
        self.sql
            .execute("DELETE FROM device_keys WHERE id = ?1", [id])?;
        Ok(())
    }

    fn device_key_id(&self, label: &str) -> RowId {
        self.key.row_id(TABLE, &[label.as_bytes()])
    }
}

fn cell(id: &RowId) -> Cell<'_> {
    Cell {
        table: TABLE,
        row: id,
        column: "pkcs8",
    }
}
