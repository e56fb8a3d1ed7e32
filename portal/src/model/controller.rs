//! Controllers: which one stands at a door, and how a new one is put there.

use aliro::crypto::PublicKey;
use latchkey_protocol::api::doors::{DoorTime, InstallController, InstalledController};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::commissioning::{CommissioningCode, Offer, Package};
use latchkey_protocol::ids::{DoorId, DoorNumber, Generation, PropertyId};
use latchkey_protocol::roles::Action;
use latchkey_protocol::statement::Addressee;

use super::member::Member;
use super::rate::{self, Limit};
use super::{audit, door, offer, property, uses};
use crate::fault::Fault;
use crate::issue::{bundles, epoch, revocations, statements};
use crate::store::{Row, StoreError, Tx, Wake, params};
use crate::tools::Tools;

/// The controller at a door.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) generation: Generation,
    pub(crate) reader_key: PublicKey,
    pub(crate) sealing_key: PublicKey,
}

impl Record {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let key = |index| {
            PublicKey::from_uncompressed(&row.at::<Vec<u8>>(index)?)
                .map_err(|_| StoreError::Unreadable("a controller's key"))
        };
        Ok(Self {
            generation: Generation(row.at(0)?),
            reader_key: key(1)?,
            sealing_key: key(2)?,
        })
    }
}

/// The controller that stands at a door now.
pub(crate) fn standing(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
) -> Result<Option<Record>, StoreError> {
    tx.first(
        "SELECT c.generation, c.reader_key, c.sealing_key FROM door d
         JOIN controller c ON c.property = d.property AND c.door = d.id
              AND c.generation = d.generation
         WHERE d.property = ?1 AND d.id = ?2",
        params![property, door],
    )?
    .map(|row| Record::from_row(&row))
    .transpose()
}

/// A controller that stands, or stood, at a door.
pub(crate) fn of_generation(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
    generation: Generation,
) -> Result<Option<Record>, StoreError> {
    tx.first(
        "SELECT generation, reader_key, sealing_key FROM controller
         WHERE property = ?1 AND door = ?2 AND generation = ?3",
        params![property, door, generation.0],
    )?
    .map(|row| Record::from_row(&row))
    .transpose()
}

/// Puts a controller to a door: certifies its key under a new generation, when its keys are those that the code
/// vouches for.
pub(crate) fn install(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    door: DoorId,
    request: &InstallController,
    portal_url: &str,
) -> Result<InstalledController, Fault> {
    member.must(Action::ManageControllers)?;
    let property = member.property;
    let number = door::load(tx, property, door)?
        .ok_or_else(Fault::not_found)?
        .number;
    let code: CommissioningCode = request
        .code
        .parse()
        .map_err(|error| Fault::invalid(format!("`code`: {error}")))?;
    let offer = match &request.offer {
        Some(bytes) => offer::read(&bytes.0)?,
        None => {
            let waiting = offer::waiting(tx, &code, tools.now())?;
            let waiting = waiting.ok_or_else(|| {
                Fault::because(
                    ProblemType::NotFound,
                    "no controller with this code has called in the last hour: is it switched on and online?",
                )
            })?;
            offer::read(&waiting)?
        }
    };
    if offer.code() != code {
        return Err(Fault::new(ProblemType::CommissioningMismatch));
    }
    let address = request
        .stream_address
        .as_deref()
        .map(door::stream_address)
        .transpose()?;
    let generation = enter(tx, tools, member, door, &offer, address)?;
    bundles::commissioned(tx, tools, property, door)?;
    uses::controller_installed(tx, property, door)?;
    let package = package(
        tx, tools, property, door, number, generation, &offer, portal_url,
    )?;
    let answer = InstalledController {
        property,
        door,
        generation,
        package,
    };
    offer::answered(tx, &code, &answer, tools.now())?;
    Ok(answer)
}

/// Signs the time over a door's nonce.
pub(crate) fn time(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    door: DoorId,
    nonce: [u8; 16],
) -> Result<Vec<u8>, Fault> {
    let answer = tools.signer.time(property, door, nonce)?;
    audit::write(tx, tools, property, None, "sign.time", &door.to_string())?;
    Ok(answer)
}

/// How often one device may ask for the time at doors.
const TIMES: Limit = Limit {
    most: 30,
    seconds: 60,
};

/// The same for a phone that stands at the door.
pub(crate) fn time_for(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    door: DoorId,
    nonce: &Base64,
) -> Result<DoorTime, Fault> {
    if !door::is_visible(tx, member, door)? || standing(tx, member.property, door)?.is_none() {
        return Err(Fault::not_found());
    }
    let nonce = nonce
        .to_array()
        .map_err(|_| Fault::invalid("`nonce` has 16 bytes"))?;
    let bucket = format!("door-time:{}", member.device);
    rate::count(tx, &bucket, TIMES, tools.now())?;
    let answer = time(tx, tools, member.property, door, nonce)?;
    Ok(DoorTime {
        answer: Base64(answer),
    })
}

fn enter(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    door: DoorId,
    offer: &Offer,
    address: Option<String>,
) -> Result<Generation, Fault> {
    let property = member.property;
    let elsewhere = tx.first(
        "SELECT 1 FROM controller c JOIN door d ON d.property = c.property AND d.id = c.door
              AND d.generation = c.generation
         WHERE c.property = ?1 AND c.reader_key = ?2 AND c.door <> ?3",
        params![property, *offer.reader_key.as_bytes(), door],
    )?;
    if elsewhere.is_some() {
        return Err(Fault::conflict(
            "this controller stands at another door: reset it first",
        ));
    }
    epoch::current(tx, tools, property)?;
    let generation = epoch::next_generation(tx, tools, property, door)?;
    let certificate = tools
        .signer
        .certificate(property, door, generation, offer.reader_key)?;
    let subject = format!("{door} {}", generation.0);
    audit::write(tx, tools, property, None, "sign.certificate", &subject)?;
    tx.execute(
        "INSERT INTO controller (property, door, generation, reader_key, sealing_key, certificate,
             installed_by, installed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            property,
            door,
            generation.0,
            *offer.reader_key.as_bytes(),
            *offer.sealing_key.as_bytes(),
            certificate,
            member.person,
            tools.now()
        ],
    )?;
    tx.execute(
        "UPDATE door SET generation = ?3, stream_address = COALESCE(?4, stream_address)
         WHERE property = ?1 AND id = ?2",
        params![property, door, generation.0, address],
    )?;
    door::tell(tx, property, door)?;
    tx.wake(Wake::Issued(property));
    audit::write(
        tx,
        tools,
        property,
        Some(member.person),
        "controller.install",
        &subject,
    )?;
    Ok(generation)
}

#[expect(clippy::too_many_arguments, reason = "a package holds this much")]
fn package(
    tx: &mut dyn Tx,
    tools: &Tools,
    id: PropertyId,
    door: DoorId,
    door_number: DoorNumber,
    generation: Generation,
    offer: &Offer,
    portal_url: &str,
) -> Result<serde_json::Value, Fault> {
    let property = property::load(tx, id)?;
    let epoch = property::epoch(tx, id)?;
    let certificate = tx
        .first(
            "SELECT certificate FROM controller
             WHERE property = ?1 AND door = ?2 AND generation = ?3",
            params![id, door, generation.0],
        )?
        .ok_or(StoreError::Unreadable("certificate"))?;
    let mut all = Vec::new();
    for addressee in [Addressee::All, Addressee::Door(door)] {
        let series = statements::after(tx, id, addressee, epoch, 0, u32::MAX)?;
        all.extend(series.into_iter().map(|(_, statement)| Base64(statement)));
    }
    let time = time(tx, tools, id, door, offer.challenge.nonce)?;
    let package = Package {
        property: id,
        door,
        door_number,
        generation,
        certificate: Base64(certificate.at(0)?),
        reader_ca_key: property.reader_ca_key[..].into(),
        issuer_key: property.issuer_key[..].into(),
        statements: all,
        revocation: revocations::newest(tx, id)?.map(|list| list.document),
        time: Some(Base64(time)),
        iteration: tools.signer.standing(id)?.iteration,
        portal_url: Some(portal_url.to_owned()),
    };
    serde_json::to_value(package).map_err(|error| Fault::Internal(format!("a package: {error}")))
}
