//! Keys that all instances of a portal share, made at the first start.

use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

/// The secret of this name, made when there is none.
pub(crate) fn named(tx: &mut dyn Tx, tools: &Tools, name: &str) -> Result<[u8; 32], StoreError> {
    tx.execute(
        "INSERT INTO portal_secret (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        params![name, tools.random::<32>()],
    )?;
    tx.first(
        "SELECT value FROM portal_secret WHERE name = ?1",
        params![name],
    )?
    .ok_or(StoreError::Unreadable("secret"))?
    .at(0)
}
