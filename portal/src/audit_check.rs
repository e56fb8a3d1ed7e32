//! Checking the audit chains of a portal from outside its process.

use std::path::Path;

use latchkey_env::{SharedClock, SharedRandom};
use latchkey_protocol::ids::PropertyId;

use crate::fault::Fault;
use crate::model::{audit, property};
use crate::running::{StartError, open_store};
use crate::store::Database;

/// The audit chain of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditChain {
    /// The property.
    pub property: PropertyId,
    /// Its name.
    pub name: String,
    /// The first row whose hash does not follow from the ones before; none when all do.
    pub broken_at: Option<i64>,
}

/// Walks the chains of all properties in a database.
///
/// # Errors
/// [`StartError`] when the database does not open or read.
pub async fn audit_chains(
    data: &Path,
    database: &Database,
    clock: SharedClock,
    random: SharedRandom,
) -> Result<Vec<AuditChain>, StartError> {
    let store = open_store(data, database, clock, random).await?;
    let mut chains = Vec::new();
    for id in store.read(|tx| Ok::<_, Fault>(property::all(tx)?)).await? {
        let check = store.read(move |tx| {
            let name = property::load(tx, id)?.name;
            Ok::<_, Fault>(AuditChain {
                property: id,
                name,
                broken_at: audit::first_break(tx, id)?,
            })
        });
        chains.push(check.await?);
    }
    Ok(chains)
}
