//! Epochs: whether the database is as far as the signer remembers, and the new epoch that a restored one begins.
//! `docs/adr/0016-begin-epoch.md` has the argument.

use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::ids::{DoorId, Generation, PropertyId};
use latchkey_protocol::revocation::RevocationList;
use latchkey_protocol::statement::Addressee;

use super::returned::{self, Lost};
use super::statements::{self, as_i64};
use super::{Round, bundles, passes, revocations};
use crate::fault::Fault;
use crate::model::credential::public_key;
use crate::model::{audit, property, uses};
use crate::signer::{Begun, Series, Standing};
use crate::store::{StoreError, Tx, Wake, params};
use crate::tools::Tools;

/// Doors that were made after the backup have numbers that grants of theirs name for as long as they live: so many are
/// left out.
const DOOR_NUMBERS: u16 = 200;

/// What it takes to go on after a restore.
const BEHIND: &str = "this portal's database is older than what its signer has given out: was it restored from a \
    backup? Nothing is issued until its operator has begun a new epoch (`latchkey-portal property begin-epoch`)";

/// The epoch in which this property's numbers count; refused while the database is behind its signer.
pub(crate) fn current(tx: &mut dyn Tx, tools: &Tools, id: PropertyId) -> Result<u32, Fault> {
    shared(tx, tools, id)?.ok_or_else(|| Fault::because(ProblemType::SignerUnavailable, BEHIND))
}

/// Whether [`current`] refuses because of a restore.
pub(crate) fn is_behind(tx: &mut dyn Tx, tools: &Tools, id: PropertyId) -> Result<bool, Fault> {
    Ok(shared(tx, tools, id)?.is_none())
}

/// The epoch of database and signer; none while the database is behind. The property's row is locked: nothing is
/// confirmed that this transaction cannot see.
fn shared(tx: &mut dyn Tx, tools: &Tools, id: PropertyId) -> Result<Option<u32>, Fault> {
    tx.lock_property(id)?;
    let standing = tools.signer.standing(id)?;
    let epoch = property::epoch(tx, id)?;
    let list = revocations::number(tx, id)?;
    let version = if list.epoch == epoch { list.version } else { 0 };
    let statements = statements::last_number(tx, id, Addressee::All, epoch)?;
    let is_behind = epoch != standing.epoch
        || statements < standing.given_out(Series::Statements(Addressee::All))
        || version < standing.given_out(Series::Lists);
    Ok((!is_behind).then_some(epoch))
}

/// The numbers that the database has come to in this epoch.
pub(crate) fn committed(
    tx: &mut dyn Tx,
    id: PropertyId,
    epoch: u32,
) -> Result<Vec<(Series, u64)>, StoreError> {
    let mut all = Vec::new();
    for (addressee, number) in statements::all_series(tx, id, epoch)? {
        all.push((Series::Statements(addressee), number));
    }
    for (door, number) in bundles::numbers(tx, id, epoch)? {
        all.push((Series::Bundles(door), number));
    }
    let controllers = tx.query(
        "SELECT door, MAX(generation) FROM controller WHERE property = ?1 GROUP BY door",
        params![id],
    )?;
    for row in controllers {
        all.push((Series::Controllers(row.at(0)?), row.at(1)?));
    }
    Ok(all)
}

/// The same of one door alone.
pub(crate) fn committed_for(
    tx: &mut dyn Tx,
    id: PropertyId,
    door: DoorId,
    epoch: u32,
) -> Result<Vec<(Series, u64)>, StoreError> {
    let addressee = Addressee::Door(door);
    let number = statements::last_number(tx, id, addressee, epoch)?;
    let mut all = vec![(Series::Statements(addressee), number)];
    if let Some(number) = bundles::number(tx, id, door, epoch)? {
        all.push((Series::Bundles(door), number));
    }
    let controllers = tx.query(
        "SELECT MAX(generation) FROM controller WHERE property = ?1 AND door = ?2",
        params![id, door],
    )?;
    for row in controllers {
        let last: Option<u64> = row.at(0)?;
        all.extend(last.map(|generation| (Series::Controllers(door), generation)));
    }
    Ok(all)
}

/// The generation that no controller of this door has ever had, whatever the database has forgotten.
pub(crate) fn next_generation(
    tx: &mut dyn Tx,
    tools: &Tools,
    id: PropertyId,
    door: DoorId,
) -> Result<Generation, Fault> {
    let last = tx
        .first(
            "SELECT MAX(generation) FROM controller WHERE property = ?1 AND door = ?2",
            params![id, door],
        )?
        .map_or(Ok(None), |row| row.at::<Option<u64>>(0))?;
    let given_out = tools
        .signer
        .standing(id)?
        .given_out(Series::Controllers(door));
    let next = last.unwrap_or(0).max(given_out) + 1;
    let next = u32::try_from(next).map_err(|_| Fault::Internal("generations".to_owned()))?;
    Ok(Generation(next))
}

/// Goes on in the epoch that the signer has begun: first of all what is withdrawn, then all that stands is stated again.
/// Answers what the database had forgotten to withdraw.
pub(crate) fn begin(
    tx: &mut dyn Tx,
    tools: &Tools,
    id: PropertyId,
    begun: &Begun,
    standing: &Standing,
) -> Result<Vec<Lost>, Fault> {
    tx.lock_property(id)?;
    let before = property::epoch(tx, id)?;
    let own_list = revocations::number(tx, id)?;
    property::begin_epoch(tx, id, begun.epoch, DOOR_NUMBERS)?;
    audit::write(
        tx,
        tools,
        id,
        None,
        "epoch.begin",
        &format!("{before} -> {}", begun.epoch),
    )?;
    remember_controllers(tx, id, standing)?;

    let mut round = Round::begin(tx, tools, id)?;
    contain(tx, id, own_list)?;
    let lost = match &begun.list {
        Some(document) => {
            let list = own(&round, document)?;
            take(&mut round, tx, &list)?
        }
        None => Vec::new(),
    };
    statements::state_again(tx, tools, id, before)?;
    passes::state_again(&mut round, tx)?;
    round.list_anew();
    round.finish(tx)?;
    uses::restored(tx, id)?;
    tx.wake(Wake::Issued(id));
    Ok(lost)
}

/// What the signer remembers of controllers, and the database does not.
fn remember_controllers(
    tx: &mut dyn Tx,
    id: PropertyId,
    standing: &Standing,
) -> Result<(), StoreError> {
    for (door, generation) in standing.controllers() {
        tx.execute(
            "INSERT INTO forgotten_controller (property, door, generation)
             SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM controller
                 WHERE property = ?1 AND door = ?2 AND generation = ?3)
             ON CONFLICT (property, door, generation) DO NOTHING",
            params![id, door, generation.0],
        )?;
    }
    Ok(())
}

/// A door or a phone has handed over a list that the present one does not answer for: it is of before the restore, and
/// from now on contained.
pub(crate) fn list_came(
    tx: &mut dyn Tx,
    tools: &Tools,
    id: PropertyId,
    document: &[u8],
) -> Result<(), Fault> {
    let epoch = current(tx, tools, id)?;
    let mut round = Round::begin(tx, tools, id)?;
    let list = own(&round, document)?;
    let number = list.number();
    if number.epoch >= epoch {
        if number > revocations::number(tx, id)? {
            tracing::error!(
                property = %id, ?number,
                "somebody holds a list that this portal has never made: were database and signer restored? Begin a new epoch"
            );
        }
        return Ok(());
    }
    if is_contained(tx, id, number)? {
        return Ok(());
    }
    let lost = take(&mut round, tx, &list)?;
    for lost in lost {
        tracing::warn!(property = %id, key = %lost.key, "a key was withdrawn before the restore");
    }
    round.list_anew();
    round.finish(tx)
}

/// A list that this property's issuer has signed.
fn own(round: &Round, document: &[u8]) -> Result<RevocationList, Fault> {
    let issuer = public_key(&round.property.issuer_key)?;
    RevocationList::verify(document, &issuer)
        .map_err(|error| Fault::invalid(format!("`document`: {error}")))
}

fn take(round: &mut Round, tx: &mut dyn Tx, list: &RevocationList) -> Result<Vec<Lost>, Fault> {
    let id = round.property.id;
    let lost = returned::take(round, tx, list.content())?;
    contain(tx, id, list.number())?;
    for number in &list.content().contains {
        contain(tx, id, *number)?;
    }
    let number = list.number();
    let subject = format!("{}.{} {}", number.epoch, number.version, lost.len());
    audit::write(tx, &round.tools, id, None, "epoch.list", &subject)?;
    Ok(lost)
}

fn is_contained(tx: &mut dyn Tx, id: PropertyId, number: ListNumber) -> Result<bool, StoreError> {
    let row = tx.first(
        "SELECT 1 FROM list_contained WHERE property = ?1 AND epoch = ?2 AND version >= ?3",
        params![id, number.epoch, as_i64(number.version)?],
    )?;
    Ok(row.is_some())
}

/// From now on the property's lists answer for this one.
fn contain(tx: &mut dyn Tx, id: PropertyId, number: ListNumber) -> Result<(), StoreError> {
    if number == ListNumber::default() {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO list_contained (property, epoch, version) VALUES (?1, ?2, ?3)
         ON CONFLICT (property, epoch) DO UPDATE SET version = excluded.version
             WHERE list_contained.version < excluded.version",
        params![id, number.epoch, as_i64(number.version)?],
    )?;
    Ok(())
}
