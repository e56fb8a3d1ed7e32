//! Issuing, editing and withdrawing keys. What a change takes away is revoked, and what it gives is signed, in the
//! same operation.

use std::collections::BTreeSet;

use latchkey_protocol::api::keys::{Key, KeyDoors, KeyDraft, KeyKind};
use latchkey_protocol::api::sync::EntityKind;
use latchkey_protocol::ids::{DoorId, KeyId, PersonId, PropertyId};
use latchkey_protocol::roles::{Action, Role};
use latchkey_protocol::rules::AccessRules;

use super::change::{self, Audience};
use super::key::{self, Record};
use super::member::Member;
use super::person::{self, normal_name};
use super::property::text;
use super::{audit, door, guest_key, link, uses};
use crate::fault::Fault;
use crate::issue::Round;
use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

/// Doors that one key names: a pass holds no more.
const MOST_DOORS: usize = 400;

/// Issues a key.
pub(crate) fn issue(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    draft: &KeyDraft,
) -> Result<Key, Fault> {
    let checked = check(tx, member.property, draft)?;
    must_to_all(tx, member, Action::IssueKey, draft.kind, &checked.persons)?;
    let id = insert(tx, tools, member.property, member.person, &checked)?;
    key::show(tx, member, id, tools.now())
}

/// Enters a checked key and signs what its holders need.
pub(crate) fn insert(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    by: PersonId,
    checked: &Checked,
) -> Result<KeyId, Fault> {
    let id = KeyId(tools.random());
    let ordinal = change::next_number(tx, property)?;
    let parent = checked.granted.as_ref().map(|granted| granted.parent);
    tx.execute(
        "INSERT INTO door_key (property, id, ordinal, name, kind, all_doors, rules, created_by,
             created_at, parent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            property,
            id,
            ordinal,
            &checked.name,
            key::kind_name(checked.kind),
            checked.doors.is_none(),
            text(&checked.rules, "rules")?,
            by,
            tools.now(),
            parent
        ],
    )?;
    write_parts(tx, property, id, checked)?;
    uses::key_written(tx, tools, property, id)?;
    let (action, subject) = match parent {
        None => ("key.issue", id.to_string()),
        Some(parent) => ("key.grant", format!("{id} {parent}")),
    };
    audit::write(tx, tools, property, Some(by), action, &subject)?;
    tell(tx, property, id, &checked.persons)?;
    show_doors(tx, property, checked, &checked.persons)?;
    let mut round = Round::begin(tx, tools, property)?;
    round.key_changed(tx, id, &checked.persons)?;
    round.finish(tx)?;
    Ok(id)
}

/// Writes a key anew.
pub(crate) fn edit(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    id: KeyId,
    draft: &KeyDraft,
) -> Result<Key, Fault> {
    let before = standing(tx, member, id)?;
    if before.kind != draft.kind {
        return Err(Fault::invalid("`kind` cannot be edited: issue another key"));
    }
    let mut checked = check(tx, member.property, draft)?;
    let held = key::persons(tx, member.property, id)?
        .into_iter()
        .collect::<BTreeSet<_>>();
    let touched: BTreeSet<PersonId> = held.union(&checked.persons).copied().collect();
    must(tx, tools, member, Action::EditKey, &before, &touched)?;
    if let Some(parent) = before.parent {
        checked = guest_key::within(tx, member.property, parent, checked)?;
    }
    let mut round = Round::begin(tx, tools, member.property)?;
    rewrite(
        tx,
        &mut round,
        Some(member.person),
        &before,
        &checked,
        &touched,
        "key.edit",
    )?;
    guest_key::follow(tx, &mut round, Some(member.person), id)?;
    round.finish(tx)?;
    key::show(tx, member, id, tools.now())
}

/// Puts a checked key in the place of one that stands, for these people, who held it or shall.
pub(super) fn rewrite(
    tx: &mut dyn Tx,
    round: &mut Round,
    by: Option<PersonId>,
    before: &Record,
    checked: &Checked,
    touched: &BTreeSet<PersonId>,
    action: &'static str,
) -> Result<(), Fault> {
    let (property, id) = (round.property.id, before.id);
    let before_doors = sight(tx, property, before)?;
    tx.execute(
        "UPDATE door_key SET name = ?3, all_doors = ?4, rules = ?5 WHERE property = ?1 AND id = ?2",
        params![
            property,
            id,
            &checked.name,
            checked.doors.is_none(),
            text(&checked.rules, "rules")?
        ],
    )?;
    for sql in [
        "DELETE FROM key_person WHERE property = ?1 AND key_id = ?2",
        "DELETE FROM key_door WHERE property = ?1 AND key_id = ?2",
    ] {
        tx.execute(sql, params![property, id])?;
    }
    write_parts(tx, property, id, checked)?;
    uses::key_written(tx, &round.tools, property, id)?;
    audit::write(tx, &round.tools, property, by, action, &id.to_string())?;
    tell(tx, property, id, touched)?;
    show_doors(tx, property, checked, touched)?;
    tell_doors(tx, property, &before_doors, touched)?;
    round.key_changed(tx, id, touched)
}

/// Withdraws a key: its grants, passes and links end, and what was granted from it.
pub(crate) fn withdraw(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    id: KeyId,
) -> Result<Key, Fault> {
    let before = standing(tx, member, id)?;
    let held: BTreeSet<PersonId> = key::persons(tx, member.property, id)?.into_iter().collect();
    must(tx, tools, member, Action::WithdrawKey, &before, &held)?;
    let mut round = Round::begin(tx, tools, member.property)?;
    end(tx, &mut round, Some(member.person), &before, &held)?;
    guest_key::follow(tx, &mut round, Some(member.person), id)?;
    round.finish(tx)?;
    key::show(tx, member, id, tools.now())
}

/// Ends a key that stands, for these people, who hold it. `by` is none for what the portal does by itself.
pub(crate) fn end(
    tx: &mut dyn Tx,
    round: &mut Round,
    by: Option<PersonId>,
    key: &Record,
    held: &BTreeSet<PersonId>,
) -> Result<(), Fault> {
    let (property, tools) = (round.property.id, round.tools.clone());
    let doors = sight(tx, property, key)?;
    tx.execute(
        "UPDATE door_key SET withdrawn_at = ?3 WHERE property = ?1 AND id = ?2",
        params![property, key.id, tools.now()],
    )?;
    link::end_all(tx, property, key.id, tools.now())?;
    uses::key_withdrawn(tx, &tools, property, key.id)?;
    audit::write(
        tx,
        &tools,
        property,
        by,
        "key.withdraw",
        &key.id.to_string(),
    )?;
    tell(tx, property, key.id, held)?;
    tell_doors(tx, property, &doors, held)?;
    round.key_changed(tx, key.id, held)
}

/// Some of a key's holders lose it, by the portal itself.
pub(crate) fn take_from(
    tx: &mut dyn Tx,
    round: &mut Round,
    key: &Record,
    persons: &BTreeSet<PersonId>,
) -> Result<(), Fault> {
    let (tools, property, id) = (round.tools.clone(), round.property.id, key.id);
    let doors = sight(tx, property, key)?;
    for person in persons {
        tx.execute(
            "DELETE FROM key_person WHERE property = ?1 AND key_id = ?2 AND person = ?3",
            params![property, id, *person],
        )?;
        let subject = format!("{id} {person}");
        audit::write(tx, &tools, property, None, "key.take", &subject)?;
    }
    tell(tx, property, id, persons)?;
    tell_doors(tx, property, &doors, persons)?;
    round.key_changed(tx, id, persons)
}

/// A key that the caller may act on, or hears why not, and that was not withdrawn.
pub(crate) fn standing(tx: &mut dyn Tx, member: &Member, id: KeyId) -> Result<Record, Fault> {
    let key = key::load(tx, member.property, id)?;
    if !member.may(Action::ViewKeys) {
        let granted = match &key {
            Some(key) => guest_key::is_of(tx, member, key)?,
            None => false,
        };
        if !granted {
            return Err(Fault::not_allowed());
        }
    }
    let key = key.ok_or_else(Fault::not_found)?;
    if key.withdrawn_at.is_some() {
        return Err(Fault::conflict("this key has been withdrawn"));
    }
    Ok(key)
}

/// Refuses what neither the caller's role allows towards each of these people nor that the caller has granted the key.
pub(crate) fn must(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    action: Action,
    key: &Record,
    persons: &BTreeSet<PersonId>,
) -> Result<(), Fault> {
    if !guest_key::is_of(tx, member, key)? {
        return must_to_all(tx, member, action, key.kind, persons);
    }
    // Ending one is never refused.
    if action == Action::WithdrawKey {
        return Ok(());
    }
    guest_key::must_grant(tx, tools, member)
}

/// Refuses what the caller's role does not allow towards each holder. Whoever opens a QR key's link is a guest.
pub(crate) fn must_to_all(
    tx: &mut dyn Tx,
    member: &Member,
    action: Action,
    kind: KeyKind,
    persons: &BTreeSet<PersonId>,
) -> Result<(), Fault> {
    if kind == KeyKind::Qr {
        let nobody_yet = PersonId([0; 16]);
        return member.must_to(action, nobody_yet, Role::Guest);
    }
    // Towards nobody is no way around the table.
    member.must(action)?;
    for person in persons {
        let role =
            person::role(tx, member.property, *person)?.ok_or(StoreError::Unreadable("holder"))?;
        member.must_to(action, *person, role)?;
    }
    Ok(())
}

/// What of a draft has been looked up.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(super) name: String,
    pub(super) kind: KeyKind,
    pub(super) persons: BTreeSet<PersonId>,
    /// None: all doors.
    pub(super) doors: Option<BTreeSet<DoorId>>,
    pub(super) rules: AccessRules,
    /// Of a guest key.
    pub(super) granted: Option<Granted>,
}

/// What a guest key was granted from, and what its author asked for.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(super) parent: KeyId,
    pub(super) doors: KeyDoors,
    pub(super) rules: AccessRules,
}

/// Refuses a draft that is no key.
pub(crate) fn check(
    tx: &mut dyn Tx,
    property: PropertyId,
    draft: &KeyDraft,
) -> Result<Checked, Fault> {
    let name = normal_name("name", &draft.name)?;
    let persons: BTreeSet<PersonId> = draft.persons.iter().copied().collect();
    match draft.kind {
        KeyKind::Mobile if persons.is_empty() => {
            return Err(Fault::invalid("`persons` must name at least one person"));
        }
        KeyKind::Qr if !persons.is_empty() => {
            return Err(Fault::invalid(
                "`persons` must be empty for a qr key: whoever binds its link holds it",
            ));
        }
        KeyKind::Mobile | KeyKind::Qr => {}
    }
    for person in &persons {
        if person::role(tx, property, *person)?.is_none() {
            return Err(Fault::invalid(format!(
                "`persons`: there is no person {person}"
            )));
        }
    }
    let doors = match &draft.doors {
        KeyDoors::All => None,
        KeyDoors::Some(doors) if doors.is_empty() => {
            return Err(Fault::invalid("`doors` must name at least one door"));
        }
        KeyDoors::Some(doors) => Some(doors.iter().copied().collect::<BTreeSet<_>>()),
    };
    if doors.as_ref().is_some_and(|doors| doors.len() > MOST_DOORS) {
        return Err(Fault::invalid(format!(
            "`doors` may name at most {MOST_DOORS} doors: use \"all\", or several keys"
        )));
    }
    for id in doors.iter().flatten() {
        if door::load(tx, property, *id)?.is_none() {
            return Err(Fault::invalid(format!("`doors`: there is no door {id}")));
        }
    }
    crate::issue::must_fit(&draft.rules)?;
    Ok(Checked {
        name,
        kind: draft.kind,
        persons,
        doors,
        rules: draft.rules.clone(),
        granted: None,
    })
}

fn write_parts(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: KeyId,
    checked: &Checked,
) -> Result<(), StoreError> {
    for person in &checked.persons {
        tx.execute(
            "INSERT INTO key_person (property, key_id, person) VALUES (?1, ?2, ?3)",
            params![property, id, *person],
        )?;
    }
    for door in checked.doors.iter().flatten() {
        tx.execute(
            "INSERT INTO key_door (property, key_id, door) VALUES (?1, ?2, ?3)",
            params![property, id, *door],
        )?;
    }
    if let Some(granted) = &checked.granted {
        tx.execute(
            "UPDATE door_key SET asked_doors = ?3, asked_rules = ?4 WHERE property = ?1 AND id = ?2",
            params![
                property,
                id,
                text(&granted.doors, "doors")?,
                text(&granted.rules, "rules")?
            ],
        )?;
    }
    Ok(())
}

/// Says that a key has changed, to those who see all keys, to these holders, past ones included, and to whoever granted
/// it.
pub(crate) fn tell(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: KeyId,
    persons: &BTreeSet<PersonId>,
) -> Result<(), StoreError> {
    let author = guest_key::author(tx, property, id)?;
    let id = id.to_string();
    change::tell(tx, property, Audience::Keys, EntityKind::Key, &id)?;
    for person in persons.iter().copied().chain(author) {
        change::tell(tx, property, Audience::Person(person), EntityKind::Key, &id)?;
    }
    Ok(())
}

/// The doors that a key lets its holders see.
fn sight(tx: &mut dyn Tx, property: PropertyId, key: &Record) -> Result<Vec<DoorId>, StoreError> {
    if key.all_doors {
        Ok(door::all(tx, property)?
            .into_iter()
            .map(|door| door.id)
            .collect())
    } else {
        key::named_doors(tx, property, key.id)
    }
}

fn show_doors(
    tx: &mut dyn Tx,
    property: PropertyId,
    checked: &Checked,
    persons: &BTreeSet<PersonId>,
) -> Result<(), StoreError> {
    let doors = match &checked.doors {
        Some(doors) => doors.iter().copied().collect(),
        None => door::all(tx, property)?
            .into_iter()
            .map(|door| door.id)
            .collect::<Vec<_>>(),
    };
    tell_doors(tx, property, &doors, persons)
}

/// Tells these people of doors that have come into their sight, or left it.
fn tell_doors(
    tx: &mut dyn Tx,
    property: PropertyId,
    doors: &[DoorId],
    persons: &BTreeSet<PersonId>,
) -> Result<(), StoreError> {
    for person in persons {
        for door in doors {
            let audience = Audience::Person(*person);
            change::tell(tx, property, audience, EntityKind::Door, &door.to_string())?;
        }
    }
    Ok(())
}
