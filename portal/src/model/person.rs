//! People of a property. Names stand here alone.

use latchkey_protocol::api::Page;
use latchkey_protocol::api::people::{NewPerson, Person};
use latchkey_protocol::api::sync::EntityKind;
use latchkey_protocol::ids::{PersonId, PropertyId};
use latchkey_protocol::roles::{Action, Role, Target, may};

use super::change::{self, Audience};
use super::member::Member;
use super::{audit, paging};
use crate::contact;
use crate::fault::Fault;
use crate::store::{Row, StoreError, Tx, params};
use crate::tools::Tools;

const LONGEST_NAME: usize = 100;

/// An address as it is compared: no white space around it, lower case.
pub(crate) fn normal_address(address: &str) -> Result<String, Fault> {
    contact::mail(address)
        .ok_or_else(|| Fault::invalid("`email` must be an address such as name@example.org"))
}

/// A name as it is kept.
pub(crate) fn normal_name(field: &str, name: &str) -> Result<String, Fault> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control)
    {
        return Err(Fault::invalid(format!(
            "`{field}` must have 1 to {LONGEST_NAME} characters"
        )));
    }
    Ok(name.to_owned())
}

pub(crate) fn role_of(name: &str) -> Result<Role, StoreError> {
    Role::from_name(name).ok_or(StoreError::Unreadable("role"))
}

/// Where this address is known.
pub(crate) fn properties_of(
    tx: &mut dyn Tx,
    email: &str,
) -> Result<Vec<(PropertyId, PersonId)>, StoreError> {
    tx.query(
        "SELECT property, person FROM directory WHERE email = ?1 ORDER BY property",
        params![email],
    )?
    .iter()
    .map(|row| Ok((row.at(0)?, row.at(1)?)))
    .collect()
}

/// Enters a person, when the caller may.
pub(crate) fn create(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    new: &NewPerson,
) -> Result<Person, Fault> {
    if !may(member.role, Action::CreatePerson, Target::Person(new.role)) {
        return Err(Fault::not_allowed());
    }
    insert(tx, tools, member.property, Some(member.person), new)
}

/// Enters a person.
pub(crate) fn insert(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    by: Option<PersonId>,
    new: &NewPerson,
) -> Result<Person, Fault> {
    let id = PersonId(tools.random());
    let name = normal_name("name", &new.name)?;
    let email = new.email.as_deref().map(normal_address).transpose()?;
    let ordinal = change::next_number(tx, property)?;
    tx.execute(
        "INSERT INTO person (property, id, name, role, email, ordinal, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            property,
            id,
            &name,
            new.role.name(),
            email.as_ref(),
            ordinal,
            tools.now()
        ],
    )
    .map_err(|error| match error {
        StoreError::Duplicate => Fault::conflict("this address belongs to another person here"),
        error => error.into(),
    })?;
    if let Some(email) = &email {
        tx.execute(
            "INSERT INTO directory (email, property, person) VALUES (?1, ?2, ?3)",
            params![email, property, id],
        )?;
    }
    tell(tx, property, id)?;
    audit::write(
        tx,
        tools,
        property,
        by,
        "person.create",
        &format!("{id} {}", new.role.name()),
    )?;
    Ok(Person {
        id,
        name,
        role: new.role,
        email,
        has_phone: false,
    })
}

/// Says that a person has changed.
pub(crate) fn tell(tx: &mut dyn Tx, property: PropertyId, id: PersonId) -> Result<(), StoreError> {
    change::tell(
        tx,
        property,
        Audience::People,
        EntityKind::Person,
        &id.to_string(),
    )
}

/// The person of this id.
pub(crate) fn load(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: PersonId,
) -> Result<Option<Person>, StoreError> {
    tx.first(
        "SELECT p.ordinal, p.id, p.name, p.role, p.email,
             EXISTS (SELECT 1 FROM credential c WHERE c.property = p.property AND c.person = p.id
                     AND c.usage = 'access' AND c.withdrawn_at IS NULL)
         FROM person p WHERE p.property = ?1 AND p.id = ?2",
        params![property, id],
    )?
    .map(|row| from_row(&row))
    .transpose()
}

/// The role of a person.
pub(crate) fn role(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: PersonId,
) -> Result<Option<Role>, StoreError> {
    tx.first(
        "SELECT role FROM person WHERE property = ?1 AND id = ?2",
        params![property, id],
    )?
    .map(|row| role_of(&row.at::<String>(0)?))
    .transpose()
}

/// A page of the people, in the order in which they were entered.
pub(crate) fn list(
    tx: &mut dyn Tx,
    member: &Member,
    cursor: Option<&str>,
) -> Result<Page<Person>, Fault> {
    member.must(Action::ViewPeople)?;
    let rows = tx.query(
        "SELECT p.ordinal, p.id, p.name, p.role, p.email,
             EXISTS (SELECT 1 FROM credential c WHERE c.property = p.property AND c.person = p.id
                     AND c.usage = 'access' AND c.withdrawn_at IS NULL)
         FROM person p WHERE p.property = ?1 AND p.ordinal > ?2 ORDER BY p.ordinal LIMIT ?3",
        params![
            member.property,
            paging::after(cursor)?,
            paging::PAGE as i64 + 1
        ],
    )?;
    let items = rows.iter().map(|row| Ok((row.at(0)?, from_row(row)?)));
    Ok(paging::page(items.collect::<Result<_, StoreError>>()?))
}

fn from_row(row: &Row) -> Result<Person, StoreError> {
    Ok(Person {
        id: row.at(1)?,
        name: row.at(2)?,
        role: role_of(&row.at::<String>(3)?)?,
        email: row.at(4)?,
        has_phone: row.at(5)?,
    })
}
