//! Keys that this phone has registered at properties.

use latchkey_protocol::api::auth::CredentialUse;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{CredentialId, PropertyId};
use rusqlite::OptionalExtension as _;
use serde::{Deserialize, Serialize};

use super::seal::{Cell, RowId};
use super::{Tx, WalletError};

const TABLE: &str = "credentials";

/// A registered key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CredentialRecord {
    pub(crate) credential: CredentialId,
    /// The key's label in the keystore.
    pub(crate) label: String,
    /// P-256, 65 bytes uncompressed.
    pub(crate) public_key: Base64,
}

impl Tx<'_> {
    pub(crate) fn credential(
        &self,
        property: PropertyId,
        usage: CredentialUse,
    ) -> Result<Option<CredentialRecord>, WalletError> {
        let property = self.property_id(property);
        let id = self.credential_id(&property, usage);
        self.sql
            .query_row(
                "SELECT record FROM credentials WHERE id = ?1",
                [id],
                |row| row.get::<_, Vec<u8>>(0),
            )
            .optional()?
            .map(|sealed| self.open(cell(&row_of(&id, &property)), &sealed))
            .transpose()
    }

    /// The keystore's labels of all keys of a property.
    pub(crate) fn credential_labels(
        &self,
        property: PropertyId,
    ) -> Result<Vec<String>, WalletError> {
        let uses = [CredentialUse::Access, CredentialUse::Code];
        let records = uses.map(|usage| self.credential(property, usage));
        let mut labels = Vec::new();
        for record in records {
            labels.extend(record?.map(|record| record.label));
        }
        Ok(labels)
    }

    pub(crate) fn put_credential(
        &self,
        property: PropertyId,
        usage: CredentialUse,
        record: &CredentialRecord,
    ) -> Result<(), WalletError> {
        let property = self.property_id(property);
        let id = self.credential_id(&property, usage);
        let sealed = self.seal(cell(&row_of(&id, &property)), record)?;
        self.sql.execute(
            "INSERT INTO credentials (id, property, record) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            rusqlite::params![id, property, sealed],
        )?;
        Ok(())
    }

    fn credential_id(&self, property: &RowId, usage: CredentialUse) -> RowId {
        let usage: &[u8] = match usage {
            CredentialUse::Access => b"access",
            CredentialUse::Code => b"code",
        };
        self.key.row_id(TABLE, &[property, usage])
    }
}

fn row_of(id: &RowId, property: &RowId) -> Vec<u8> {
    [id.as_slice(), property].concat()
}

fn cell(row: &[u8]) -> Cell<'_> {
    Cell {
        table: TABLE,
        row,
        column: "record",
    }
}
