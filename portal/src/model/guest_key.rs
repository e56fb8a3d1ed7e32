//! Guest keys: what people grant from a key that they hold, its *parent*. One never opens what its parent does not. It
//! keeps what its author asked for; of that it has what the parent has, and follows it within the same commit. It ends
//! with the parent, and with its author's hold on it. Nobody holds a guest key by name, so none is ever a parent.

use std::collections::BTreeSet;

use latchkey_protocol::api::keys::{Key, KeyDoors, KeyDraft, KeyKind};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::ids::{DoorId, KeyId, PersonId, PropertyId};
use latchkey_protocol::roles::{Action, GuestKind, Target, may};
use latchkey_protocol::rules::{AccessRules, Wider};

use super::key::{self, Record, keys_where};
use super::key_write::{self, Checked, Granted};
use super::member::Member;
use super::property::{self, json};
use super::rate::{self, Limit};
use crate::fault::Fault;
use crate::issue::{Round, must_fit};
use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

/// How many that are not over one person may have granted.
const MOST: usize = 50;
/// The newest of a person's that are looked at for that: those before them are over, or nearly so.
const NEWEST: i64 = 1000;
/// What is written for guests may cost every door a statement, and the revocation list an entry.
const WRITES: Limit = Limit {
    most: 100,
    seconds: 86_400,
};

/// Grants a guest key from a key that the caller holds.
pub(crate) fn grant(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    parent: KeyId,
    draft: &KeyDraft,
) -> Result<Key, Fault> {
    must_grant(tx, tools, member)?;
    if draft.kind != KeyKind::Qr {
        return Err(Fault::invalid("`kind` must be qr: guests come by a link"));
    }
    must_hold(tx, member, parent)?;
    let property = property::load(tx, member.property)?;
    let (calendar, now) = (property.calendar(), tools.now());
    let mut mine = by(tx, member.property, member.person)?;
    mine.retain(|key| key.is_alive(&calendar, now));
    if mine.len() >= MOST {
        return Err(Fault::conflict(format!(
            "you have {MOST} guest keys that are not over: withdraw one first"
        )));
    }
    let checked = key_write::check(tx, member.property, draft)?;
    let checked = within(tx, member.property, parent, checked)?;
    let id = key_write::insert(tx, tools, member.property, member.person, &checked)?;
    key::show(tx, member, id, now)
}

/// Refuses whom the property lets grant no guest keys, and who writes too many.
pub(super) fn must_grant(tx: &mut dyn Tx, tools: &Tools, member: &Member) -> Result<(), Fault> {
    let policy = property::load(tx, member.property)?.guest_keys;
    let target = Target::GuestKey {
        kind: GuestKind::IndividualQr,
        allowed: policy.kinds(member.role, &member.person),
    };
    if !may(member.role, Action::GrantGuestKey, target) {
        return Err(Fault::because(
            ProblemType::NotAllowed,
            "this property does not let you grant guest keys",
        ));
    }
    let bucket = format!("guest-keys:{}:{}", member.property, member.person);
    rate::count(tx, &bucket, WRITES, tools.now())
}

/// Refuses a parent that the caller does not hold; one that they may not see is not there.
fn must_hold(tx: &mut dyn Tx, member: &Member, parent: KeyId) -> Result<(), Fault> {
    if holds(tx, member, parent)? {
        return Ok(());
    }
    let exists = key::load(tx, member.property, parent)?.is_some();
    if !exists || !member.may(Action::ViewKeys) {
        return Err(Fault::not_found());
    }
    Err(Fault::because(
        ProblemType::NotAllowed,
        "guest keys are granted from a key that you hold",
    ))
}

/// Makes of a checked draft a guest key of this parent; refuses one that would open what the parent does not, and says
/// what.
pub(super) fn within(
    tx: &mut dyn Tx,
    property: PropertyId,
    parent: KeyId,
    checked: Checked,
) -> Result<Checked, Fault> {
    let parent =
        key::load(tx, property, parent)?.ok_or(StoreError::Unreadable("parent of a key"))?;
    if parent.rules.max_uses().is_some() {
        return Err(Fault::conflict(
            "no guest key can be granted from a key with a number of uses",
        ));
    }
    let outer = doors_of(tx, property, &parent)?;
    let mut wider = Vec::new();
    if let (Some(asked), Some(outer)) = (&checked.doors, &outer) {
        let beyond = asked.difference(outer);
        wider.extend(beyond.map(|door| format!("`doors`: it does not open {door}")));
    }
    let beyond = checked.rules.wider_than(&parent.rules);
    wider.extend(beyond.into_iter().map(|what| in_words(what, &parent.rules)));
    if !wider.is_empty() {
        return Err(Fault::invalid(format!(
            "a guest key opens nothing that the key does not from which it is granted: {}",
            wider.join("; ")
        )));
    }
    let granted = Granted {
        parent: parent.id,
        doors: match &checked.doors {
            None => KeyDoors::All,
            Some(doors) => KeyDoors::Some(doors.iter().copied().collect()),
        },
        rules: checked.rules.clone(),
    };
    Ok(Checked {
        doors: checked.doors.or(outer),
        granted: Some(granted),
        ..checked
    })
}

fn in_words(wider: Wider, outer: &AccessRules) -> String {
    let range = outer.range();
    match wider {
        Wider::Start => {
            let from = range.from().map(|from| from.start_text());
            let from = from.unwrap_or_default();
            format!("`rules.range.from`: it starts {from}")
        }
        Wider::End => {
            let until = range.until().map(|until| until.end_text());
            let until = until.unwrap_or_default();
            format!("`rules.range.until`: it ends {until}")
        }
        Wider::Hours => {
            "`rules.windows`: each window must lie, on each of its days, within one of its windows"
                .to_owned()
        }
        Wider::Holidays => "`rules.closed_on_holidays`: holidays close it".to_owned(),
        Wider::Uses => "`rules.max_uses`: it has fewer".to_owned(),
    }
}

/// A key was edited or withdrawn: what was granted from it is cut to it, or ends.
pub(crate) fn follow(
    tx: &mut dyn Tx,
    round: &mut Round,
    by: Option<PersonId>,
    parent: KeyId,
) -> Result<(), Fault> {
    let property = round.property.id;
    let children = of_parent(tx, property, parent)?;
    if children.is_empty() {
        return Ok(());
    }
    let parent =
        key::load(tx, property, parent)?.ok_or(StoreError::Unreadable("parent of a key"))?;
    let holders = key::persons(tx, property, parent.id)?;
    let outer = doors_of(tx, property, &parent)?;
    let stands = parent.withdrawn_at.is_none() && parent.rules.max_uses().is_none();
    for (child, granted) in children {
        let mut cut = None;
        if stands && holders.contains(&child.created_by) {
            cut = cut_to(&parent.rules, outer.as_ref(), &child, granted);
        }
        let Some(cut) = cut else {
            key_write::end(tx, round, by, &child, &BTreeSet::new())?;
            continue;
        };
        if cut.rules != child.rules || cut.doors != doors_of(tx, property, &child)? {
            let nobody = BTreeSet::new();
            key_write::rewrite(tx, round, by, &child, &cut, &nobody, "key.cut")?;
        }
    }
    Ok(())
}

/// What of a guest key its parent's rules and doors leave; none when nothing.
fn cut_to(
    rules: &AccessRules,
    doors: Option<&BTreeSet<DoorId>>,
    child: &Record,
    granted: Granted,
) -> Option<Checked> {
    let rules = granted.rules.cut_to(rules)?;
    must_fit(&rules).ok()?;
    let asked = match &granted.doors {
        KeyDoors::All => None,
        KeyDoors::Some(doors) => Some(doors.iter().copied().collect::<BTreeSet<_>>()),
    };
    let doors = match (asked, doors) {
        (Some(asked), Some(outer)) => Some(&asked & outer),
        (asked, outer) => asked.or(outer.cloned()),
    };
    if doors.as_ref().is_some_and(BTreeSet::is_empty) {
        return None;
    }
    Some(Checked {
        name: child.name.clone(),
        kind: child.kind,
        persons: BTreeSet::new(),
        doors,
        rules,
        granted: Some(granted),
    })
}

/// Whether the caller granted this key, and holds its parent still.
pub(super) fn is_of(tx: &mut dyn Tx, member: &Member, key: &Record) -> Result<bool, StoreError> {
    let own = key.created_by == member.person
        && may(member.role, Action::ManageGrantedKey, Target::Oneself);
    match key.parent {
        Some(parent) if own => holds(tx, member, parent),
        _ => Ok(false),
    }
}

fn holds(tx: &mut dyn Tx, member: &Member, key: KeyId) -> Result<bool, StoreError> {
    let row = tx.first(
        "SELECT 1 FROM key_person kp JOIN door_key k ON k.property = kp.property AND k.id = kp.key_id
         WHERE kp.property = ?1 AND kp.person = ?2 AND kp.key_id = ?3 AND k.withdrawn_at IS NULL",
        params![member.property, member.person, key],
    )?;
    Ok(row.is_some())
}

/// Who granted this key, if it is a guest key.
pub(super) fn author(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: KeyId,
) -> Result<Option<PersonId>, StoreError> {
    tx.first(
        "SELECT created_by FROM door_key WHERE property = ?1 AND id = ?2 AND parent IS NOT NULL",
        params![property, key],
    )?
    .map(|row| row.at(0))
    .transpose()
}

/// The newest guest keys that a person has granted and nobody has withdrawn.
fn by(tx: &mut dyn Tx, property: PropertyId, person: PersonId) -> Result<Vec<Record>, StoreError> {
    tx.query(
        keys_where!(
            "FROM door_key k
             WHERE k.property = ?1 AND k.created_by = ?2 AND k.parent IS NOT NULL
               AND k.withdrawn_at IS NULL
             ORDER BY k.ordinal DESC LIMIT ?3"
        ),
        params![property, person, NEWEST],
    )?
    .iter()
    .map(Record::from_row)
    .collect()
}

/// The guest keys of a parent that nobody has withdrawn, with what was asked for.
fn of_parent(
    tx: &mut dyn Tx,
    property: PropertyId,
    parent: KeyId,
) -> Result<Vec<(Record, Granted)>, StoreError> {
    let keys = tx.query(
        keys_where!(
            "FROM door_key k
             WHERE k.property = ?1 AND k.parent = ?2 AND k.withdrawn_at IS NULL ORDER BY k.ordinal"
        ),
        params![property, parent],
    )?;
    let asked = tx.query(
        "SELECT asked_doors, asked_rules FROM door_key
         WHERE property = ?1 AND parent = ?2 AND withdrawn_at IS NULL ORDER BY ordinal",
        params![property, parent],
    )?;
    let both = keys.iter().zip(&asked).map(|(key, asked)| {
        let granted = Granted {
            parent,
            doors: json(&asked.at::<String>(0)?, "doors of a guest key")?,
            rules: json(&asked.at::<String>(1)?, "rules of a guest key")?,
        };
        Ok((Record::from_row(key)?, granted))
    });
    both.collect()
}

/// The doors of a key; none for all.
fn doors_of(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: &Record,
) -> Result<Option<BTreeSet<DoorId>>, StoreError> {
    if key.all_doors {
        return Ok(None);
    }
    let doors = key::named_doors(tx, property, key.id)?;
    Ok(Some(doors.into_iter().collect()))
}
