//! The controller's own two key pairs. All other secrets in the store are sealed under one of them.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use zeroize::Zeroizing;

use super::StoreError;

/// The keys as they are kept.
pub(crate) struct StoredKeys {
    /// PKCS#8.
    pub(crate) reader: Zeroizing<Vec<u8>>,
    /// The scalar, 32 bytes.
    pub(crate) sealing: Zeroizing<Vec<u8>>,
}

pub(crate) fn keep_keys(tx: &Transaction<'_>, keys: &StoredKeys) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO own_keys (id, reader_key, sealing_key) VALUES (1, ?1, ?2)",
        params![*keys.reader, *keys.sealing],
    )?;
    Ok(())
}

pub(crate) fn stored_keys(connection: &Connection) -> Result<StoredKeys, StoreError> {
    let found = connection
        .query_row(
            "SELECT reader_key, sealing_key FROM own_keys WHERE id = 1",
            [],
            |row| {
                Ok(StoredKeys {
                    reader: Zeroizing::new(row.get(0)?),
                    sealing: Zeroizing::new(row.get(1)?),
                })
            },
        )
        .optional()?;
    found.ok_or(StoreError::Damaged("own keys"))
}
