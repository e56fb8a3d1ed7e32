//! Going on after the database was restored from a backup.

use std::path::Path;

use latchkey_env::{SharedClock, SharedRandom};
use latchkey_protocol::ids::PropertyId;

use crate::fault::Fault;
use crate::issue::epoch;
use crate::model::property;
use crate::running::{StartError, open};
use crate::signer::SignerPlace;
use crate::store::{Database, Tx};

/// A property that goes on in a new epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunEpoch {
    /// The property.
    pub property: PropertyId,
    /// Its name.
    pub name: String,
    /// The new epoch.
    pub epoch: u32,
    /// Keys that the backup took for standing.
    pub lost: Vec<LostKey>,
}

/// A key that was withdrawn, taken from somebody, or narrowed after the backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostKey {
    /// Its name.
    pub name: String,
    /// Whether it is withdrawn; else some of its holders have lost it.
    pub withdrawn: bool,
}

/// Begins a new epoch for these properties of a restored database, or for all: first in the signer, durably, then in
/// the database. Where the second fails, nothing is issued, and it is to be done again.
///
/// # Errors
/// [`StartError`] when database or signer do not open or read.
pub async fn begin_epochs(
    data: &Path,
    database: &Database,
    signer: &SignerPlace,
    only: &[PropertyId],
    clock: SharedClock,
    random: SharedRandom,
) -> Result<Vec<BegunEpoch>, StartError> {
    let (store, tools) = open(data, database, signer, clock, random).await?;
    let all = store.read(|tx| Ok::<_, Fault>(property::all(tx)?)).await?;
    if let Some(unknown) = only.iter().find(|id| !all.contains(id)) {
        return Err(StartError::Store(format!("there is no property {unknown}")));
    }
    let mut begun = Vec::new();
    for id in all {
        if !only.is_empty() && !only.contains(&id) {
            continue;
        }
        let tools = tools.clone();
        let begin = move |tx: &mut dyn Tx| {
            let standing = tools.signer.standing(id)?;
            let begun = tools.signer.begin_epoch(id)?;
            let lost = epoch::begin(tx, &tools, id, &begun, &standing)?;
            let lost = lost.into_iter().map(|lost| LostKey {
                name: lost.name,
                withdrawn: lost.withdrawn,
            });
            Ok::<_, Fault>(BegunEpoch {
                property: id,
                name: property::load(tx, id)?.name,
                epoch: begun.epoch,
                lost: lost.collect(),
            })
        };
        begun.push(store.write(id, begin).await?);
    }
    Ok(begun)
}
