//! The property's change log: for each thing and audience, the number of its latest change. Numbers come from the
//! property's own row, within the same transaction, so none is ever seen before a lower one. Events have such numbers
//! too, and no rows here: they do not change.

use std::ops::RangeInclusive;

use latchkey_protocol::api::sync::EntityKind;
use latchkey_protocol::ids::{DeviceId, PersonId, PropertyId};

use crate::store::{StoreError, Tx, Wake, params};

/// Who hears of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// All members.
    Everyone,
    /// Those whose role sees all keys.
    Keys,
    /// Those whose role sees people.
    People,
    /// Those whose role carries lock sync.
    Carriers,
    /// One person.
    Person(PersonId),
    /// One device.
    Device(DeviceId),
}

impl Audience {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Everyone => "everyone".to_owned(),
            Self::Keys => "keys".to_owned(),
            Self::People => "people".to_owned(),
            Self::Carriers => "carriers".to_owned(),
            Self::Person(person) => format!("person:{person}"),
            Self::Device(device) => format!("device:{device}"),
        }
    }
}

/// The property's next number.
pub(crate) fn next_number(tx: &mut dyn Tx, property: PropertyId) -> Result<i64, StoreError> {
    Ok(*next_numbers(tx, property, 1)?.start())
}

/// The property's next numbers, so many.
pub(crate) fn next_numbers(
    tx: &mut dyn Tx,
    property: PropertyId,
    count: u32,
) -> Result<RangeInclusive<i64>, StoreError> {
    tx.lock_property(property)?;
    let last: i64 = tx
        .first(
            "UPDATE property SET last_change = last_change + ?2 WHERE id = ?1 RETURNING last_change",
            params![property, count],
        )?
        .ok_or(StoreError::Unreadable("property"))?
        .at(0)?;
    tx.wake(Wake::Changed(property));
    Ok(last - i64::from(count) + 1..=last)
}

/// The number of the property's latest change.
pub(crate) fn last_number(tx: &mut dyn Tx, property: PropertyId) -> Result<i64, StoreError> {
    tx.first(
        "SELECT last_change FROM property WHERE id = ?1",
        params![property],
    )?
    .ok_or(StoreError::Unreadable("property"))?
    .at(0)
}

/// Says that a thing has changed, come or gone for this audience. Which of these it is for whom is found out when
/// they ask.
pub(crate) fn tell(
    tx: &mut dyn Tx,
    property: PropertyId,
    audience: Audience,
    kind: EntityKind,
    id: &str,
) -> Result<(), StoreError> {
    let number = next_number(tx, property)?;
    tx.execute(
        "INSERT INTO change_log (property, audience, kind, id, number) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (property, audience, kind, id) DO UPDATE SET number = excluded.number",
        params![property, audience.text(), kind_name(kind), id, number],
    )?;
    Ok(())
}

/// A kind's name in the store.
pub(crate) const fn kind_name(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Property => "property",
        EntityKind::Door => "door",
        EntityKind::Key => "key",
        EntityKind::Grant => "grant",
        EntityKind::Pass => "pass",
        EntityKind::Revocation => "revocation",
        EntityKind::Statement => "statement",
        EntityKind::Person => "person",
        EntityKind::Event => "event",
        EntityKind::Bundle => "bundle",
        EntityKind::LogReceipt => "log-receipt",
    }
}

/// The kind of this name.
pub(crate) fn kind_of(name: &str) -> Result<EntityKind, StoreError> {
    use EntityKind as K;
    [
        K::Property,
        K::Door,
        K::Key,
        K::Grant,
        K::Pass,
        K::Revocation,
        K::Statement,
        K::Person,
        K::Event,
        K::Bundle,
        K::LogReceipt,
    ]
    .into_iter()
    .find(|kind| kind_name(*kind) == name)
    .ok_or(StoreError::Unreadable("kind"))
}
