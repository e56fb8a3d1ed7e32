//! The documents of grants as they are kept, and as phones see them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use latchkey_protocol::api::sync::{EntityKind, GrantEntity};
use latchkey_protocol::ids::{CredentialId, DoorId, DoorNumber, KeyId, PropertyId};

use super::Round;
use super::elements::Element;
use crate::fault::Fault;
use crate::model::change::{self, Audience};
use crate::model::credential::{self, Record as Credential};
use crate::model::member::Member;
use crate::model::property::{json, text};
use crate::signer::SignedGrant;
use crate::store::{StoreError, Tx, params};

/// Keeps the documents and tells the phone; those that are no longer there stay as empty rows, so that `signed` never
/// goes back.
pub(super) fn keep(
    round: &Round,
    tx: &mut dyn Tx,
    held: &Credential,
    elements: &[Element],
    grant: Option<&SignedGrant>,
) -> Result<(), Fault> {
    let (property, now) = (round.property.id, round.tools.now());
    let documents = grant.map_or(&[][..], |grant| &grant.documents);
    let signed = grant.map_or(0, |grant| grant.signed);
    for (index, document) in (0i64..).zip(documents) {
        let keys: BTreeSet<KeyId> = document.keys.iter().map(|at| elements[*at].key).collect();
        let half = (document.valid_until - now) / 2;
        tx.execute(
            "INSERT INTO grant_document
                 (property, credential, idx, doors, keys, document, signed, renew_at, valid_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (property, credential, idx) DO UPDATE SET doors = excluded.doors,
                 keys = excluded.keys, document = excluded.document, signed = excluded.signed,
                 renew_at = excluded.renew_at, valid_until = excluded.valid_until",
            params![
                property,
                held.id,
                index,
                text(&document.doors, "doors")?,
                text(&keys, "keys")?,
                &document.document,
                signed,
                now + half,
                document.valid_until
            ],
        )?;
        tell(tx, property, held, index)?;
    }
    let surplus = tx.query(
        "SELECT idx FROM grant_document
         WHERE property = ?1 AND credential = ?2 AND idx >= ?3 AND valid_until > 0",
        params![property, held.id, documents.len() as i64],
    )?;
    for row in surplus {
        let index: i64 = row.at(0)?;
        tx.execute(
            "UPDATE grant_document SET doors = '[]', keys = '[]', document = ?4, renew_at = ?5,
                 valid_until = 0
             WHERE property = ?1 AND credential = ?2 AND idx = ?3",
            params![property, held.id, index, Vec::<u8>::new(), i64::MAX],
        )?;
        tell(tx, property, held, index)?;
    }
    Ok(())
}

fn tell(
    tx: &mut dyn Tx,
    property: PropertyId,
    held: &Credential,
    index: i64,
) -> Result<(), StoreError> {
    let id = format!("{}.{index}", held.id);
    change::tell(
        tx,
        property,
        Audience::Device(held.device),
        EntityKind::Grant,
        &id,
    )
}

/// A document as its phone sees it.
pub(crate) fn entity(
    tx: &mut dyn Tx,
    member: &Member,
    credential: CredentialId,
    index: u16,
) -> Result<Option<GrantEntity>, StoreError> {
    let held = credential::load(tx, member.property, credential)?;
    if held.is_none_or(|held| held.device != member.device) {
        return Ok(None);
    }
    let row = tx.first(
        "SELECT doors, keys, document, valid_until FROM grant_document
         WHERE property = ?1 AND credential = ?2 AND idx = ?3 AND valid_until > 0",
        params![member.property, credential, index],
    )?;
    let Some(row) = row else { return Ok(None) };
    let numbers: Vec<DoorNumber> = json(&row.at::<String>(0)?, "doors of a grant")?;
    let mut doors: Vec<DoorId> = Vec::with_capacity(numbers.len());
    for number in numbers {
        let door = tx.first(
            "SELECT id FROM door WHERE property = ?1 AND number = ?2",
            params![member.property, number.0],
        )?;
        doors.extend(door.map(|row| row.at::<DoorId>(0)).transpose()?);
    }
    let valid_until: DateTime<Utc> = row.at(3)?;
    Ok(Some(GrantEntity {
        credential,
        index,
        doors,
        keys: json(&row.at::<String>(1)?, "keys of a grant")?,
        document: row.at::<Vec<u8>>(2)?.into(),
        valid_until,
    }))
}
