//! Doors that have met this phone, and the keys by which Aliro's fast phase knows it there again. Losing one
//! costs one signature.

use aliro::keys::PersistentKey;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{DoorId, Generation, PropertyId};
use rusqlite::OptionalExtension as _;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::seal::{Cell, RowId};
use super::{Tx, WalletError};

const TABLE: &str = "readers";

/// Most doors that are remembered, over all properties (Aliro asks for 16 at least): more than anybody passes
/// in a day. The one that was not remembered anew for longest makes room; keys are made anew with each
/// renewal of a grant, so that is one of those least used.
const MOST_READERS: u32 = 64;

/// A door as it was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReaderRecord {
    pub(crate) door: DoorId,
    /// Which controller of it.
    pub(crate) generation: Generation,
    /// The access credential that signed there: P-256, 65 bytes uncompressed.
    pub(crate) credential: Base64,
    /// The last moment of the controller's certificate, seconds since 1970.
    pub(crate) certified_until: i64,
}

type SealedReader = (RowId, Vec<u8>, Vec<u8>);

impl Tx<'_> {
    /// What is remembered of a door.
    pub(crate) fn reader(
        &self,
        property: PropertyId,
        door: DoorId,
    ) -> Result<Option<(ReaderRecord, PersistentKey)>, WalletError> {
        let property = self.property_id(property);
        let id = self.reader_id(&property, door);
        self.sql
            .query_row(
                "SELECT id, record, persistent_key FROM readers WHERE id = ?1",
                [id],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?
            .map(|sealed| self.open_reader(&property, sealed))
            .transpose()
    }

    /// The doors of a property that are remembered.
    pub(crate) fn readers(&self, property: PropertyId) -> Result<Vec<ReaderRecord>, WalletError> {
        let property = self.property_id(property);
        let mut query = self.sql.prepare_cached(
            "SELECT id, record, persistent_key FROM readers WHERE property = ?1 ORDER BY rowid",
        )?;
        let rows = query.query_map([property], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        rows.map(|row| Ok(self.open_reader(&property, row?)?.0))
            .collect()
    }

    /// Remembers a door in place of what was remembered of it, and forgets those that are too many. Nothing
    /// for a property that is gone.
    pub(crate) fn put_reader(
        &self,
        property: PropertyId,
        record: &ReaderRecord,
        key: &PersistentKey,
    ) -> Result<(), WalletError> {
        self.delete_reader(property, record.door)?;
        let property = self.property_id(property);
        let id = self.reader_id(&property, record.door);
        let row = row_of(&id, &property);
        let sealed = self.seal(cell(&row, "record"), record)?;
        let sealed_key = cell(&row, "persistent_key");
        let sealed_key = self
            .key
            .seal_cell(sealed_key, key.expose(), &**self.random)?;
        self.sql.execute(
            "INSERT INTO readers (id, property, record, persistent_key)
             SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM properties WHERE id = ?2)",
            rusqlite::params![id, property, sealed, sealed_key],
        )?;
        self.sql.execute(
            "DELETE FROM readers WHERE rowid NOT IN
                 (SELECT rowid FROM readers ORDER BY rowid DESC LIMIT ?1)",
            [MOST_READERS],
        )?;
        Ok(())
    }

    pub(crate) fn delete_reader(
        &self,
        property: PropertyId,
        door: DoorId,
    ) -> Result<(), WalletError> {
        let id = self.reader_id(&self.property_id(property), door);
        self.sql
            .execute("DELETE FROM readers WHERE id = ?1", [id])?;
        Ok(())
    }

    /// All doors of a property: their keys are of a credential that is no more.
    pub(crate) fn delete_readers(&self, property: PropertyId) -> Result<(), WalletError> {
        let property = self.property_id(property);
        self.sql
            .execute("DELETE FROM readers WHERE property = ?1", [property])?;
        Ok(())
    }

    fn open_reader(
        &self,
        property: &RowId,
        (id, record, key): SealedReader,
    ) -> Result<(ReaderRecord, PersistentKey), WalletError> {
        let row = row_of(&id, property);
        let key_cell = cell(&row, "persistent_key");
        let plain = self.key.open_cell(key_cell, &key)?;
        let mut key = Zeroizing::new([0; 32]);
        if plain.len() != key.len() {
            return Err(WalletError::Tampered {
                table: TABLE,
                column: "persistent_key",
            });
        }
        key.copy_from_slice(&plain);
        let record = self.open(cell(&row, "record"), &record)?;
        Ok((record, PersistentKey::from(key)))
    }

    fn reader_id(&self, property: &RowId, door: DoorId) -> RowId {
        self.key.row_id(TABLE, &[property, door.as_bytes()])
    }
}

fn row_of(id: &RowId, property: &RowId) -> Vec<u8> {
    [id.as_slice(), property].concat()
}

fn cell<'a>(row: &'a [u8], column: &'static str) -> Cell<'a> {
    Cell {
        table: TABLE,
        row,
        column,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use latchkey_env::{SharedRandom, SystemRandom};
    use latchkey_protocol::api::auth::Membership;
    use latchkey_protocol::ids::PersonId;
    use latchkey_protocol::roles::Role;

    use super::*;
    use crate::wallet::{FileSealingKey, PortalRecord, Wallet};

    const PROPERTY: PropertyId = PropertyId([1; 16]);

    fn record(door: u8, generation: u32) -> ReaderRecord {
        ReaderRecord {
            door: DoorId([door; 12]),
            generation: Generation(generation),
            credential: Base64(vec![4; 65]),
            certified_until: 5,
        }
    }

    #[test]
    fn one_key_a_door_and_whichever_was_not_met_for_longest_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let random: SharedRandom = Arc::new(SystemRandom);
        let sealing = FileSealingKey::new(dir.path().join("keys"), random.clone());
        let wallet = Wallet::open(&dir.path().join("wallet"), &sealing, random).unwrap();
        let key = |byte| PersistentKey::new([byte; 32]);
        let put = |door, generation, byte| {
            let record = record(door, generation);
            let put = wallet.write(|tx| tx.put_reader(PROPERTY, &record, &key(byte)));
            put.unwrap();
        };
        let doors = || -> Vec<u8> {
            let all = wallet.read(|tx| tx.readers(PROPERTY)).unwrap();
            all.iter().map(|record| record.door.0[0]).collect()
        };
        put(1, 1, 1);
        assert!(doors().is_empty(), "a property that is gone");
        wallet
            .write(|tx| {
                let portal = tx.put_portal(&PortalRecord {
                    url: "https://portal.example/".to_owned(),
                    email: "rita@example.com".to_owned(),
                    account_label: "account".to_owned(),
                    tokens: None,
                    clock_offset_ms: 0,
                })?;
                tx.put_membership(
                    portal,
                    &Membership {
                        property: PROPERTY,
                        property_name: "Harbour View".to_owned(),
                        person: PersonId([2; 16]),
                        person_name: "Rita".to_owned(),
                        role: Role::Resident,
                    },
                )
            })
            .unwrap();
        for door in 0..64 {
            put(door, 1, door);
        }
        put(0, 2, 99);
        put(64, 1, 64);
        assert_eq!(doors(), (2..64).chain([0, 64]).collect::<Vec<_>>());
        let gate = wallet.read(|tx| tx.reader(PROPERTY, DoorId([0; 12])));
        let (found, found_key) = gate.unwrap().unwrap();
        assert_eq!((found, found_key.expose()), (record(0, 2), &[99; 32]));
        assert_eq!(
            wallet
                .read(|tx| tx.reader(PropertyId([9; 16]), DoorId([0; 12])))
                .unwrap()
                .map(|(record, _)| record),
            None
        );
        wallet.write(|tx| tx.delete_property(PROPERTY)).unwrap();
        assert!(doors().is_empty());
    }
}
