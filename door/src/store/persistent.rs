//! The keys by which the fast phase knows phones again, sealed (see `crate::keys`).
//!
//! A row goes with its document, whatever takes that away.

use latchkey_protocol::ids::ElementId;
use rusqlite::{Connection, Transaction, params};

use super::StoreError;

/// Most phones that a door knows again. Each costs a stranger's visit one more trial (the first key of an
/// HKDF and 48 bytes of AES-GCM, about a microsecond): so many cost no more than the standard phase that
/// follows (`cargo xtask bench aliro` measures where that ends). Beyond it, the phone that was not
/// remembered anew for longest is a stranger once more, which costs it one standard phase.
pub(crate) const MOST_REMEMBERED: usize = 256;

/// A remembered phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RememberedPhone {
    /// SHA-256 of the credential's public key.
    pub(crate) credential: [u8; 32],
    /// The element of its document that has opened here.
    pub(crate) element: ElementId,
    /// The credential and the persistent key.
    pub(crate) sealed: Vec<u8>,
}

/// All of them, the one remembered last first.
pub(crate) fn remembered_phones(
    connection: &Connection,
) -> Result<Vec<RememberedPhone>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT credential, element, sealed FROM persistent_keys ORDER BY sequence DESC",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(RememberedPhone {
            credential: row.get(0)?,
            element: ElementId(row.get(1)?),
            sealed: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Remembers a phone whose document is kept here, in place of what was remembered of it, and forgets those
/// that are too many.
pub(crate) fn remember_phone(
    tx: &Transaction<'_>,
    phone: &RememberedPhone,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT OR REPLACE INTO persistent_keys (credential, element, sealed)
         SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM documents WHERE credential = ?1)",
        params![phone.credential, phone.element.as_bytes(), phone.sealed],
    )?;
    tx.execute(
        "DELETE FROM persistent_keys WHERE sequence NOT IN
             (SELECT sequence FROM persistent_keys ORDER BY sequence DESC LIMIT ?1)",
        [MOST_REMEMBERED as i64],
    )?;
    Ok(())
}

/// Forgets a phone.
pub(crate) fn forget_phone(tx: &Transaction<'_>, credential: &[u8; 32]) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM persistent_keys WHERE credential = ?1",
        [credential],
    )?;
    Ok(())
}

/// Forgets phones whose documents ended before `before` (seconds since 1970).
pub(crate) fn forget_phones_ended(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM persistent_keys WHERE credential IN
             (SELECT credential FROM documents WHERE valid_until < ?1)",
        [before],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{CachedDocument, Store, forget_document, keep_document};

    fn document(signed: i64) -> CachedDocument {
        CachedDocument {
            signed,
            valid_until: signed + 100,
            document: Vec::new(),
        }
    }

    fn phone(number: u16) -> RememberedPhone {
        let mut credential = [0; 32];
        credential[..2].copy_from_slice(&number.to_be_bytes());
        RememberedPhone {
            credential,
            element: ElementId([1; 8]),
            sealed: vec![2],
        }
    }

    fn names(store: &Store) -> Vec<u16> {
        let all = remembered_phones(store.read()).unwrap();
        let name = |phone: &RememberedPhone| {
            u16::from_be_bytes([phone.credential[0], phone.credential[1]])
        };
        all.iter().map(name).collect()
    }

    #[test]
    fn so_many_are_remembered_and_whoever_was_not_for_longest_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::create(folder.path()).unwrap();
        let most = MOST_REMEMBERED as u16;
        store
            .write(|tx| {
                for number in 0..most {
                    keep_document(tx, &phone(number).credential, &document(1))?;
                    remember_phone(tx, &phone(number))?;
                }
                remember_phone(tx, &phone(0))?;
                keep_document(tx, &phone(most).credential, &document(1))?;
                remember_phone(tx, &phone(most))
            })
            .unwrap();
        let kept: Vec<u16> = [most, 0].into_iter().chain((2..most).rev()).collect();
        assert_eq!(names(&store), kept);
    }

    #[test]
    fn what_is_remembered_goes_with_its_document_and_with_one_that_a_newer_one_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::create(folder.path()).unwrap();
        let mut write = |work: &dyn Fn(&Transaction<'_>) -> Result<(), StoreError>| {
            store.write(work).unwrap();
            names(&store)
        };
        let all = |tx: &Transaction<'_>| {
            for number in 0..4 {
                keep_document(tx, &phone(number).credential, &document(10))?;
                remember_phone(tx, &phone(number))?;
            }
            remember_phone(tx, &phone(9))
        };
        assert_eq!(write(&all), [3, 2, 1, 0], "nobody without a document");
        let again = |tx: &Transaction<'_>| keep_document(tx, &phone(0).credential, &document(10));
        let older = |tx: &Transaction<'_>| keep_document(tx, &phone(0).credential, &document(9));
        let newer = |tx: &Transaction<'_>| keep_document(tx, &phone(0).credential, &document(11));
        assert_eq!(write(&again), [3, 2, 1, 0]);
        assert_eq!(write(&older), [3, 2, 1, 0]);
        assert_eq!(write(&newer), [3, 2, 1]);
        assert_eq!(
            write(&|tx| forget_document(tx, &phone(1).credential)),
            [3, 2]
        );
        assert_eq!(write(&|tx| forget_phone(tx, &phone(2).credential)), [3]);
        assert_eq!(write(&|tx| forget_phones_ended(tx, 110)), [3]);
        assert!(write(&|tx| forget_phones_ended(tx, 111)).is_empty());
    }
}
