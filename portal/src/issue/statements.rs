//! Numbered statements for doors: signed, kept, and told to every phone that may carry them.

use aliro::crypto::PublicKey;
use latchkey_protocol::api::sync::{EntityKind, StatementEntity};
use latchkey_protocol::ids::{DoorId, PropertyId};
use latchkey_protocol::signing::SignedError;
use latchkey_protocol::statement::{
    Addressee, Body, DoorSettings, PropertySettings, SignedStatement, Statement,
};

use super::{epoch, log_key};
use crate::fault::Fault;
use crate::model::change::{self, Audience};
use crate::model::{audit, property};
use crate::store::{StoreError, Tx, Wake, params};
use crate::tools::Tools;

/// What a statement of a pass is called in the store.
const PASS: &str = "pass";
/// And one of the log key.
const LOG_KEY: &str = "log-key";

/// Whether doors have been told of a log key in this epoch.
pub(crate) fn has_log_key(
    tx: &mut dyn Tx,
    property: PropertyId,
    epoch: u32,
) -> Result<bool, StoreError> {
    let row = tx.first(
        "SELECT 1 FROM statement WHERE property = ?1 AND epoch = ?2 AND kind = ?3 LIMIT 1",
        params![property, epoch, LOG_KEY],
    )?;
    Ok(row.is_some())
}

/// The number of a statement of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// The signer's epoch.
    pub(crate) epoch: u32,
    /// From 1 in each epoch.
    pub(crate) number: u64,
}

/// Signs the next statement for an addressee and says its number.
pub(crate) fn publish(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    addressee: Addressee,
    body: Body,
) -> Result<Numbered, Fault> {
    let epoch = epoch::current(tx, tools, property)?;
    let number = last_number(tx, property, addressee, epoch)? + 1;
    let what = kind_name(&body);
    let statement = tools.signer.statement(property, addressee, number, body)?;
    tx.execute(
        "INSERT INTO statement (property, series, epoch, number, statement, created_at, kind)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            property,
            series(addressee),
            epoch,
            as_i64(number)?,
            statement,
            tools.now(),
            what
        ],
    )?;
    if addressee == Addressee::All {
        let id = number.to_string();
        change::tell(tx, property, Audience::Everyone, EntityKind::Statement, &id)?;
    }
    let subject = format!("{what} {} {epoch}.{number}", series(addressee));
    audit::write(tx, tools, property, None, "sign.statement", &subject)?;
    tx.wake(match addressee {
        Addressee::All => Wake::Issued(property),
        Addressee::Door(door) => Wake::IssuedTo(property, door),
    });
    Ok(Numbered { epoch, number })
}

/// The settings by which doors decide, as they are now.
pub(crate) fn publish_settings(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: &property::Record,
) -> Result<Numbered, Fault> {
    let settings = PropertySettings {
        offsets: property.offsets.clone(),
        holidays: property.holidays.clone(),
    };
    publish(
        tx,
        tools,
        property.id,
        Addressee::All,
        Body::Settings(settings),
    )
}

/// What a new property's doors hear first.
pub(crate) fn publish_first(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: &property::Record,
) -> Result<(), Fault> {
    publish_settings(tx, tools, property)?;
    let settings = Body::DoorSettings(DoorSettings::default());
    publish(tx, tools, property.id, Addressee::All, settings)?;
    log_key::publish(tx, tools, property.id)?;
    Ok(())
}

/// The newest statement of each kind that replaces the last of its kind, of a series, in their order.
pub(crate) fn that_stand(
    tx: &mut dyn Tx,
    property: PropertyId,
    addressee: Addressee,
    epoch: u32,
) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    tx.query(
        "SELECT s.number, s.statement FROM statement s
         WHERE s.property = ?1 AND s.series = ?2 AND s.epoch = ?3 AND s.number IN
             (SELECT MAX(t.number) FROM statement t
              WHERE t.property = ?1 AND t.series = ?2 AND t.epoch = ?3 AND t.kind <> ?4
              GROUP BY t.kind)
         ORDER BY s.number",
        params![property, series(addressee), epoch, PASS],
    )?
    .iter()
    .map(|row| Ok((row.at(0)?, row.at(1)?)))
    .collect()
}

/// States anew, in the present epoch, all that stood by statements of an earlier one; passes are stated by themselves.
pub(super) fn state_again(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    before: u32,
) -> Result<(), Fault> {
    let record = property::load(tx, property)?;
    // The backup may be of before that was kept.
    name_kinds(tx, &record)?;
    for (addressee, _) in all_series(tx, property, before)? {
        for (_, statement) in that_stand(tx, property, addressee, before)? {
            let body = read(&record, &statement)?.body;
            publish(tx, tools, property, addressee, body)?;
        }
    }
    Ok(())
}

/// What a statement of this property says.
fn read(property: &property::Record, bytes: &[u8]) -> Result<Statement, Fault> {
    let issuer = PublicKey::from_uncompressed(&property.issuer_key)
        .map_err(|error| Fault::Internal(format!("an issuer's key: {error}")))?;
    let statement = SignedStatement::from_bytes(bytes)
        .map_err(SignedError::from)
        .and_then(|signed| signed.verify(&issuer, property.id));
    Ok(statement.map_err(|_| StoreError::Unreadable("statement"))?)
}

/// Names what statements say that were signed before that was kept beside them.
pub(crate) fn name_kinds(tx: &mut dyn Tx, property: &property::Record) -> Result<(), Fault> {
    loop {
        let rows = tx.query(
            "SELECT series, epoch, number, statement FROM statement
             WHERE property = ?1 AND kind IS NULL LIMIT 500",
            params![property.id],
        )?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let (series, epoch, number): (String, u32, i64) = (row.at(0)?, row.at(1)?, row.at(2)?);
            let statement = read(property, &row.at::<Vec<u8>>(3)?)?;
            let kind = kind_name(&statement.body);
            tx.execute(
                "UPDATE statement SET kind = ?5
                 WHERE property = ?1 AND series = ?2 AND epoch = ?3 AND number = ?4",
                params![property.id, series, epoch, number, kind],
            )?;
        }
    }
}

/// Refuses to say what stands while it is not known of each statement what it says: those would be left out.
pub(super) fn must_be_named(tx: &mut dyn Tx, property: PropertyId) -> Result<(), Fault> {
    let nameless = tx.first(
        "SELECT 1 FROM statement WHERE property = ?1 AND kind IS NULL LIMIT 1",
        params![property],
    )?;
    match nameless {
        None => Ok(()),
        Some(_) => Err(Fault::Internal("statements without a kind".to_owned())),
    }
}

/// The highest number of a series in this epoch; 0 before the first.
pub(crate) fn last_number(
    tx: &mut dyn Tx,
    property: PropertyId,
    addressee: Addressee,
    epoch: u32,
) -> Result<u64, StoreError> {
    let row = tx.first(
        "SELECT MAX(number) FROM statement WHERE property = ?1 AND series = ?2 AND epoch = ?3",
        params![property, series(addressee), epoch],
    )?;
    Ok(row
        .map(|row| row.at::<Option<u64>>(0))
        .transpose()?
        .flatten()
        .unwrap_or(0))
}

/// The statements of a series after this number, in order; at most `most`.
pub(crate) fn after(
    tx: &mut dyn Tx,
    property: PropertyId,
    addressee: Addressee,
    epoch: u32,
    number: u64,
    most: u32,
) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    tx.query(
        "SELECT number, statement FROM statement
         WHERE property = ?1 AND series = ?2 AND epoch = ?3 AND number > ?4
         ORDER BY number LIMIT ?5",
        params![property, series(addressee), epoch, as_i64(number)?, most],
    )?
    .iter()
    .map(|row| Ok((row.at(0)?, row.at(1)?)))
    .collect()
}

/// A statement for all doors, as phones carry it.
pub(crate) fn for_all(
    tx: &mut dyn Tx,
    property: PropertyId,
    number: u64,
) -> Result<Option<StatementEntity>, StoreError> {
    let epoch = property::epoch(tx, property)?;
    tx.first(
        "SELECT statement FROM statement
         WHERE property = ?1 AND series = ?2 AND epoch = ?3 AND number = ?4",
        params![property, series(Addressee::All), epoch, as_i64(number)?],
    )?
    .map(|row| {
        Ok(StatementEntity {
            epoch,
            number,
            statement: row.at::<Vec<u8>>(0)?.into(),
        })
    })
    .transpose()
}

/// The series that a property's signer has given numbers of.
pub(crate) fn all_series(
    tx: &mut dyn Tx,
    property: PropertyId,
    epoch: u32,
) -> Result<Vec<(Addressee, u64)>, StoreError> {
    let rows = tx.query(
        "SELECT series, MAX(number) FROM statement WHERE property = ?1 AND epoch = ?2
         GROUP BY series",
        params![property, epoch],
    )?;
    rows.iter()
        .map(|row| {
            let series: String = row.at(0)?;
            let addressee = match series.as_str() {
                "all" => Addressee::All,
                door => Addressee::Door(
                    door.parse::<DoorId>()
                        .map_err(|_| StoreError::Unreadable("series"))?,
                ),
            };
            Ok((addressee, row.at(1)?))
        })
        .collect()
}

fn series(addressee: Addressee) -> String {
    match addressee {
        Addressee::All => "all".to_owned(),
        Addressee::Door(door) => door.to_string(),
    }
}

const fn kind_name(body: &Body) -> &'static str {
    match body {
        Body::Settings(_) => "settings",
        Body::DoorSettings(_) => "door-settings",
        Body::Pass(_) => PASS,
        Body::LogKey(_) => LOG_KEY,
    }
}

pub(crate) fn as_i64(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Unreadable("number"))
}
