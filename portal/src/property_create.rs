//! Making a property from its file: keys, first statements, doors, people, keys for them; all or nothing.

use std::collections::BTreeMap;
use std::path::Path;

use latchkey_env::{SharedClock, SharedRandom};
use latchkey_protocol::api::doors::NewDoor;
use latchkey_protocol::api::keys::{KeyDoors, KeyDraft};
use latchkey_protocol::api::people::NewPerson;
use latchkey_protocol::api::sync::EntityKind;
use latchkey_protocol::ids::{DoorId, PersonId, PropertyId};
use latchkey_protocol::roles::{GuestKeyPolicy, Role};

use crate::fault::Fault;
use crate::issue::{Round, revocations, statements};
use crate::model::change::{self, Audience};
use crate::model::{audit, door, key_write, person, property};
use crate::property_file::{DoorsOf, PropertyFile};
use crate::running::{StartError, open};
use crate::signer::SignerPlace;
use crate::store::{Database, Tx};
use crate::tools::Tools;
use crate::zone;

/// A property that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub property: PropertyId,
    /// Its name.
    pub name: String,
    /// The owner's address, for the first sign-in.
    pub owner: String,
    /// How many doors it has.
    pub doors: usize,
    /// How many people.
    pub people: usize,
    /// How many keys.
    pub keys: usize,
}

/// Why no property was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Store or signer do not open.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The zone is none.
    #[error("[property] zone: {0}")]
    Zone(#[from] zone::ZoneError),
    /// Something in the file is refused.
    #[error("{what}: {why}")]
    Refused {
        /// Which entry.
        what: String,
        /// Why.
        why: String,
    },
}

/// Makes a property in this database, its keys at this signer.
///
/// # Errors
/// [`CreateError`]; nothing is left then but keys that no property has.
pub async fn create_property(
    data: &Path,
    database: &Database,
    signer: &SignerPlace,
    file: PropertyFile,
    clock: SharedClock,
    random: SharedRandom,
) -> Result<Created, CreateError> {
    let (store, tools) = open(data, database, signer, clock, random).await?;
    let offsets = zone::expand(&file.property.zone, zone::span_at(tools.now()))?;
    let id = PropertyId(tools.random());
    let made = store
        .write(id, move |tx| make(tx, &tools, id, &file, offsets))
        .await;
    made.map_err(|Boxed { what, why }| CreateError::Refused { what, why })
}

/// An entry of the file that is refused.
struct Boxed {
    what: String,
    why: String,
}

impl From<crate::store::StoreError> for Boxed {
    fn from(error: crate::store::StoreError) -> Self {
        Self {
            what: "the database".to_owned(),
            why: error.to_string(),
        }
    }
}

impl From<Fault> for Boxed {
    fn from(fault: Fault) -> Self {
        Self {
            what: "the property".to_owned(),
            why: words(fault),
        }
    }
}

fn words(fault: Fault) -> String {
    match fault {
        Fault::Refused {
            detail: Some(detail),
            ..
        } => detail,
        fault => fault.to_string(),
    }
}

fn at(what: String) -> impl FnOnce(Fault) -> Boxed {
    move |fault| Boxed {
        what,
        why: words(fault),
    }
}

fn make(
    tx: &mut dyn Tx,
    tools: &Tools,
    id: PropertyId,
    file: &PropertyFile,
    offsets: latchkey_protocol::rules::Offsets,
) -> Result<Created, Boxed> {
    let keys = tools.signer.create(id).map_err(Fault::from)?;
    let record = property::Record {
        id,
        name: file.property.name.clone(),
        zone: file.property.zone.clone(),
        offsets,
        holidays: file.property.holidays.clone(),
        grant_lifetime: file.property.grant_lifetime.seconds(),
        uses_ahead: file.property.uses_ahead,
        guest_keys: GuestKeyPolicy::default(),
        issuer_key: *keys.issuer.as_bytes(),
        reader_ca_key: *keys.reader_ca.as_bytes(),
    };
    let epoch = tools.signer.standing(id).map_err(Fault::from)?.epoch;
    property::insert(tx, &record, epoch, tools.now())?;
    change::tell(
        tx,
        id,
        Audience::Everyone,
        EntityKind::Property,
        &id.to_string(),
    )?;
    audit::write(tx, tools, id, None, "property.create", &id.to_string())?;
    statements::publish_first(tx, tools, &record)?;
    revocations::publish(&Round::begin(tx, tools, id)?, tx)?;

    let owner = NewPerson {
        name: file.owner.name.clone(),
        role: Role::Owner,
        email: Some(file.owner.email.clone()),
    };
    let owner = person::insert(tx, tools, id, None, &owner).map_err(at("[owner]".to_owned()))?;
    let doors = make_doors(tx, tools, id, owner.id, file)?;
    let mut people = make_people(tx, tools, id, owner.id, file)?;
    people.insert(file.owner.name.clone(), owner.id);
    property::set_guest_keys(tx, id, &guest_keys(file, &people)?)?;
    make_keys(tx, tools, id, owner.id, file, &doors, &people)?;
    Ok(Created {
        property: id,
        name: record.name,
        owner: owner.email.unwrap_or_default(),
        doors: doors.len(),
        people: people.len(),
        keys: file.keys.len(),
    })
}

fn make_doors(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    by: PersonId,
    file: &PropertyFile,
) -> Result<BTreeMap<String, DoorId>, Boxed> {
    let mut doors = BTreeMap::new();
    for entry in &file.doors {
        let new = NewDoor {
            name: entry.name.clone(),
            kind: entry.kind,
            reach: entry.reach,
            place: entry.place.clone(),
            stream_address: entry.stream_address.clone(),
        };
        let made = door::insert(tx, tools, property, Some(by), &new)
            .map_err(at(format!("[[doors]] `{}`", entry.name)))?;
        doors.insert(entry.name.clone(), made.id);
    }
    Ok(doors)
}

fn make_people(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    by: PersonId,
    file: &PropertyFile,
) -> Result<BTreeMap<String, PersonId>, Boxed> {
    let mut people = BTreeMap::new();
    for entry in &file.people {
        let new = NewPerson {
            name: entry.name.clone(),
            role: entry.role,
            email: entry.email.clone(),
        };
        let made = person::insert(tx, tools, property, Some(by), &new)
            .map_err(at(format!("[[people]] `{}`", entry.name)))?;
        people.insert(entry.name.clone(), made.id);
    }
    Ok(people)
}

/// Who may grant guest keys, by the people's ids in place of their names.
fn guest_keys(
    file: &PropertyFile,
    people: &BTreeMap<String, PersonId>,
) -> Result<GuestKeyPolicy<PersonId>, Boxed> {
    let named = &file.property.guest_keys;
    let by_person = named.by_person.iter().map(|(name, kinds)| {
        let person = people.get(name).copied();
        let person = person.ok_or_else(|| Boxed {
            what: "[property] guest_keys".to_owned(),
            why: format!("there is no person `{name}`"),
        })?;
        Ok((person, *kinds))
    });
    Ok(GuestKeyPolicy {
        by_role: named.by_role.clone(),
        by_person: by_person.collect::<Result<_, Boxed>>()?,
    })
}

fn make_keys(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    by: PersonId,
    file: &PropertyFile,
    doors: &BTreeMap<String, DoorId>,
    people: &BTreeMap<String, PersonId>,
) -> Result<(), Boxed> {
    for entry in &file.keys {
        let what = format!("[[keys]] `{}`", entry.name);
        let refused = |why: String| Boxed {
            what: what.clone(),
            why,
        };
        let persons = entry.persons.iter().map(|name| {
            people
                .get(name)
                .copied()
                .ok_or_else(|| refused(format!("there is no person `{name}`")))
        });
        let named = |names: &[String]| {
            let ids = names.iter().map(|name| {
                doors
                    .get(name)
                    .copied()
                    .ok_or_else(|| refused(format!("there is no door `{name}`")))
            });
            ids.collect::<Result<Vec<_>, _>>()
        };
        let draft = KeyDraft {
            name: entry.name.clone(),
            kind: entry.kind,
            persons: persons.collect::<Result<_, _>>()?,
            doors: match &entry.doors {
                DoorsOf::All => KeyDoors::All,
                DoorsOf::Named(names) => KeyDoors::Some(named(names)?),
            },
            rules: entry.rules.clone(),
        };
        let checked = key_write::check(tx, property, &draft).map_err(at(what.clone()))?;
        key_write::insert(tx, tools, property, by, &checked).map_err(at(what.clone()))?;
    }
    Ok(())
}
