//! Bundles for doors without a network: all that holds there, sealed to the door, for phones with the right to carry.
//! Made when something in it has changed, by a task of the portal's own: whoever issues a key waits for none of it.

use std::collections::BTreeSet;

use aliro::crypto::PublicKey;
use chrono::{DateTime, Utc};
use latchkey_protocol::api::doors::DoorReach;
use latchkey_protocol::api::sync::{BundleEntity, EntityKind, RevocationEntity};
use latchkey_protocol::bundle::{Content, MAX_CEILINGS};
use latchkey_protocol::doorstate::DoorState;
use latchkey_protocol::ids::{DoorId, DoorNumber, Generation, PropertyId};
use latchkey_protocol::pass::SignedPass;
use latchkey_protocol::statement::{Addressee, SignedStatement};
use latchkey_protocol::uses::Ceiling;
use serde::{Deserialize, Serialize};

use super::epoch;
use super::pass_rows::{self, Record as Pass};
use super::statements::as_i64;
use super::{revocations, statements};
use crate::fault::Fault;
use crate::model::change::{self, Audience};
use crate::model::property::{self, json, text};
use crate::model::{audit, controller, door, uses};
use crate::signer::{BundleDraft, SignedBundle};
use crate::store::{StoreError, Tx, Wake, params};
use crate::tools::Tools;

/// After so many statements for all doors another bundle is due, even if none of them concerns the door: it stands for
/// them, and who carries it need not carry them.
const TOO_FAR_BEHIND: u64 = 64;

/// Something that stands in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Item {
    /// Kind and number, or id and number.
    what: String,
    /// When it ends by itself, seconds since 1970: until then its absence is news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

/// What a property's doors are told, at one moment.
struct Told {
    epoch: u32,
    all: u64,
    /// What stands of the series for all doors, passes aside.
    statements: Vec<(u64, Vec<u8>)>,
    passes: Vec<Pass>,
    list: Option<RevocationEntity>,
}

impl Told {
    fn load(
        tx: &mut dyn Tx,
        property: PropertyId,
        epoch: u32,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            epoch,
            all: statements::last_number(tx, property, Addressee::All, epoch)?,
            statements: statements::that_stand(tx, property, Addressee::All, epoch)?,
            passes: pass_rows::standing(tx, property, epoch, now)?,
            list: revocations::newest(tx, property)?,
        })
    }

    /// What of it holds at one door.
    fn at(
        &self,
        tx: &mut dyn Tx,
        property: PropertyId,
        place: &Place,
    ) -> Result<AtDoor<'_>, StoreError> {
        let addressee = Addressee::Door(place.door);
        let mut ceilings =
            uses::unconfirmed(tx, property, uses::holder(place.door, place.generation))?;
        ceilings.truncate(MAX_CEILINGS);
        Ok(AtDoor {
            told: self,
            own: statements::last_number(tx, property, addressee, self.epoch)?,
            statements: statements::that_stand(tx, property, addressee, self.epoch)?,
            passes: self
                .passes
                .iter()
                .filter(|pass| pass.opens(place.number))
                .collect(),
            ceilings,
        })
    }
}

/// What holds at one door.
struct AtDoor<'a> {
    told: &'a Told,
    own: u64,
    statements: Vec<(u64, Vec<u8>)>,
    passes: Vec<&'a Pass>,
    /// What the controller has not signed for.
    ceilings: Vec<Ceiling>,
}

impl AtDoor<'_> {
    fn items(&self) -> BTreeSet<Item> {
        let lasting = |what| Item { what, until: None };
        let all = self.told.statements.iter();
        let all = all.map(|(number, _)| lasting(format!("all {number}")));
        let own = self.statements.iter();
        let own = own.map(|(number, _)| lasting(format!("own {number}")));
        let passes = self.passes.iter().map(|pass| Item {
            what: format!("pass {} {}", pass.id, pass.number),
            until: Some(pass.statement_until.timestamp()),
        });
        let list = self.told.list.iter();
        let list = list.map(|list| lasting(format!("list {}.{}", list.epoch, list.version)));
        let ceilings = self.ceilings.iter().map(|ceiling| Item {
            what: format!(
                "ceiling {} {}.{}",
                ceiling.budget, ceiling.number.epoch, ceiling.number.count
            ),
            // The door has signed for what is missing later.
            until: Some(0),
        });
        let lasting = all.chain(own).chain(list);
        lasting.chain(passes).chain(ceilings).collect()
    }

    fn content(&self) -> Result<Content, StoreError> {
        let statements = self.told.statements.iter().chain(&self.statements);
        let statements = statements.map(|(_, bytes)| {
            SignedStatement::from_bytes(bytes).map_err(|_| StoreError::Unreadable("statement"))
        });
        let passes = self.passes.iter().map(|pass| {
            let signed = SignedPass::from_bytes(&pass.statement);
            let signed = signed.map_err(|_| StoreError::Unreadable("pass"))?;
            Ok((pass.number, signed))
        });
        Ok(Content {
            statements: statements.collect::<Result<_, _>>()?,
            passes: passes.collect::<Result<_, StoreError>>()?,
            revocations: self.told.list.as_ref().map(|list| list.document.0.clone()),
            ceilings: self.ceilings.clone(),
        })
    }
}

/// A door without a network and the controller that stands there.
struct Place {
    door: DoorId,
    number: DoorNumber,
    generation: Generation,
    sealing_key: PublicKey,
}

/// The last bundle that was made for a door.
struct Last {
    generation: Generation,
    epoch: u32,
    number: u64,
    stands_all: u64,
    items: BTreeSet<Item>,
}

impl Last {
    fn of(tx: &mut dyn Tx, property: PropertyId, door: DoorId) -> Result<Option<Self>, StoreError> {
        tx.first(
            "SELECT generation, epoch, number, stands_all, items FROM bundle
             WHERE property = ?1 AND door = ?2",
            params![property, door],
        )?
        .map(|row| {
            Ok(Self {
                generation: Generation(row.at(0)?),
                epoch: row.at(1)?,
                number: row.at(2)?,
                stands_all: row.at(3)?,
                items: json(&row.at::<String>(4)?, "items of a bundle")?,
            })
        })
        .transpose()
    }

    /// Whether another one is due. What has ended by itself meanwhile is no reason.
    fn is_over(&self, place: &Place, now_at: &AtDoor<'_>, now: DateTime<Utc>) -> bool {
        let items = now_at.items();
        let told = now_at.told;
        let stands = |item: &Item| item.until.is_none_or(|until| until > now.timestamp());
        self.generation != place.generation
            || self.epoch != told.epoch
            || told.all.saturating_sub(self.stands_all) >= TOO_FAR_BEHIND
            || !items.is_subset(&self.items)
            || self.items.difference(&items).any(stands)
    }
}

/// The doors for which a bundle is due.
pub(crate) fn due(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
) -> Result<Vec<DoorId>, Fault> {
    let places = places(tx, property)?;
    if places.is_empty() {
        return Ok(Vec::new());
    }
    statements::must_be_named(tx, property)?;
    let now = tools.now();
    let epoch = property::epoch(tx, property)?;
    let told = Told::load(tx, property, epoch, now)?;
    let mut due = Vec::new();
    for place in places {
        let at = told.at(tx, property, &place)?;
        let last = Last::of(tx, property, place.door)?;
        if last.is_none_or(|last| last.is_over(&place, &at, now)) {
            due.push(place.door);
        }
    }
    Ok(due)
}

/// Makes the bundle of a door, if it is due.
pub(crate) fn make(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    door: DoorId,
) -> Result<(), Fault> {
    let epoch = epoch::current(tx, tools, property)?;
    let Some(place) = place(tx, property, door)? else {
        return Ok(());
    };
    statements::must_be_named(tx, property)?;
    let now = tools.now();
    let told = Told::load(tx, property, epoch, now)?;
    let at = told.at(tx, property, &place)?;
    let last = Last::of(tx, property, door)?;
    if last
        .as_ref()
        .is_some_and(|last| !last.is_over(&place, &at, now))
    {
        return Ok(());
    }
    let number = 1 + last
        .filter(|last| last.epoch == epoch)
        .map_or(0, |last| last.number);
    let signed = tools.signer.bundle(
        property,
        BundleDraft {
            door,
            generation: place.generation,
            sealing_key: place.sealing_key,
            number,
            all: told.all,
            own: at.own,
            content: at.content()?,
        },
    )?;
    keep(tx, tools, property, &place, number, &at, Some(signed))?;
    let subject = format!("{door} {} {epoch}.{number}", place.generation.0);
    audit::write(tx, tools, property, None, "sign.bundle", &subject)?;
    tx.wake(Wake::IssuedTo(property, door));
    Ok(())
}

/// A controller was commissioned with all that holds now: nothing has to be carried to it yet, and nothing any more to
/// the one before.
pub(crate) fn commissioned(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    door: DoorId,
) -> Result<(), Fault> {
    let Some(place) = place(tx, property, door)? else {
        return Ok(());
    };
    let epoch = property::epoch(tx, property)?;
    let told = Told::load(tx, property, epoch, tools.now())?;
    let at = told.at(tx, property, &place)?;
    let last = Last::of(tx, property, door)?;
    // Its numbers go on: what was for the one before stays below.
    let number = last
        .filter(|last| last.epoch == told.epoch)
        .map_or(0, |last| last.number);
    keep(tx, tools, property, &place, number, &at, None)?;
    Ok(())
}

/// What is the last for a door, and what its carriers see.
fn keep(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    place: &Place,
    number: u64,
    at: &AtDoor<'_>,
    signed: Option<SignedBundle>,
) -> Result<(), Fault> {
    let (header, body) = signed.map(|signed| (signed.header, signed.body)).unzip();
    tx.execute(
        "INSERT INTO bundle (property, door, generation, epoch, number, stands_all, items, header,
             body, made_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (property, door) DO UPDATE SET generation = excluded.generation,
             epoch = excluded.epoch, number = excluded.number, stands_all = excluded.stands_all,
             items = excluded.items, header = excluded.header, body = excluded.body,
             made_at = excluded.made_at",
        params![
            property,
            place.door,
            place.generation.0,
            at.told.epoch,
            as_i64(number)?,
            as_i64(at.told.all)?,
            text(&at.items(), "items")?,
            header,
            body,
            tools.now()
        ],
    )?;
    change::tell(
        tx,
        property,
        Audience::Carriers,
        EntityKind::Bundle,
        &place.door.to_string(),
    )?;
    Ok(())
}

/// A door has shown a newer state: what it shows need not be carried any more.
pub(crate) fn shown(tx: &mut dyn Tx, state: &DoorState) -> Result<(), StoreError> {
    let reached = tx.first(
        "SELECT 1 FROM bundle WHERE property = ?1 AND door = ?2 AND generation = ?3
           AND header IS NOT NULL AND (epoch < ?4 OR (epoch = ?4 AND number <= ?5))",
        params![
            state.property,
            state.door,
            state.generation.0,
            state.bundle.epoch,
            as_i64(state.bundle.number)?
        ],
    )?;
    if reached.is_some() {
        let door = state.door.to_string();
        change::tell(
            tx,
            state.property,
            Audience::Carriers,
            EntityKind::Bundle,
            &door,
        )?;
    }
    Ok(())
}

/// The bundle that this door has not shown yet.
pub(crate) fn on_its_way(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
) -> Result<Option<BundleEntity>, StoreError> {
    tx.first(
        "SELECT b.generation, b.epoch, b.number, b.stands_all, b.header, b.body, b.made_at
         FROM bundle b
         JOIN door d ON d.property = b.property AND d.id = b.door AND d.generation = b.generation
         LEFT JOIN door_state s ON s.property = b.property AND s.door = b.door
              AND s.generation = b.generation
         WHERE b.property = ?1 AND b.door = ?2 AND b.header IS NOT NULL
           AND (s.bundle_epoch IS NULL OR s.bundle_epoch < b.epoch
                OR (s.bundle_epoch = b.epoch AND s.bundle_number < b.number))",
        params![property, door],
    )?
    .map(|row| {
        Ok(BundleEntity {
            door,
            generation: Generation(row.at(0)?),
            epoch: row.at(1)?,
            number: row.at(2)?,
            all: row.at(3)?,
            header: row.at::<Vec<u8>>(4)?.into(),
            body: row.at::<Vec<u8>>(5)?.into(),
            made_at: row.at(6)?,
        })
    })
    .transpose()
}

/// The number that the signer has given each door's last bundle.
pub(crate) fn numbers(
    tx: &mut dyn Tx,
    property: PropertyId,
    epoch: u32,
) -> Result<Vec<(DoorId, u64)>, StoreError> {
    tx.query(
        "SELECT door, number FROM bundle WHERE property = ?1 AND epoch = ?2 AND number > 0",
        params![property, epoch],
    )?
    .iter()
    .map(|row| Ok((row.at(0)?, row.at(1)?)))
    .collect()
}

/// The same of one door; none before its first.
pub(crate) fn number(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
    epoch: u32,
) -> Result<Option<u64>, StoreError> {
    tx.first(
        "SELECT number FROM bundle
         WHERE property = ?1 AND door = ?2 AND epoch = ?3 AND number > 0",
        params![property, door, epoch],
    )?
    .map(|row| row.at(0))
    .transpose()
}

fn places(tx: &mut dyn Tx, property: PropertyId) -> Result<Vec<Place>, StoreError> {
    let mut places = Vec::new();
    for door in door::without_network(tx, property)? {
        places.extend(place(tx, property, door)?);
    }
    Ok(places)
}

fn place(tx: &mut dyn Tx, property: PropertyId, door: DoorId) -> Result<Option<Place>, StoreError> {
    let door = door::load(tx, property, door)?;
    let Some(door) = door.filter(|door| door.reach == DoorReach::Offline) else {
        return Ok(None);
    };
    let standing = controller::standing(tx, property, door.id)?;
    Ok(standing.map(|controller| Place {
        door: door.id,
        number: door.number,
        generation: controller.generation,
        sealing_key: controller.sealing_key,
    }))
}
