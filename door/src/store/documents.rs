//! Access Documents that were verified here, so that the next unlock needs no step-up.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::StoreError;

/// A document as it came. It is verified again at each use: time and revocation go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CachedDocument {
    /// Its `signed`, which AUTH1 reports, in seconds since 1970.
    pub(crate) signed: i64,
    /// Its `validUntil`, seconds since 1970.
    pub(crate) valid_until: i64,
    /// The bytes of the Document.
    pub(crate) document: Vec<u8>,
}

/// The document of the credential whose public key hashes to `credential` (SHA-256).
pub(crate) fn cached_document(
    connection: &Connection,
    credential: &[u8; 32],
) -> Result<Option<CachedDocument>, StoreError> {
    Ok(connection
        .query_row(
            "SELECT signed, valid_until, document FROM documents WHERE credential = ?1",
            [credential],
            |row| {
                Ok(CachedDocument {
                    signed: row.get(0)?,
                    valid_until: row.get(1)?,
                    document: row.get(2)?,
                })
            },
        )
        .optional()?)
}

/// Keeps it in place of an older one, and forgets the key by which the holder of that was known; an older one
/// takes no newer one's place. What the newer one no longer says may not be on any list yet.
pub(crate) fn keep_document(
    tx: &Transaction<'_>,
    credential: &[u8; 32],
    document: &CachedDocument,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM persistent_keys WHERE credential = (SELECT credential FROM documents
             WHERE credential = ?1 AND signed < ?2)",
        params![credential, document.signed],
    )?;
    tx.execute(
        "INSERT INTO documents (credential, signed, valid_until, document)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (credential) DO UPDATE SET signed = excluded.signed,
             valid_until = excluded.valid_until, document = excluded.document
             WHERE documents.signed <= excluded.signed",
        params![
            credential,
            document.signed,
            document.valid_until,
            document.document
        ],
    )?;
    Ok(())
}

/// Forgets a credential's document.
pub(crate) fn forget_document(
    tx: &Transaction<'_>,
    credential: &[u8; 32],
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM documents WHERE credential = ?1", [credential])?;
    Ok(())
}

/// Forgets all documents that ended before `before` (seconds since 1970).
pub(crate) fn forget_documents_ended(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM documents WHERE valid_until < ?1", [before])?;
    Ok(())
}
