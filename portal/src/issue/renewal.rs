//! What has to be signed anew as time passes: grants and passes from half of their lives on, expansions of zones that
//! come to their end. Runs by itself.

use latchkey_protocol::api::sync::EntityKind;
use latchkey_protocol::ids::PropertyId;

use super::{Round, grants, passes, statements};
use crate::fault::Fault;
use crate::model::change::{self, Audience};
use crate::model::{event, property};
use crate::store::Tx;
use crate::tools::Tools;
use crate::zone;

/// Renews what is due at a property.
pub(crate) fn run(tx: &mut dyn Tx, tools: &Tools, id: PropertyId) -> Result<(), Fault> {
    renew_zone(tx, tools, id)?;
    event::forget_news(tx, id, tools.now())?;
    let mut round = Round::begin(tx, tools, id)?;
    grants::renew_due(&mut round, tx)?;
    passes::renew_due(&mut round, tx)?;
    round.finish(tx)
}

fn renew_zone(tx: &mut dyn Tx, tools: &Tools, id: PropertyId) -> Result<(), Fault> {
    let mut record = property::load(tx, id)?;
    if !zone::is_due(&record.offsets, tools.now()) {
        return Ok(());
    }
    record.offsets = zone::expand(&record.zone, zone::span_at(tools.now()))
        .map_err(|error| Fault::Internal(error.to_string()))?;
    property::set_offsets(tx, id, &record.offsets)?;
    change::tell(
        tx,
        id,
        Audience::Everyone,
        EntityKind::Property,
        &id.to_string(),
    )?;
    statements::publish_settings(tx, tools, &record)?;
    Ok(())
}
