//! The sync: what changed for one person since a cursor. Cost grows with what changed.

use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::api::sync::{
    Change, Entity, EntityKind, GrantEntity, PassEntity, RevocationEntity, StatementEntity,
    SyncPage,
};
use latchkey_protocol::ids::{CredentialId, DoorId, KeyId, PassId, PersonId};
use latchkey_protocol::roles::Action;

use super::change::{self, Audience};
use super::member::Member;
use super::property;
use super::{door, door_log, event, key, person};
use crate::cursor::{Cursor, CursorKey};
use crate::fault::Fault;
use crate::issue::{bundles, documents, pass_rows, revocations, statements};
use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

/// Changes of one answer.
const PAGE: usize = 200;
/// A bundle counts as many: it may have a megabyte.
const BUNDLE: usize = 50;

/// One answer.
pub(crate) fn page(
    tx: &mut dyn Tx,
    tools: &Tools,
    cursors: &CursorKey,
    member: &Member,
    cursor: Option<&str>,
) -> Result<SyncPage, Fault> {
    let epoch = property::epoch(tx, member.property)?;
    let head = change::last_number(tx, member.property)?;
    let (audiences, sight) = audiences(member);
    let from = match cursor {
        None => Cursor {
            epoch,
            number: 0,
            floor: head,
            sight,
        },
        Some(text) => cursors
            .read(member.property, member.person, text)
            .filter(|cursor| {
                cursor.epoch == epoch && cursor.sight == sight && cursor.number <= head
            })
            .ok_or(Fault::new(ProblemType::CursorStale))?,
    };
    let (rows, more) = rows(tx, member, &audiences, from.number)?;
    let number = if more {
        rows.last().map_or(head, |row| row.number)
    } else {
        head
    };
    let changes = changes(tx, tools, member, &rows, from.floor)?;
    // Once the log has been read past it, the floor says nothing any more.
    let floor = if number >= from.floor { 0 } else { from.floor };
    Ok(SyncPage {
        changes,
        cursor: cursors.write(
            member.property,
            member.person,
            Cursor {
                number,
                floor,
                ..from
            },
        ),
        more,
        server_time: tools.now(),
    })
}

fn audiences(member: &Member) -> (Vec<Audience>, u8) {
    let mut audiences = vec![
        Audience::Everyone,
        Audience::Person(member.person),
        Audience::Device(member.device),
    ];
    let mut sight = 0;
    let by_role = [
        (Action::ViewKeys, Some(Audience::Keys)),
        (Action::ViewPeople, Some(Audience::People)),
        (Action::ViewAudit, None),
        (Action::ViewDoors, None),
        (Action::CarryLockSync, Some(Audience::Carriers)),
    ];
    for (bit, (action, audience)) in by_role.into_iter().enumerate() {
        if member.may(action) {
            sight |= 1 << bit;
            audiences.extend(audience);
        }
    }
    (audiences, sight)
}

struct LogRow {
    number: i64,
    kind: EntityKind,
    id: String,
    /// Whether it was told to this person or device by name: then a thing out of sight is a loss to tell of.
    personal: bool,
}

/// What the log has after this number for these audiences, with what happened, in its order, and whether there is more.
fn rows(
    tx: &mut dyn Tx,
    member: &Member,
    audiences: &[Audience],
    after: i64,
) -> Result<(Vec<LogRow>, bool), StoreError> {
    let mut all = Vec::new();
    for audience in audiences {
        let rows = tx.query(
            "SELECT number, kind, id FROM change_log
             WHERE property = ?1 AND audience = ?2 AND number > ?3 ORDER BY number LIMIT ?4",
            params![member.property, audience.text(), after, PAGE as i64 + 1],
        )?;
        for row in rows {
            all.push(LogRow {
                number: row.at(0)?,
                kind: change::kind_of(&row.at::<String>(1)?)?,
                id: row.at(2)?,
                personal: !matches!(audience, Audience::Everyone),
            });
        }
    }
    for (number, id) in event::after(tx, member, after, PAGE as i64 + 1)? {
        all.push(LogRow {
            number,
            kind: EntityKind::Event,
            id: id.to_string(),
            personal: false,
        });
    }
    all.sort_by_key(|row| row.number);
    let mut left = PAGE;
    let fits = all.iter().position(|row| {
        let weight = if row.kind == EntityKind::Bundle {
            BUNDLE
        } else {
            1
        };
        let over = weight > left;
        left = left.saturating_sub(weight);
        over
    });
    all.truncate(fits.unwrap_or(all.len()));
    Ok((all, fits.is_some()))
}

fn changes(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    rows: &[LogRow],
    floor: i64,
) -> Result<Vec<Change>, Fault> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let record = property::load(tx, member.property)?;
    let mut changes: Vec<Change> = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let again = |later: &LogRow| later.kind == row.kind && later.id == row.id;
        let later = &rows[at + 1..];
        // The last one stands for all; it must not hide that one of them was personal.
        if later
            .iter()
            .any(|later| again(later) && (later.personal || !row.personal))
        {
            continue;
        }
        let value = value(tx, tools, member, &record, row.kind, &row.id)?;
        if value.is_none() && (row.number <= floor || !row.personal) {
            continue;
        }
        let told = |change: &Change| change.kind == row.kind && change.id == row.id;
        if !changes.iter().any(told) {
            changes.push(Change {
                kind: row.kind,
                id: row.id.clone(),
                value,
            });
        }
    }
    Ok(changes)
}

/// The latest form of a thing as this member sees it; none when it is gone or out of sight.
fn value(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    record: &property::Record,
    kind: EntityKind,
    id: &str,
) -> Result<Option<Entity>, Fault> {
    let property = member.property;
    Ok(match kind {
        EntityKind::Property => Some(Entity::Property(Box::new(record.clone().view(member)))),
        EntityKind::Door => {
            let id: DoorId = parse(id)?;
            if door::is_visible(tx, member, id)? {
                door::load(tx, property, id)?.map(|door| Entity::Door(Box::new(door)))
            } else {
                None
            }
        }
        EntityKind::Key => {
            let id: KeyId = parse(id)?;
            match key::load(tx, property, id)? {
                Some(key) => key::view(tx, member, &record.calendar(), key, tools.now())?
                    .map(|key| Entity::Key(Box::new(key))),
                None => None,
            }
        }
        EntityKind::Person if member.may(Action::ViewPeople) => {
            let id: PersonId = parse(id)?;
            person::load(tx, property, id)?.map(|person| Entity::Person(Box::new(person)))
        }
        EntityKind::Person => None,
        EntityKind::Event => event::visible(tx, member, parse(id)?, tools.now())?
            .map(|event| Entity::Event(Box::new(event))),
        EntityKind::Grant => {
            let (credential, index) = id
                .split_once('.')
                .ok_or(StoreError::Unreadable("grant id"))?;
            let credential: CredentialId = parse(credential)?;
            let index = index
                .parse()
                .map_err(|_| StoreError::Unreadable("grant id"))?;
            let entity: Option<GrantEntity> = documents::entity(tx, member, credential, index)?;
            entity.map(Entity::Grant)
        }
        EntityKind::Pass => {
            let id: PassId = parse(id)?;
            let entity: Option<PassEntity> = pass_rows::entity(tx, member, id)?;
            entity.map(Entity::Pass)
        }
        EntityKind::Revocation => {
            let entity: Option<RevocationEntity> = revocations::newest(tx, property)?;
            entity.map(Entity::Revocation)
        }
        EntityKind::Bundle if member.may(Action::CarryLockSync) => {
            bundles::on_its_way(tx, property, parse(id)?)?.map(Entity::Bundle)
        }
        EntityKind::LogReceipt if member.may(Action::CarryLockSync) => {
            door_log::receipt(tx, property, parse(id)?)?.map(Entity::LogReceipt)
        }
        EntityKind::Bundle | EntityKind::LogReceipt => None,
        EntityKind::Statement => {
            let number = id
                .parse()
                .map_err(|_| StoreError::Unreadable("statement id"))?;
            let entity: Option<StatementEntity> = statements::for_all(tx, property, number)?;
            entity.map(Entity::Statement)
        }
    })
}

fn parse<T: std::str::FromStr>(id: &str) -> Result<T, StoreError> {
    id.parse()
        .map_err(|_| StoreError::Unreadable("id in the change log"))
}
