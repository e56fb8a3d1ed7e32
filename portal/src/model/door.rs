//! Doors.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::Page;
use latchkey_protocol::api::doors::{Door, DoorKind, DoorReach, NewDoor};
use latchkey_protocol::api::sync::EntityKind;
use latchkey_protocol::ids::{DoorId, DoorNumber, Generation, PersonId, PropertyId};
use latchkey_protocol::roles::Action;

use super::change::{self, Audience};
use super::member::Member;
use super::person::normal_name;
use super::{audit, paging};
use crate::contact;
use crate::fault::Fault;
use crate::store::{Row, StoreError, Tx, params};
use crate::tools::Tools;

/// Adds a door, when the caller may.
pub(crate) fn create(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    new: &NewDoor,
) -> Result<Door, Fault> {
    member.must(Action::ManageDoors)?;
    insert(tx, tools, member.property, Some(member.person), new)
}

/// Adds a door. Keys for *all doors* open it from now on; the caller makes their grants anew.
pub(crate) fn insert(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    by: Option<PersonId>,
    new: &NewDoor,
) -> Result<Door, Fault> {
    let id = DoorId(tools.random());
    let name = normal_name("name", &new.name)?;
    if new.place.chars().count() > 100 || new.place.chars().any(char::is_control) {
        return Err(Fault::invalid("`place` must have at most 100 characters"));
    }
    let address = new
        .stream_address
        .as_deref()
        .map(stream_address)
        .transpose()?;
    tx.lock_property(property)?;
    tx.execute(
        "UPDATE property SET last_door = last_door + 1 WHERE id = ?1",
        params![property],
    )?;
    let number: i64 = tx
        .first(
            "SELECT last_door FROM property WHERE id = ?1",
            params![property],
        )?
        .ok_or_else(Fault::not_found)?
        .at(0)?;
    let number = u16::try_from(number)
        .map_err(|_| Fault::conflict("a property has had at most 65535 doors"))?;
    tx.execute(
        "INSERT INTO door (property, id, number, name, kind, reach, place, stream_address, connected)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)",
        params![
            property,
            id,
            number,
            &name,
            kind_name(new.kind),
            reach_name(new.reach),
            &new.place,
            address.as_ref()
        ],
    )
    .map_err(|error| match error {
        StoreError::Duplicate => Fault::conflict(format!("there is a door `{name}` already")),
        error => error.into(),
    })?;
    tell(tx, property, id)?;
    audit::write(tx, tools, property, by, "door.create", &id.to_string())?;
    Ok(Door {
        id,
        number: DoorNumber(number),
        name,
        kind: new.kind,
        reach: new.reach,
        place: new.place.clone(),
        generation: None,
        stream_address: address,
        connected: false,
        last_contact: None,
    })
}

/// `host:port` that somebody could connect to.
pub(crate) fn stream_address(address: &str) -> Result<String, Fault> {
    contact::stream(address).ok_or_else(|| Fault::invalid("`stream_address` must be host:port"))
}

/// Says that a door has changed. Whoever may not see it leaves it out.
pub(crate) fn tell(tx: &mut dyn Tx, property: PropertyId, id: DoorId) -> Result<(), StoreError> {
    change::tell(
        tx,
        property,
        Audience::Everyone,
        EntityKind::Door,
        &id.to_string(),
    )
}

/// The door of this id, for those who may see it.
pub(crate) fn load(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: DoorId,
) -> Result<Option<Door>, StoreError> {
    tx.first(
        "SELECT number, id, name, kind, reach, place, generation, stream_address, connected,
             last_contact
         FROM door WHERE property = ?1 AND id = ?2",
        params![property, id],
    )?
    .map(|row| from_row(&row))
    .transpose()
}

/// All doors, in the order of their numbers.
pub(crate) fn all(tx: &mut dyn Tx, property: PropertyId) -> Result<Vec<Door>, StoreError> {
    tx.query(
        "SELECT number, id, name, kind, reach, place, generation, stream_address, connected,
             last_contact
         FROM door WHERE property = ?1 ORDER BY number",
        params![property],
    )?
    .iter()
    .map(from_row)
    .collect()
}

/// The doors to which everything has to be carried.
pub(crate) fn without_network(
    tx: &mut dyn Tx,
    property: PropertyId,
) -> Result<Vec<DoorId>, StoreError> {
    tx.query(
        "SELECT id FROM door WHERE property = ?1 AND reach = ?2 ORDER BY number",
        params![property, reach_name(DoorReach::Offline)],
    )?
    .iter()
    .map(|row| row.at(0))
    .collect()
}

/// Whether this person sees the door: the role sees all, or one of the person's keys opens it.
pub(crate) fn is_visible(tx: &mut dyn Tx, member: &Member, id: DoorId) -> Result<bool, StoreError> {
    if member.may(Action::ViewDoors) {
        return Ok(true);
    }
    let found = tx.first(
        "SELECT 1 FROM key_person kp JOIN door_key k ON k.property = kp.property AND k.id = kp.key_id
         WHERE kp.property = ?1 AND kp.person = ?2 AND k.withdrawn_at IS NULL
           AND (k.all_doors = 1 OR EXISTS (SELECT 1 FROM key_door kd
                WHERE kd.property = k.property AND kd.key_id = k.id AND kd.door = ?3))",
        params![member.property, member.person, id],
    )?;
    Ok(found.is_some())
}

/// A page of the doors that the caller may see.
pub(crate) fn list(
    tx: &mut dyn Tx,
    member: &Member,
    cursor: Option<&str>,
) -> Result<Page<Door>, Fault> {
    let mut after = paging::after(cursor)?;
    let mut items = Vec::new();
    loop {
        let rows = tx.query(
            "SELECT number, id, name, kind, reach, place, generation, stream_address, connected,
                 last_contact
             FROM door WHERE property = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
            params![member.property, after, paging::PAGE as i64 + 1],
        )?;
        let last = rows.len() <= paging::PAGE;
        for row in &rows {
            after = row.at(0)?;
            let door = from_row(row)?;
            if is_visible(tx, member, door.id)? {
                items.push((after, door));
            }
        }
        if last || items.len() > paging::PAGE {
            return Ok(paging::page(items));
        }
    }
}

/// The number of the controller's newest connection; 0 before the first.
pub(crate) fn line(tx: &mut dyn Tx, property: PropertyId, id: DoorId) -> Result<u64, StoreError> {
    let row = tx.first(
        "SELECT line FROM door WHERE property = ?1 AND id = ?2",
        params![property, id],
    )?;
    row.map_or(Ok(0), |row| row.at(0))
}

/// A phone was there.
pub(crate) fn had_contact(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: DoorId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE door SET last_contact = ?3 WHERE property = ?1 AND id = ?2",
        params![property, id, now],
    )?;
    tell(tx, property, id)
}

/// No controller is connected: said at the start, since connections end with the process.
pub(crate) fn all_disconnected(tx: &mut dyn Tx, property: PropertyId) -> Result<(), StoreError> {
    let connected = tx.query(
        "SELECT id FROM door WHERE property = ?1 AND connected = 1",
        params![property],
    )?;
    for row in connected {
        let id: DoorId = row.at(0)?;
        tx.execute(
            "UPDATE door SET connected = 0, instance = NULL
             WHERE property = ?1 AND id = ?2",
            params![property, id],
        )?;
        tell(tx, property, id)?;
    }
    Ok(())
}

fn from_row(row: &Row) -> Result<Door, StoreError> {
    Ok(Door {
        number: DoorNumber(row.at(0)?),
        id: row.at(1)?,
        name: row.at(2)?,
        kind: kind_of(&row.at::<String>(3)?)?,
        reach: reach_of(&row.at::<String>(4)?)?,
        place: row.at(5)?,
        generation: row.at::<Option<u32>>(6)?.map(Generation),
        stream_address: row.at(7)?,
        connected: row.at(8)?,
        last_contact: row.at(9)?,
    })
}

const fn kind_name(kind: DoorKind) -> &'static str {
    match kind {
        DoorKind::Unit => "unit",
        DoorKind::Gate => "gate",
        DoorKind::Garage => "garage",
        DoorKind::CommonArea => "common_area",
    }
}

fn kind_of(name: &str) -> Result<DoorKind, StoreError> {
    use DoorKind as K;
    [K::Unit, K::Gate, K::Garage, K::CommonArea]
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
        .ok_or(StoreError::Unreadable("kind of door"))
}

const fn reach_name(reach: DoorReach) -> &'static str {
    match reach {
        DoorReach::Online => "online",
        DoorReach::Hub => "hub",
        DoorReach::Offline => "offline",
    }
}

fn reach_of(name: &str) -> Result<DoorReach, StoreError> {
    use DoorReach as R;
    [R::Online, R::Hub, R::Offline]
        .into_iter()
        .find(|reach| reach_name(*reach) == name)
        .ok_or(StoreError::Unreadable("reach of a door"))
}
