//! The bundle that was applied, and the one that phones are bringing.

use latchkey_protocol::doorstate::BundleNumber;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{StoreError, from_sql, to_sql};

/// What phones have brought of the next bundle, its pages aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// Its header, as it was signed.
    pub(crate) header: Vec<u8>,
    /// It was whole, and this door could not obey it.
    pub(crate) refused: bool,
}

/// The bundle that was applied last; zeros before the first.
pub(crate) fn applied_bundle(connection: &Connection) -> Result<BundleNumber, StoreError> {
    let number = connection
        .query_row("SELECT epoch, number FROM bundle WHERE id = 1", [], |row| {
            Ok(BundleNumber {
                epoch: row.get(0)?,
                number: from_sql(row.get(1)?),
            })
        })
        .optional()?;
    Ok(number.unwrap_or_default())
}

pub(crate) fn keep_applied_bundle(
    tx: &Transaction<'_>,
    number: BundleNumber,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO bundle (id, epoch, number) VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, number = excluded.number",
        params![number.epoch, to_sql(number.number)],
    )?;
    Ok(())
}

/// The header of the bundle that is being brought.
pub(crate) fn incoming(connection: &Connection) -> Result<Option<Incoming>, StoreError> {
    Ok(connection
        .query_row(
            "SELECT header, refused FROM incoming_bundle WHERE id = 1",
            [],
            |row| {
                Ok(Incoming {
                    header: row.get(0)?,
                    refused: row.get(1)?,
                })
            },
        )
        .optional()?)
}

/// The pages of it that are here.
pub(crate) fn incoming_pages(connection: &Connection) -> Result<Vec<u16>, StoreError> {
    let mut statement = connection.prepare("SELECT page FROM incoming_page ORDER BY page")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All pages, behind each other.
pub(crate) fn incoming_body(connection: &Connection) -> Result<Vec<u8>, StoreError> {
    let mut statement = connection.prepare("SELECT bytes FROM incoming_page ORDER BY page")?;
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Begins with another bundle; what was there of the one before is forgotten.
pub(crate) fn keep_incoming(tx: &Transaction<'_>, header: &[u8]) -> Result<(), StoreError> {
    forget_incoming(tx)?;
    tx.execute(
        "INSERT INTO incoming_bundle (id, header) VALUES (1, ?1)",
        [header],
    )?;
    Ok(())
}

/// Keeps a page, which was checked.
pub(crate) fn keep_page(tx: &Transaction<'_>, page: u16, bytes: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO incoming_page (page, bytes) VALUES (?1, ?2) ON CONFLICT (page) DO NOTHING",
        params![page, bytes],
    )?;
    Ok(())
}

/// Nothing is being brought any more.
pub(crate) fn forget_incoming(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM incoming_bundle", [])?;
    tx.execute("DELETE FROM incoming_page", [])?;
    Ok(())
}

/// It is whole and cannot be obeyed: the header stays, so that nobody brings it again.
pub(crate) fn refuse_incoming(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.execute("UPDATE incoming_bundle SET refused = 1", [])?;
    tx.execute("DELETE FROM incoming_page", [])?;
    Ok(())
}
