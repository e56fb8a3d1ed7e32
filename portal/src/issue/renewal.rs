//! What has to be signed anew as time passes: grants and passes from half of their lives on, expansions of zones that
//! come to their end. Runs by itself.

use latchkey_protocol::api::sync::EntityKind;
use latchkey_protocol::ids::{CredentialId, PassId, PropertyId};

use super::{Round, grants, pass_rows, passes, statements};
use crate::fault::Fault;
use crate::model::change::{self, Audience};
use crate::model::property;
use crate::store::Tx;
use crate::tools::Tools;
use crate::zone;

/// Something that is due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Due {
    /// The expansion of the zone.
    Zone,
    /// The documents of a phone.
    Grants(CredentialId),
    /// A pass's statement.
    Pass(PassId),
}

/// All that is due at a property.
pub(crate) fn due(tx: &mut dyn Tx, tools: &Tools, id: PropertyId) -> Result<Vec<Due>, Fault> {
    let now = tools.now();
    let mut all = Vec::new();
    if zone::is_due(&property::load(tx, id)?.offsets, now) {
        all.push(Due::Zone);
    }
    all.extend(grants::due(tx, id, now)?.into_iter().map(Due::Grants));
    all.extend(
        pass_rows::due(tx, id, now)?
            .into_iter()
            .map(|pass| Due::Pass(pass.id)),
    );
    Ok(all)
}

/// Renews these. Together they share a commit and a list; one that cannot be signed fails them all.
pub(crate) fn renew(
    tx: &mut dyn Tx,
    tools: &Tools,
    id: PropertyId,
    due: &[Due],
) -> Result<(), Fault> {
    if due.iter().any(|due| matches!(due, Due::Zone)) {
        renew_zone(tx, tools, id)?;
    }
    let mut round = Round::begin(tx, tools, id)?;
    for due in due {
        match due {
            Due::Zone => {}
            Due::Grants(credential) => grants::renew(&mut round, tx, *credential)?,
            Due::Pass(pass) => passes::renew(&mut round, tx, *pass)?,
        }
    }
    round.finish(tx)
}

fn renew_zone(tx: &mut dyn Tx, tools: &Tools, id: PropertyId) -> Result<(), Fault> {
    let mut record = property::load(tx, id)?;
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
