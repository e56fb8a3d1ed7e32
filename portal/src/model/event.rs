//! What happened at doors: kept once by the door's own id, resolved to person and key by what the door named.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::api::Page;
use latchkey_protocol::api::events::{Event, Means};
use latchkey_protocol::api::sync::EntityKind;
use latchkey_protocol::doorlink::{DoorEvent, Subject};
use latchkey_protocol::ids::{DoorId, EventId, Generation, KeyId, PersonId, PropertyId};
use latchkey_protocol::roles::Action;
use latchkey_protocol::rules::Reason;

use super::change::{self, Audience};
use super::member::Member;
use super::property::text;
use super::{audit, door_log, paging};
use crate::fault::Fault;
use crate::store::{Row, StoreError, Tx, Wake, params};
use crate::tools::Tools;

/// The last millisecond of the year 9999.
const LATEST_MS: i64 = 253_402_300_799_999;

/// Keeps what a door reports; what it reported before counts no second time. Says up to where the door may forget.
pub(crate) fn keep(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    door: DoorId,
    generation: Generation,
    events: &[DoorEvent],
) -> Result<u64, Fault> {
    let mut up_to = 0;
    for event in events {
        up_to = up_to.max(event.sequence);
        keep_one(tx, tools, property, door, generation, event)?;
    }
    // On its line a door reports in order, and leaves nothing out.
    door_log::kept_up_to(tx, property, door, generation, up_to)?;
    Ok(up_to)
}

pub(super) fn keep_one(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    door: DoorId,
    generation: Generation,
    event: &DoorEvent,
) -> Result<(), Fault> {
    let known = tx.first(
        "SELECT 1 FROM event WHERE property = ?1 AND id = ?2",
        params![property, event.id],
    )?;
    if known.is_some() {
        return Ok(());
    }
    let (person, key) = who(tx, property, &event.subject)?;
    // A door with a lost clock, or a stolen one, may say anything: what no calendar can say would stop every reader of
    // the list.
    let at_ms = event.at_ms.clamp(0, LATEST_MS);
    let ordinal = change::next_number(tx, property)?;
    tx.execute(
        "INSERT INTO event (property, id, ordinal, door, generation, sequence, at_ms, received_at,
             clock_unsure, means, denied, person, key_id, subject)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        params![
            property,
            event.id,
            ordinal,
            door,
            generation.0,
            i64::try_from(event.sequence).map_err(|_| Fault::invalid("sequence"))?,
            at_ms,
            tools.now(),
            event.clock_unsure,
            means_name(event.means),
            event.denied.map(Reason::name),
            person,
            key,
            text(&event.subject, "subject")?
        ],
    )?;
    let id = event.id.to_string();
    change::tell(tx, property, Audience::Events, EntityKind::Event, &id)?;
    if let Some(person) = person {
        change::tell(
            tx,
            property,
            Audience::Person(person),
            EntityKind::Event,
            &id,
        )?;
    }
    if let Subject::Pass { .. } = event.subject {
        tx.wake(Wake::Guests(property));
    }
    let action = if event.denied.is_some() {
        "door.deny"
    } else {
        "door.open"
    };
    let who = person.map_or_else(|| "-".to_owned(), |person| person.to_string());
    audit::write(
        tx,
        tools,
        property,
        None,
        action,
        &format!("{id} {door} {who}"),
    )?;
    Ok(())
}

fn who(
    tx: &mut dyn Tx,
    property: PropertyId,
    subject: &Subject,
) -> Result<(Option<PersonId>, Option<KeyId>), StoreError> {
    match subject {
        Subject::Credential { key_hash, element } => {
            let by_element = match element {
                Some(element) => tx.first(
                    "SELECT c.person, e.key_id FROM element e
                     JOIN credential c ON c.property = e.property AND c.id = e.credential
                     WHERE e.property = ?1 AND e.id = ?2",
                    params![property, *element],
                )?,
                None => None,
            };
            if let Some(row) = by_element {
                return Ok((Some(row.at(0)?), Some(row.at(1)?)));
            }
            let by_key = tx.first(
                "SELECT person FROM credential WHERE property = ?1 AND key_hash = ?2",
                params![property, &key_hash.0],
            )?;
            Ok((by_key.map(|row| row.at(0)).transpose()?, None))
        }
        Subject::Pass { pass } => {
            let row = tx.first(
                "SELECT p.key_id, c.person FROM pass p
                 LEFT JOIN credential c ON c.property = p.property AND c.id = p.credential
                 WHERE p.property = ?1 AND p.id = ?2",
                params![property, *pass],
            )?;
            row.map_or(Ok((None, None)), |row| Ok((row.at(1)?, Some(row.at(0)?))))
        }
        Subject::Stranger => Ok((None, None)),
    }
}

/// How long an event is news: a first sync brings no older ones (the list has all).
const NEWS: TimeDelta = TimeDelta::days(30);

/// An event that is news, for those who may see it.
pub(crate) fn visible(
    tx: &mut dyn Tx,
    member: &Member,
    id: EventId,
    now: DateTime<Utc>,
) -> Result<Option<Event>, StoreError> {
    let row = tx.first(
        "SELECT ordinal, id, at_ms, received_at, clock_unsure, door, denied, means, person, key_id
         FROM event WHERE property = ?1 AND id = ?2",
        params![member.property, id],
    )?;
    let Some(row) = row else { return Ok(None) };
    let event = from_row(&row)?;
    let sees = (member.may(Action::ViewAudit) || event.person == Some(member.person))
        && event.received_at > now - NEWS;
    Ok(sees.then_some(event))
}

/// Takes events that are no news any more out of the change log.
pub(crate) fn forget_news(
    tx: &mut dyn Tx,
    property: PropertyId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM change_log WHERE property = ?1 AND kind = 'event' AND number <= COALESCE(
             (SELECT MAX(ordinal) FROM event WHERE property = ?1 AND received_at <= ?2), 0)",
        params![property, now - NEWS],
    )?;
    Ok(())
}

/// A page of the events that the caller may see.
pub(crate) fn list(
    tx: &mut dyn Tx,
    member: &Member,
    cursor: Option<&str>,
) -> Result<Page<Event>, Fault> {
    let person = (!member.may(Action::ViewAudit)).then_some(member.person);
    let rows = tx.query(
        "SELECT ordinal, id, at_ms, received_at, clock_unsure, door, denied, means, person, key_id
         FROM event WHERE property = ?1 AND ordinal > ?2 AND (CAST(?3 AS BYTEA) IS NULL OR person = ?3)
         ORDER BY ordinal LIMIT ?4",
        params![
            member.property,
            paging::after(cursor)?,
            person,
            paging::PAGE as i64 + 1
        ],
    )?;
    let items = rows.iter().map(|row| Ok((row.at(0)?, from_row(row)?)));
    Ok(paging::page(items.collect::<Result<_, StoreError>>()?))
}

fn from_row(row: &Row) -> Result<Event, StoreError> {
    let at_ms: i64 = row.at(2)?;
    let at = DateTime::<Utc>::from_timestamp(at_ms.div_euclid(1000), 0);
    let denied: Option<String> = row.at(6)?;
    Ok(Event {
        id: row.at(1)?,
        at: at.ok_or(StoreError::Unreadable("time of an event"))?,
        received_at: row.at(3)?,
        clock_unsure: row.at(4)?,
        door: row.at(5)?,
        denied: denied.map(|name| reason_of(&name)).transpose()?,
        means: means_of(&row.at::<String>(7)?)?,
        person: row.at(8)?,
        key: row.at(9)?,
    })
}

fn reason_of(name: &str) -> Result<Reason, StoreError> {
    Reason::ALL
        .iter()
        .copied()
        .find(|reason| reason.name() == name)
        .ok_or(StoreError::Unreadable("reason"))
}

const fn means_name(means: Means) -> &'static str {
    match means {
        Means::Stream => "stream",
        Means::Relay => "relay",
        Means::Code => "code",
    }
}

fn means_of(name: &str) -> Result<Means, StoreError> {
    [Means::Stream, Means::Relay, Means::Code]
        .into_iter()
        .find(|means| means_name(*means) == name)
        .ok_or(StoreError::Unreadable("means"))
}
