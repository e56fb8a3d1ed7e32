//! Keys as they stand: loading, listing, what each viewer sees of them.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::Page;
use latchkey_protocol::api::keys::{Key, KeyDoors, KeyKind, LinkState};
use latchkey_protocol::ids::{DoorId, KeyId, PersonId, PropertyId};
use latchkey_protocol::roles::Action;
use latchkey_protocol::rules::{AccessRules, Calendar, Reason, Reasons, Status, status};

use super::member::Member;
use super::property::{self, json};
use super::{guest_key, link, paging, uses, withdrawal};
use crate::fault::Fault;
use crate::store::{Row, StoreError, Tx, params};

/// A key as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: KeyId,
    pub(crate) ordinal: i64,
    pub(crate) name: String,
    pub(crate) kind: KeyKind,
    pub(crate) all_doors: bool,
    pub(crate) rules: AccessRules,
    pub(crate) created_by: PersonId,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) withdrawn_at: Option<DateTime<Utc>>,
    /// All its uses are spent, as far as doors have signed for it.
    pub(crate) used_up: bool,
    /// Of a guest key: the key of its author that it was granted from.
    pub(crate) parent: Option<KeyId>,
}

/// The keys (`k`) of which this is so, in the order of [`Record::from_row`].
macro_rules! keys_where {
    ($from:literal) => {
        concat!(
            "SELECT k.ordinal, k.id, k.name, k.kind, k.all_doors, k.rules, k.created_by, k.created_at,
                 k.withdrawn_at, k.used_up, k.parent ",
            $from
        )
    };
}
pub(super) use keys_where;

impl Record {
    /// Where it stands.
    pub(crate) fn status(&self, calendar: &Calendar<'_>, at: DateTime<Utc>) -> Status {
        let against = Reasons::NONE.with_if(self.withdrawn_at.is_some(), Reason::Revoked);
        let spent = if self.used_up { u32::MAX } else { 0 };
        status(&self.rules, calendar, at, against, spent)
    }

    /// Whether it can still open anything, now or later: a number of uses may be raised, and until then a door says
    /// more plainly than the lack of a grant that none are left.
    pub(crate) fn is_alive(&self, calendar: &Calendar<'_>, at: DateTime<Utc>) -> bool {
        matches!(
            self.status(calendar, at),
            Status::Upcoming | Status::Active | Status::Suspended | Status::UsedUp
        )
    }

    pub(super) fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            ordinal: row.at(0)?,
            id: row.at(1)?,
            name: row.at(2)?,
            kind: kind_of(&row.at::<String>(3)?)?,
            all_doors: row.at(4)?,
            rules: json(&row.at::<String>(5)?, "rules")?,
            created_by: row.at(6)?,
            created_at: row.at(7)?,
            withdrawn_at: row.at(8)?,
            used_up: row.at(9)?,
            parent: row.at(10)?,
        })
    }
}

/// The key of this id.
pub(crate) fn load(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: KeyId,
) -> Result<Option<Record>, StoreError> {
    tx.first(
        keys_where!("FROM door_key k WHERE k.property = ?1 AND k.id = ?2"),
        params![property, id],
    )?
    .map(|row| Record::from_row(&row))
    .transpose()
}

/// The keys that a person holds and nobody has withdrawn.
pub(crate) fn held_by(
    tx: &mut dyn Tx,
    property: PropertyId,
    person: PersonId,
) -> Result<Vec<Record>, StoreError> {
    tx.query(
        keys_where!(
            "FROM key_person kp JOIN door_key k ON k.property = kp.property AND k.id = kp.key_id
             WHERE kp.property = ?1 AND kp.person = ?2 AND k.withdrawn_at IS NULL ORDER BY k.ordinal"
        ),
        params![property, person],
    )?
    .iter()
    .map(Record::from_row)
    .collect()
}

/// Its holders.
pub(crate) fn persons(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: KeyId,
) -> Result<Vec<PersonId>, StoreError> {
    tx.query(
        "SELECT person FROM key_person WHERE property = ?1 AND key_id = ?2 ORDER BY person",
        params![property, key],
    )?
    .iter()
    .map(|row| row.at(0))
    .collect()
}

/// Its doors, when it does not open all.
pub(crate) fn named_doors(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: KeyId,
) -> Result<Vec<DoorId>, StoreError> {
    tx.query(
        "SELECT kd.door FROM key_door kd JOIN door d ON d.property = kd.property AND d.id = kd.door
         WHERE kd.property = ?1 AND kd.key_id = ?2 ORDER BY d.number",
        params![property, key],
    )?
    .iter()
    .map(|row| row.at(0))
    .collect()
}

/// Its doors as the API says them.
pub(crate) fn doors(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: &Record,
) -> Result<KeyDoors, StoreError> {
    Ok(if key.all_doors {
        KeyDoors::All
    } else {
        KeyDoors::Some(named_doors(tx, property, key.id)?)
    })
}

/// What this member sees of the key: those who see all keys everything, whoever granted it all but where its uses are, a
/// holder what is theirs, others nothing.
pub(crate) fn view(
    tx: &mut dyn Tx,
    member: &Member,
    calendar: &Calendar<'_>,
    key: Record,
    now: DateTime<Utc>,
) -> Result<Option<Key>, StoreError> {
    let mut persons = persons(tx, member.property, key.id)?;
    let sees_all = member.may(Action::ViewKeys);
    let granted = guest_key::is_of(tx, member, &key)?;
    if !sees_all {
        persons.retain(|person| *person == member.person);
        let holds = !persons.is_empty() && key.withdrawn_at.is_none();
        if !holds && !granted {
            return Ok(None);
        }
    }
    let doors = doors(tx, member.property, &key)?;
    let status = key.status(calendar, now);
    let uses = uses::view(tx, member.property, &key, sees_all)?;
    let (link, withdrawal) = if sees_all || granted {
        (
            link::state(tx, member.property, key.id)?,
            withdrawal::of_key(tx, member.property, key.id)?,
        )
    } else {
        (None::<LinkState>, None)
    };
    Ok(Some(Key {
        id: key.id,
        name: key.name,
        kind: key.kind,
        persons,
        doors,
        rules: key.rules,
        status,
        uses,
        created_by: key.created_by,
        created_at: key.created_at,
        parent: key.parent,
        link,
        withdrawal,
    }))
}

/// The key as this member sees it, or nothing there.
pub(crate) fn show(
    tx: &mut dyn Tx,
    member: &Member,
    id: KeyId,
    now: DateTime<Utc>,
) -> Result<Key, Fault> {
    let property = property::load(tx, member.property)?;
    let key = load(tx, member.property, id)?.ok_or_else(Fault::not_found)?;
    view(tx, member, &property.calendar(), key, now)?.ok_or_else(Fault::not_found)
}

/// Which keys are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filter {
    pub(crate) person: Option<PersonId>,
    pub(crate) status: Option<Status>,
}

/// A page of the keys that the caller may see.
pub(crate) fn list(
    tx: &mut dyn Tx,
    member: &Member,
    filter: Filter,
    cursor: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Page<Key>, Fault> {
    let property = property::load(tx, member.property)?;
    let calendar = property.calendar();
    // Who does not see all keys sees their own.
    let person = match filter.person {
        _ if !member.may(Action::ViewKeys) => Some(member.person),
        person => person,
    };
    let mut after = paging::after(cursor)?;
    let mut items = Vec::new();
    loop {
        let rows = tx.query(
            keys_where!(
                "FROM door_key k WHERE k.property = ?1 AND k.ordinal > ?2
                   AND (CAST(?3 AS BYTEA) IS NULL OR (k.parent IS NOT NULL AND k.created_by = ?3)
                        OR EXISTS (SELECT 1 FROM key_person kp
                        WHERE kp.property = k.property AND kp.key_id = k.id AND kp.person = ?3))
                 ORDER BY k.ordinal LIMIT ?4"
            ),
            params![member.property, after, person, paging::PAGE as i64 + 1],
        )?;
        let last = rows.len() <= paging::PAGE;
        for row in &rows {
            let key = Record::from_row(row)?;
            after = key.ordinal;
            if filter
                .status
                .is_some_and(|wanted| wanted != key.status(&calendar, now))
            {
                continue;
            }
            if let Some(key) = view(tx, member, &calendar, key, now)? {
                items.push((after, key));
            }
        }
        if last || items.len() > paging::PAGE {
            return Ok(paging::page(items));
        }
    }
}

pub(crate) const fn kind_name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Mobile => "mobile",
        KeyKind::Qr => "qr",
    }
}

fn kind_of(name: &str) -> Result<KeyKind, StoreError> {
    [KeyKind::Mobile, KeyKind::Qr]
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
        .ok_or(StoreError::Unreadable("kind of key"))
}
