//! Properties: settings, and what everybody there needs to decide and unlock.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::property::Property;
use latchkey_protocol::ids::{PersonId, PropertyId};
use latchkey_protocol::roles::GuestKeyPolicy;
use latchkey_protocol::rules::{Calendar, Holidays, Offsets};

use super::member::Member;
use crate::fault::Fault;
use crate::store::{Row, StoreError, Tx, params};

/// A property as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: PropertyId,
    pub(crate) name: String,
    pub(crate) zone: String,
    pub(crate) offsets: Offsets,
    pub(crate) holidays: Holidays,
    /// Seconds.
    pub(crate) grant_lifetime: u32,
    /// How many uses of each counted key a door that cannot ask is given ahead.
    pub(crate) uses_ahead: u32,
    /// Who may grant guest keys.
    pub(crate) guest_keys: GuestKeyPolicy<PersonId>,
    pub(crate) issuer_key: [u8; 65],
    pub(crate) reader_ca_key: [u8; 65],
}

impl Record {
    /// What rules are read with.
    pub(crate) fn calendar(&self) -> Calendar<'_> {
        Calendar {
            offsets: &self.offsets,
            holidays: &self.holidays,
        }
    }

    /// As this member sees it.
    pub(crate) fn view(self, member: &Member) -> Property {
        Property {
            may_grant: self.guest_keys.kinds(member.role, &member.person),
            id: self.id,
            name: self.name,
            offsets: self.offsets,
            holidays: self.holidays,
            issuer_key: self.issuer_key[..].into(),
            reader_ca_key: self.reader_ca_key[..].into(),
            grant_lifetime: self.grant_lifetime,
        }
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.at(0)?,
            name: row.at(1)?,
            zone: row.at(2)?,
            offsets: json(&row.at::<String>(3)?, "offsets")?,
            holidays: json(&row.at::<String>(4)?, "holidays")?,
            grant_lifetime: row.at(5)?,
            issuer_key: row.at(6)?,
            reader_ca_key: row.at(7)?,
            uses_ahead: row.at(8)?,
            guest_keys: json(&row.at::<String>(9)?, "guest keys")?,
        })
    }
}

/// Enters a new property.
pub(crate) fn insert(
    tx: &mut dyn Tx,
    record: &Record,
    epoch: u32,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO property (id, name, zone, offsets, holidays, grant_lifetime, issuer_key,
             reader_ca_key, epoch, last_change, last_door, last_audit, audit_head, created_at,
             uses_ahead, guest_keys)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, 0, 0, ?10, ?11, ?12, ?13)",
        params![
            record.id,
            &record.name,
            &record.zone,
            text(&record.offsets, "offsets")?,
            text(&record.holidays, "holidays")?,
            record.grant_lifetime,
            record.issuer_key,
            record.reader_ca_key,
            epoch,
            Vec::<u8>::new(),
            now,
            record.uses_ahead,
            text(&record.guest_keys, "guest keys")?
        ],
    )?;
    Ok(())
}

/// The property of this id.
pub(crate) fn load(tx: &mut dyn Tx, id: PropertyId) -> Result<Record, Fault> {
    let row = tx
        .first(
            "SELECT id, name, zone, offsets, holidays, grant_lifetime, issuer_key, reader_ca_key,
                 uses_ahead, guest_keys
             FROM property WHERE id = ?1",
            params![id],
        )?
        .ok_or_else(Fault::not_found)?;
    Ok(Record::from_row(&row)?)
}

/// The epoch in which its numbers count.
pub(crate) fn epoch(tx: &mut dyn Tx, id: PropertyId) -> Result<u32, StoreError> {
    tx.first("SELECT epoch FROM property WHERE id = ?1", params![id])?
        .ok_or(StoreError::Unreadable("property"))?
        .at(0)
}

/// Begins this epoch. Cursors of before are stale from now on; so many numbers of doors are left out.
pub(crate) fn begin_epoch(
    tx: &mut dyn Tx,
    id: PropertyId,
    epoch: u32,
    door_numbers: u16,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE property SET epoch = ?2, last_door = last_door + ?3 WHERE id = ?1",
        params![id, epoch, u32::from(door_numbers)],
    )?;
    Ok(())
}

/// Keeps a new expansion of its zone.
pub(crate) fn set_offsets(
    tx: &mut dyn Tx,
    id: PropertyId,
    offsets: &Offsets,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE property SET offsets = ?2 WHERE id = ?1",
        params![id, text(offsets, "offsets")?],
    )?;
    Ok(())
}

/// Keeps who may grant guest keys.
pub(crate) fn set_guest_keys(
    tx: &mut dyn Tx,
    id: PropertyId,
    policy: &GuestKeyPolicy<PersonId>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE property SET guest_keys = ?2 WHERE id = ?1",
        params![id, text(policy, "guest keys")?],
    )?;
    Ok(())
}

/// All properties of this portal, for what runs by itself.
pub(crate) fn all(tx: &mut dyn Tx) -> Result<Vec<PropertyId>, StoreError> {
    tx.query("SELECT id FROM property ORDER BY created_at", &[])?
        .iter()
        .map(|row| row.at(0))
        .collect()
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(
    text: &str,
    what: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable(what))
}

pub(crate) fn text<T: serde::Serialize>(
    value: &T,
    what: &'static str,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Unreadable(what))
}
