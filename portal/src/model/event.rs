//! What happened at doors: kept once by the door's own id, resolved to person and key by what the door named.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::api::Page;
use latchkey_protocol::api::events::{Event, Means};
use latchkey_protocol::doorlink::{DoorEvent, Subject};
use latchkey_protocol::ids::{DoorId, EventId, Generation, KeyId, PersonId, PropertyId};
use latchkey_protocol::roles::Action;
use latchkey_protocol::rules::Reason;

use super::audit::{self, Entry};
use super::member::Member;
use super::property::text;
use super::{change, door_log, paging};
use crate::fault::Fault;
use crate::store::{Row, StoreError, Tx, Wake, params};
use crate::tools::Tools;

/// The last millisecond of the year 9999.
const LATEST_MS: i64 = 253_402_300_799_999;

/// What the controller at a door reports.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) door: DoorId,
    pub(crate) generation: Generation,
    pub(crate) events: Vec<DoorEvent>,
}

impl Report {
    /// Up to where the door may forget once this is kept.
    pub(crate) fn up_to(&self) -> u64 {
        let sequences = self.events.iter().map(|event| event.sequence);
        sequences.max().unwrap_or(0)
    }
}

/// Keeps what doors report on their lines.
pub(crate) fn keep_reports<'a>(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    reports: impl Iterator<Item = &'a Report> + Clone,
) -> Result<(), Fault> {
    let events = reports.clone().flat_map(|report| {
        let events = report.events.iter();
        events.map(|event| (report.door, report.generation, event))
    });
    keep(tx, tools, property, &events.collect::<Vec<_>>())?;
    for report in reports {
        // On its line a door reports in order, and leaves nothing out.
        let Report {
            door, generation, ..
        } = *report;
        door_log::kept_up_to(tx, property, door, generation, report.up_to())?;
    }
    Ok(())
}

/// Keeps what happened at doors; what is kept already counts no second time.
pub(super) fn keep(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    events: &[(DoorId, Generation, &DoorEvent)],
) -> Result<(), Fault> {
    let count = u32::try_from(events.len()).map_err(|_| Fault::invalid("events"))?;
    // Those that are kept already leave gaps.
    let numbers = change::next_numbers(tx, property, count)?;
    let mut entries = Vec::with_capacity(events.len());
    for ((door, generation, event), ordinal) in events.iter().zip(numbers) {
        let (person, key) = who(tx, property, &event.subject)?;
        // A door with a lost clock, or a stolen one, may say anything: what no calendar can say would stop every
        // reader of the list.
        let at_ms = event.at_ms.clamp(0, LATEST_MS);
        let added = tx.execute(
            "INSERT INTO event (property, id, ordinal, door, generation, sequence, at_ms,
                 received_at, clock_unsure, means, denied, person, key_id, subject)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
             ON CONFLICT (property, id) DO NOTHING",
            params![
                property,
                event.id,
                ordinal,
                *door,
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
        if added == 0 {
            continue;
        }
        if let Subject::Pass { .. } = event.subject {
            tx.wake(Wake::Guests(property));
        }
        let who = person.map_or_else(|| "-".to_owned(), |person| person.to_string());
        entries.push(Entry {
            actor: None,
            action: match event.denied {
                Some(_) => "door.deny",
                None => "door.open",
            },
            subject: format!("{} {door} {who}", event.id),
        });
    }
    audit::write_all(tx, tools, property, &entries)?;
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

/// Numbers and ids of events after this number that may be news to this member.
pub(crate) fn after(
    tx: &mut dyn Tx,
    member: &Member,
    number: i64,
    most: i64,
) -> Result<Vec<(i64, EventId)>, StoreError> {
    let old: i64 = tx
        .first(
            "SELECT old_events FROM property WHERE id = ?1",
            params![member.property],
        )?
        .ok_or(StoreError::Unreadable("property"))?
        .at(0)?;
    let after = number.max(old);
    let rows = if member.may(Action::ViewAudit) {
        tx.query(
            "SELECT ordinal, id FROM event WHERE property = ?1 AND ordinal > ?2
             ORDER BY ordinal LIMIT ?3",
            params![member.property, after, most],
        )
    } else {
        tx.query(
            "SELECT ordinal, id FROM event WHERE property = ?1 AND ordinal > ?2 AND person = ?4
             ORDER BY ordinal LIMIT ?3",
            params![member.property, after, most, member.person],
        )
    };
    let rows = rows?;
    rows.iter()
        .map(|row| Ok((row.at(0)?, row.at(1)?)))
        .collect()
}

/// Notes which events are no news any more: no sync looks at them.
pub(crate) fn forget_news(
    tx: &mut dyn Tx,
    property: PropertyId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE property SET old_events = COALESCE(
             (SELECT MAX(ordinal) FROM event WHERE property = ?1 AND received_at <= ?2), 0)
         WHERE id = ?1",
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
