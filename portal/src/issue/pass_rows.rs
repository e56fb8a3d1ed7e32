//! Passes as they are kept, and as phones see them.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::sync::{EntityKind, PassEntity};
use latchkey_protocol::ids::{CredentialId, DoorId, DoorNumber, KeyId, LinkId, PassId, PropertyId};
use latchkey_protocol::rules::AccessRules;

use super::statements::as_i64;
use crate::fault::Fault;
use crate::model::change::{self, Audience};
use crate::model::credential;
use crate::model::member::Member;
use crate::model::property::json;
use crate::store::{Row, StoreError, Tx, Wake, params};

/// Passes of the property `?1` that have not ended, in the order of [`Record::from_row`].
macro_rules! standing_where {
    ($rest:literal) => {
        concat!(
            "SELECT id, key_id, credential, link, public_key, doors, rules, statement,
                 statement_until, epoch, number, renew_at, last_used
             FROM pass WHERE property = ?1 AND ended_at IS NULL AND ",
            $rest
        )
    };
}

/// A pass as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: PassId,
    pub(crate) key: KeyId,
    pub(crate) credential: Option<CredentialId>,
    pub(crate) link: Option<LinkId>,
    pub(crate) public_key: Vec<u8>,
    /// Numbers of its doors; none for all.
    pub(crate) doors: Option<Vec<DoorNumber>>,
    pub(crate) rules: AccessRules,
    pub(crate) statement: Vec<u8>,
    pub(crate) statement_until: DateTime<Utc>,
    /// The signer's epoch in which its statement's number counts.
    pub(crate) epoch: u32,
    /// The number of its statement in the series for all doors.
    pub(crate) number: u64,
    pub(crate) renew_at: DateTime<Utc>,
    pub(crate) last_used: Option<u64>,
}

impl Record {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.at(0)?,
            key: row.at(1)?,
            credential: row.at(2)?,
            link: row.at(3)?,
            public_key: row.at(4)?,
            doors: json(&row.at::<String>(5)?, "doors of a pass")?,
            rules: json(&row.at::<String>(6)?, "rules of a pass")?,
            statement: row.at(7)?,
            statement_until: row.at(8)?,
            epoch: row.at(9)?,
            number: row.at(10)?,
            renew_at: row.at(11)?,
            last_used: row.at(12)?,
        })
    }

    /// Whether it names this door.
    pub(crate) fn opens(&self, door: DoorNumber) -> bool {
        self.doors
            .as_ref()
            .is_none_or(|doors| doors.contains(&door))
    }
}

/// The standing passes of a phone's code key.
pub(super) fn of_credential(
    tx: &mut dyn Tx,
    property: PropertyId,
    credential: CredentialId,
) -> Result<Vec<Record>, StoreError> {
    tx.query(
        standing_where!("credential = ?2 ORDER BY id"),
        params![property, credential],
    )?
    .iter()
    .map(Record::from_row)
    .collect()
}

/// The standing passes of a key's links.
pub(crate) fn of_key(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: KeyId,
) -> Result<Vec<Record>, StoreError> {
    tx.query(
        standing_where!("key_id = ?2 AND link IS NOT NULL"),
        params![property, key],
    )?
    .iter()
    .map(Record::from_row)
    .collect()
}

/// The pass of this id, unless it has ended.
pub(crate) fn load(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: PassId,
) -> Result<Option<Record>, StoreError> {
    tx.first(standing_where!("id = ?2"), params![property, id])?
        .map(|row| Record::from_row(&row))
        .transpose()
}

/// The passes whose statements have these numbers: doors have just proved that they know them.
pub(crate) fn between(
    tx: &mut dyn Tx,
    property: PropertyId,
    epoch: u32,
    after: u64,
    up_to: u64,
) -> Result<Vec<Record>, StoreError> {
    tx.query(
        standing_where!("epoch = ?2 AND number > ?3 AND number <= ?4"),
        params![property, epoch, as_i64(after)?, as_i64(up_to)?],
    )?
    .iter()
    .map(Record::from_row)
    .collect()
}

/// The passes that statements of this epoch have told of, in the order of their numbers.
pub(crate) fn standing(
    tx: &mut dyn Tx,
    property: PropertyId,
    epoch: u32,
    now: DateTime<Utc>,
) -> Result<Vec<Record>, StoreError> {
    tx.query(
        standing_where!("epoch = ?2 AND number > 0 AND statement_until > ?3 ORDER BY number"),
        params![property, epoch, now],
    )?
    .iter()
    .map(Record::from_row)
    .collect()
}

/// The doors that have proved, by their signed states, that they know this pass.
pub(crate) fn known_at(
    tx: &mut dyn Tx,
    property: PropertyId,
    pass: &Record,
) -> Result<Vec<DoorId>, StoreError> {
    let rows = tx.query(
        "SELECT d.id, d.number FROM door_state s
         JOIN door d ON d.property = s.property AND d.id = s.door AND d.generation = s.generation
         WHERE s.property = ?1 AND s.epoch = ?2 AND s.number_all >= ?3 ORDER BY d.number",
        params![property, pass.epoch, as_i64(pass.number)?],
    )?;
    let mut known = Vec::new();
    for row in rows {
        if pass.opens(DoorNumber(row.at(1)?)) {
            known.push(row.at(0)?);
        }
    }
    Ok(known)
}

/// A pass as its phone sees it.
pub(crate) fn entity(
    tx: &mut dyn Tx,
    member: &Member,
    id: PassId,
) -> Result<Option<PassEntity>, StoreError> {
    let Some(pass) = load(tx, member.property, id)? else {
        return Ok(None);
    };
    let Some(credential) = pass.credential else {
        return Ok(None);
    };
    let held = credential::load(tx, member.property, credential)?;
    if held.is_none_or(|held| held.device != member.device) {
        return Ok(None);
    }
    Ok(Some(PassEntity {
        pass: pass.id,
        key: pass.key,
        credential,
        known_at: known_at(tx, member.property, &pass)?,
        statement: pass.statement.into(),
        until: pass.statement_until,
        last_used: pass.last_used,
    }))
}

/// Says to whoever shows this pass that something about it has changed.
pub(crate) fn tell_holder(
    tx: &mut dyn Tx,
    property: PropertyId,
    pass: &Record,
) -> Result<(), Fault> {
    match (pass.credential, pass.link) {
        (Some(credential), _) => {
            // A withdrawn credential's device hears of the end, too.
            let device = tx.first(
                "SELECT device FROM credential WHERE property = ?1 AND id = ?2",
                params![property, credential],
            )?;
            if let Some(row) = device {
                let audience = Audience::Device(row.at(0)?);
                change::tell(
                    tx,
                    property,
                    audience,
                    EntityKind::Pass,
                    &pass.id.to_string(),
                )?;
            }
        }
        (None, _) => tx.wake(Wake::Guests(property)),
    }
    Ok(())
}

/// What is to be renewed by now, a portion of it.
pub(super) fn due(
    tx: &mut dyn Tx,
    property: PropertyId,
    now: DateTime<Utc>,
) -> Result<Vec<Record>, StoreError> {
    tx.query(
        standing_where!("renew_at <= ?2 LIMIT 500"),
        params![property, now],
    )?
    .iter()
    .map(Record::from_row)
    .collect()
}
