//! What a guest's page is given: found by its cookie, complete enough to work offline.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::api::links::{GuestDoor, GuestMoment, GuestPass};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::ids::{LinkId, PassId, PropertyId};
use latchkey_protocol::rules::{AccessRules, Calendar, Facts, decide};

use super::{door, key, property};
use crate::auth::secret;
use crate::fault::Fault;
use crate::issue::Round;
use crate::issue::pass_rows::{self, Record as Pass};
use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

/// How many changes ahead a page is told.
const MOMENTS: usize = 64;

/// The property of a guest's session.
pub(crate) fn property(tx: &mut dyn Tx, cookie: &str) -> Result<PropertyId, Fault> {
    session(tx, cookie).map(|(property, _)| property)
}

/// The standing pass of a link.
pub(crate) fn pass_of_link(
    tx: &mut dyn Tx,
    property: PropertyId,
    link: LinkId,
) -> Result<Option<Pass>, StoreError> {
    let row = tx.first(
        "SELECT id FROM pass WHERE property = ?1 AND link = ?2 AND ended_at IS NULL",
        params![property, link],
    )?;
    let Some(row) = row else { return Ok(None) };
    pass_rows::load(tx, property, row.at::<PassId>(0)?)
}

/// What a guest's page can be shown at once.
#[derive(Debug, Clone)]
pub(crate) enum Shown {
    /// All that it needs.
    Pass(Box<GuestPass>),
    /// Its statement is due at this property: [`show`] renews it.
    Due(PropertyId),
}

/// All that the page needs, when nothing has to be renewed for it.
pub(crate) fn look(tx: &mut dyn Tx, tools: &Tools, cookie: &str) -> Result<Shown, Fault> {
    let (id, link) = session(tx, cookie)?;
    match pass_of_link(tx, id, link)? {
        Some(pass) if pass.renew_at <= tools.now() => Ok(Shown::Due(id)),
        Some(pass) => Ok(Shown::Pass(Box::new(view(tx, tools, id, pass)?))),
        None => Err(Fault::new(ProblemType::LinkEnded)),
    }
}

/// All that the page needs. Renews the pass's statement when that is due.
pub(crate) fn show(tx: &mut dyn Tx, tools: &Tools, cookie: &str) -> Result<GuestPass, Fault> {
    let (id, link) = session(tx, cookie)?;
    let pass = match pass_of_link(tx, id, link)? {
        Some(pass) if pass.renew_at <= tools.now() => {
            let mut round = Round::begin(tx, tools, id)?;
            round.key_changed(tx, pass.key, &Default::default())?;
            round.finish(tx)?;
            pass_of_link(tx, id, link)?
        }
        pass => pass,
    };
    view(
        tx,
        tools,
        id,
        pass.ok_or(Fault::new(ProblemType::LinkEnded))?,
    )
}

fn view(tx: &mut dyn Tx, tools: &Tools, id: PropertyId, pass: Pass) -> Result<GuestPass, Fault> {
    let property = property::load(tx, id)?;
    let key = key::load(tx, id, pass.key)?.ok_or(StoreError::Unreadable("key"))?;
    let now = tools.now();
    let known = pass_rows::known_at(tx, id, &pass)?;
    let doors = door::all(tx, id)?
        .into_iter()
        .filter(|door| pass.opens(door.number));
    let doors = doors.map(|door| GuestDoor {
        knows_pass: known.contains(&door.id),
        id: door.id,
        number: door.number,
        name: door.name,
        connected: door.connected,
    });
    Ok(GuestPass {
        doors: doors.collect(),
        status: key.status(&property.calendar(), now),
        timeline: timeline(&pass.rules, &property.calendar(), now),
        pass: pass.id,
        property: id,
        property_name: property.name,
        key_name: key.name,
        rules: pass.rules,
        offsets: property.offsets,
        holidays: property.holidays,
        statement: pass.statement.into(),
        statement_until: pass.statement_until,
        server_time: now,
        last_used: pass.last_used,
    })
}

fn session(tx: &mut dyn Tx, cookie: &str) -> Result<(PropertyId, LinkId), Fault> {
    let row = tx
        .first(
            "SELECT property, link FROM guest_session WHERE hash = ?1",
            params![secret::hash(cookie.as_bytes())],
        )?
        .ok_or(Fault::new(ProblemType::NotSignedIn))?;
    Ok((row.at(0)?, row.at(1)?))
}

/// What the decision says from now on, change by change, so that the page holds no rules.
fn timeline(rules: &AccessRules, calendar: &Calendar<'_>, now: DateTime<Utc>) -> Vec<GuestMoment> {
    let mut moments = Vec::new();
    let mut at = now;
    while moments.len() < MOMENTS {
        let decision = decide(rules, calendar, &Facts::at(at));
        moments.push(GuestMoment {
            from: at,
            denied: decision.reason(),
        });
        match decision.changes_at() {
            Some(next) if next > at => at = next,
            _ => break,
        }
    }
    moments
}

/// How long a cookie is good for.
pub(crate) const COOKIE_LIFE: TimeDelta = TimeDelta::days(400);

/// Forgets sessions whose cookies are over.
pub(crate) fn forget(tx: &mut dyn Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM guest_session WHERE created_at <= ?1",
        params![now - COOKIE_LIFE],
    )?;
    Ok(())
}
