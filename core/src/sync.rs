//! Keeping in step with portals: what changed since the cursor, applied in one transaction with it.

use std::time::Duration;

use latchkey_protocol::api::auth::Me;
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::api::property::Property;
use latchkey_protocol::api::sync::{Change, Entity, EntityKind, SyncPage};
use latchkey_protocol::ids::PropertyId;

use crate::context::Context;
use crate::credentials;
use crate::error::{Error, Invalid};
use crate::outbox;
use crate::portal::{Call, PortalClient};
use crate::unlock;
use crate::wallet::{Tx, WalletError};

/// What a sync did.
#[derive(Debug, Default)]
pub struct SyncReport {
    /// How many things changed on this phone.
    pub changes: usize,
    /// What could not be brought up to date; the rest was.
    pub failures: Vec<SyncFailure>,
}

/// A part of a sync that failed.
#[derive(Debug)]
pub struct SyncFailure {
    /// The portal.
    pub portal_url: String,
    /// The property, when it was only one of the portal's.
    pub property: Option<PropertyId>,
    /// Why.
    pub error: Error,
}

/// Sends what waits, then brings every property of every portal up to date.
///
/// # Errors
/// The first failure, when no portal at all could be reached.
pub(crate) async fn everything(context: &Context) -> Result<SyncReport, Error> {
    let portals = context.portals()?;
    if portals.is_empty() {
        return Err(Error::NotSignedIn);
    }
    let mut report = reported(context).await?;
    let of_a_portal = |failure: &SyncFailure| failure.property.is_none();
    if report.failures.iter().filter(|f| of_a_portal(f)).count() == portals.len() {
        return Err(report.failures.swap_remove(0).error);
    }
    Ok(report)
}

/// The same, with every failure in the report.
pub(crate) async fn reported(context: &Context) -> Result<SyncReport, Error> {
    let mut report = SyncReport::default();
    for portal in &context.portals()? {
        match memberships(context, portal).await {
            Ok(changes) => report.changes += changes,
            Err(error) => {
                report.failures.push(failure(portal, None, error));
                continue;
            }
        }
        for property in properties_of(context, portal)? {
            match one_property(context, portal, property).await {
                Ok(changes) => report.changes += changes,
                Err(error) => {
                    let failure = failure(portal, Some(property), error);
                    report.failures.push(failure);
                }
            }
        }
    }
    Ok(report)
}

/// Brings the list of properties up to date; sends what waits first, so that what comes back includes it.
pub(crate) async fn memberships(context: &Context, portal: &PortalClient) -> Result<usize, Error> {
    outbox::send(context, portal).await?;
    let me: Me = portal.call(&Call::get("/v1/me")).await?;
    context.shared.wallet.write(|tx| {
        let mut changes = 0;
        for record in tx.properties()? {
            let property = record.membership.property;
            let gone = !me.memberships.iter().any(|m| m.property == property);
            if record.portal == portal.id && gone {
                tx.delete_property(property)?;
                changes += 1;
            }
        }
        for membership in &me.memberships {
            if !tx.put_membership(portal.id, membership)? {
                tracing::warn!(
                    property = %membership.property,
                    "a portal names a property that came from another one; it is left out"
                );
            }
        }
        Ok(changes)
    })
}

/// Brings one property up to date, and registers this phone's keys there if that was not done yet.
pub(crate) async fn one_property(
    context: &Context,
    portal: &PortalClient,
    property: PropertyId,
) -> Result<usize, Error> {
    credentials::register(context, portal, property).await?;
    let mut changes = 0;
    loop {
        let page = next_page(context, portal, property, Duration::ZERO).await?;
        changes += page.changes;
        if !page.more {
            return Ok(changes);
        }
    }
}

/// What one page brought.
pub(crate) struct Applied {
    pub(crate) changes: usize,
    pub(crate) kinds: Vec<EntityKind>,
    pub(crate) more: bool,
}

/// Fetches the next page and applies it. With a `wait`, the portal holds it back that long until
/// something has changed.
pub(crate) async fn next_page(
    context: &Context,
    portal: &PortalClient,
    property: PropertyId,
    wait: Duration,
) -> Result<Applied, Error> {
    let (record, _) = context.property(property)?;
    let path = page_path(property, record.cursor.as_deref(), wait);
    let answer = match portal.send(&Call::get(path).held_back(wait)).await {
        Err(Error::Refused(problem))
            if problem.problem_type() == Some(ProblemType::CursorStale) =>
        {
            start_over(context, portal, property)?;
            return Ok(Applied {
                changes: 0,
                kinds: Vec::new(),
                more: true,
            });
        }
        answer => answer?,
    };
    let page: SyncPage = answer.json()?;
    let corrected = portal.clock.heard(page.server_time, answer.round_trip);
    context.shared.wallet.write(|tx| {
        let now = tx.property(property)?.ok_or(Invalid::Property)?;
        if now.cursor != record.cursor {
            // Somebody else synced meanwhile and came further: this page is of the past.
            return Ok(Applied {
                changes: 0,
                kinds: Vec::new(),
                more: true,
            });
        }
        if let Some(offset) = corrected {
            keep_offset(tx, portal, offset)?;
        }
        let (applied, stale) = apply(tx, portal, property, record.cursor.is_none(), &page)?;
        if stale > 0 || applied.kinds.iter().any(|kind| ends_doors(*kind)) {
            unlock::forget_what_ended(context, tx, property)?;
        }
        Ok(applied)
    })
}

fn page_path(property: PropertyId, cursor: Option<&str>, wait: Duration) -> String {
    let path = format!("/v1/properties/{property}/sync");
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(cursor) = cursor {
        query.append_pair("cursor", cursor);
    }
    if !wait.is_zero() {
        query.append_pair("wait", &wait.as_secs().to_string());
    }
    match query.finish().as_str() {
        "" => path,
        query => format!("{path}?{query}"),
    }
}

/// Applies a page; what it did, and how many things went because a sync from the beginning did not bring them
/// again.
fn apply(
    tx: &Tx<'_>,
    portal: &PortalClient,
    property: PropertyId,
    from_the_beginning: bool,
    page: &SyncPage,
) -> Result<(Applied, usize), Error> {
    // The first page of a sync from the beginning marks what is there; see `mark_entities_stale`.
    if from_the_beginning {
        tx.mark_entities_stale(property)?;
    }
    for change in &page.changes {
        apply_change(tx, portal, property, change)?;
    }
    tx.put_cursor(property, portal.id, Some(&page.cursor))?;
    let stale = match page.more {
        true => 0,
        false => tx.delete_stale_entities(property)?,
    };
    let mut kinds: Vec<_> = page.changes.iter().map(|change| change.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let applied = Applied {
        changes: page.changes.len(),
        kinds,
        more: page.more,
    };
    Ok((applied, stale))
}

/// Whether a change of this kind may end what doors are remembered for.
fn ends_doors(kind: EntityKind) -> bool {
    use EntityKind::{Door, Grant, Key, Revocation};
    matches!(kind, Door | Grant | Key | Revocation)
}

fn apply_change(
    tx: &Tx<'_>,
    portal: &PortalClient,
    property: PropertyId,
    change: &Change,
) -> Result<(), Error> {
    let Some(value) = &change.value else {
        return Ok(tx.delete_entity(property, change.kind, &change.id)?);
    };
    if kind_of(value) != change.kind {
        return Err(Error::BadAnswer(format!(
            "a {:?} stands where a {:?} was announced",
            kind_of(value),
            change.kind
        )));
    }
    let value = match value {
        Entity::Property(new) => Entity::Property(Box::new(pinned(tx, property, new)?)),
        Entity::Revocation(new) => {
            let held = match tx.entity(property, change.kind, &change.id)? {
                Some(Entity::Revocation(held)) => Some(held),
                _ => None,
            };
            match held {
                Some(held) if (new.epoch, new.version) < (held.epoch, held.version) => {
                    tracing::warn!(%property, "the portal's revocation list is older than ours");
                    Entity::Revocation(held)
                }
                Some(held) if new.epoch > held.epoch => {
                    // The portal was restored: perhaps from a backup that knows less.
                    outbox::keep_list(tx, portal, property, held)?;
                    value.clone()
                }
                _ => value.clone(),
            }
        }
        other => other.clone(),
    };
    Ok(tx.put_entity(property, change.kind, &change.id, &value)?)
}

/// Settings with the reader CA that was seen first: a portal that has lost its signer cannot make this
/// phone believe another one's doors.
fn pinned(tx: &Tx<'_>, property: PropertyId, new: &Property) -> Result<Property, WalletError> {
    let mut settings = new.clone();
    let held = tx.entities(property, EntityKind::Property)?;
    if let Some(Entity::Property(held)) = held.into_iter().next()
        && held.reader_ca_key != settings.reader_ca_key
    {
        tracing::warn!(%property, "the portal names another reader CA; the first one stays");
        settings.reader_ca_key = held.reader_ca_key;
    }
    Ok(settings)
}

fn kind_of(value: &Entity) -> EntityKind {
    match value {
        Entity::Property(_) => EntityKind::Property,
        Entity::Door(_) => EntityKind::Door,
        Entity::Key(_) => EntityKind::Key,
        Entity::Grant(_) => EntityKind::Grant,
        Entity::Pass(_) => EntityKind::Pass,
        Entity::Revocation(_) => EntityKind::Revocation,
        Entity::Statement(_) => EntityKind::Statement,
        Entity::Person(_) => EntityKind::Person,
        Entity::Event(_) => EntityKind::Event,
        Entity::Bundle(_) => EntityKind::Bundle,
        Entity::LogReceipt(_) => EntityKind::LogReceipt,
    }
}

fn start_over(context: &Context, portal: &PortalClient, property: PropertyId) -> Result<(), Error> {
    context
        .shared
        .wallet
        .write(|tx| Ok(tx.put_cursor(property, portal.id, None)?))
}

fn keep_offset(
    tx: &Tx<'_>,
    portal: &PortalClient,
    offset: chrono::TimeDelta,
) -> Result<(), WalletError> {
    if let Some(mut record) = tx.portal(portal.id)? {
        record.clock_offset_ms = offset.num_milliseconds();
        tx.put_portal(&record)?;
    }
    Ok(())
}

pub(crate) fn properties_of(
    context: &Context,
    portal: &PortalClient,
) -> Result<Vec<PropertyId>, Error> {
    let records = context.shared.wallet.read(|tx| tx.properties())?;
    Ok(records
        .into_iter()
        .filter(|record| record.portal == portal.id)
        .map(|record| record.membership.property)
        .collect())
}

fn failure(portal: &PortalClient, property: Option<PropertyId>, error: Error) -> SyncFailure {
    SyncFailure {
        portal_url: portal.address.as_str().to_owned(),
        property,
        error,
    }
}
