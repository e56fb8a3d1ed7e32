//! A wallet with something in every table.

use aliro::keys::PersistentKey;
use chrono::{DateTime, Utc};
use latchkey_protocol::api::auth::{CredentialUse, Membership};
use latchkey_protocol::api::sync::{Entity, EntityKind, RevocationEntity};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{AttemptId, CredentialId, DoorId, Generation, PersonId, PropertyId};
use latchkey_protocol::roles::Role;

use crate::outbox::Action;
use crate::wallet::{
    CredentialRecord, OutboxRecord, OutboxState, PortalRecord, ReaderRecord, RowId, Tx,
    UnansweredAttempt, Wallet, WalletError,
};

pub(super) const HARBOUR: PropertyId = PropertyId([1; 16]);
pub(super) const MILL: PropertyId = PropertyId([2; 16]);
const GONE: PropertyId = PropertyId([3; 16]);

/// Writes every table, each row with this number in all that can change. Later numbers change every row of
/// before; the first brings rows that the second takes away, some of each table.
pub(super) fn fill(wallet: &Wallet, number: u32) -> Result<(), WalletError> {
    let first = number == 1;
    wallet.write(|tx| {
        let harbour = put_portal(tx, "https://harbour.example", number)?;
        let mill = put_portal(tx, "https://mill.example", number)?;
        let gone = put_portal(tx, "https://gone.example", number)?;
        put_property(tx, HARBOUR, harbour, number)?;
        put_property(tx, MILL, mill, number)?;
        put_property(tx, GONE, gone, number)?;
        for waiting in tx.outbox()? {
            tx.put_outbox(waiting.0, waiting.1, &request(number))?;
        }
        if first {
            for portal in [harbour, mill, harbour, gone] {
                tx.push_outbox(portal, &request(number))?;
            }
        }
        for label in ["account", "access", "gone"] {
            tx.put_device_key(label, &number.to_be_bytes())?;
        }
        if !first {
            tx.delete_portal(gone)?;
            tx.delete_device_key("gone")?;
            tx.mark_entities_stale(HARBOUR)?;
        }
        Ok(())
    })
}

pub(super) fn put_portal(tx: &Tx<'_>, url: &str, number: u32) -> Result<RowId, WalletError> {
    tx.put_portal(&PortalRecord {
        url: url.to_owned(),
        email: "rita@example.com".to_owned(),
        account_label: "account".to_owned(),
        tokens: None,
        clock_offset_ms: number.into(),
    })
}

pub(super) fn put_property(
    tx: &Tx<'_>,
    property: PropertyId,
    portal: RowId,
    number: u32,
) -> Result<(), WalletError> {
    let membership = Membership {
        property,
        property_name: "Harbour View".to_owned(),
        person: PersonId([2; 16]),
        person_name: number.to_string(),
        role: Role::Resident,
    };
    tx.put_membership(portal, &membership)?;
    tx.put_cursor(property, portal, Some(&number.to_string()))?;
    for id in ["one", "two"] {
        put_entity(tx, property, id, number)?;
    }
    for usage in [CredentialUse::Access, CredentialUse::Code] {
        let record = CredentialRecord {
            credential: CredentialId([number.to_be_bytes()[3]; 16]),
            label: number.to_string(),
            public_key: Base64(vec![4; 65]),
        };
        tx.put_credential(property, usage, &record)?;
    }
    for attempt in [1, 2] {
        tx.put_attempt(property, &attempt_of(property, attempt, number))?;
    }
    for door in [1, 2] {
        put_reader(tx, property, door, number)?;
    }
    Ok(())
}

pub(super) fn put_entity(
    tx: &Tx<'_>,
    property: PropertyId,
    id: &str,
    number: u32,
) -> Result<(), WalletError> {
    let value = Entity::Revocation(RevocationEntity {
        epoch: 1,
        version: number.into(),
        document: Base64(vec![0xD0; 40]),
    });
    let kind = match id {
        "two" => EntityKind::Statement,
        _ => EntityKind::Revocation,
    };
    tx.put_entity(property, kind, id, &value)
}

pub(super) fn attempt_of(property: PropertyId, attempt: u8, number: u32) -> UnansweredAttempt {
    let mut id = property.0;
    id[0] = attempt;
    UnansweredAttempt {
        attempt: AttemptId(id),
        door: DoorId([1; 12]),
        made_at: DateTime::from_timestamp(number.into(), 0).unwrap(),
    }
}

pub(super) fn put_reader(
    tx: &Tx<'_>,
    property: PropertyId,
    door: u8,
    number: u32,
) -> Result<(), WalletError> {
    let record = ReaderRecord {
        door: DoorId([door; 12]),
        generation: Generation(number),
        credential: Base64(vec![4; 65]),
        certified_until: 5,
    };
    let key = PersistentKey::new([number.to_be_bytes()[3]; 32]);
    tx.put_reader(property, &record, &key)
}

pub(super) fn request(number: u32) -> OutboxRecord {
    OutboxRecord {
        property: HARBOUR,
        method: "POST".to_owned(),
        path: "/v1/people".to_owned(),
        body: serde_json::Value::Null,
        idempotency_key: number.to_string(),
        action: Action::AddPerson("Vic Vendor".to_owned()),
        made_at: DateTime::<Utc>::UNIX_EPOCH,
        state: OutboxState::Waiting,
    }
}
