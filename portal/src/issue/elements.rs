//! Elements of grants as they are kept: what a credential's element stands for.

use latchkey_protocol::grant::Place;
use latchkey_protocol::ids::{CredentialId, DoorNumber, ElementId, KeyId, PropertyId};
use latchkey_protocol::rules::AccessRules;

use super::Round;
use crate::fault::Fault;
use crate::model::credential::Record as Credential;
use crate::model::property::{json, text};
use crate::store::{StoreError, Tx, params};

/// What a credential's element stands for.
#[derive(Debug, Clone)]
pub(super) struct Element {
    pub(super) id: ElementId,
    pub(super) key: KeyId,
    pub(super) place: Place,
    pub(super) rules: AccessRules,
    /// Its own id, or that of an element that it has joined.
    pub(super) stands_in: ElementId,
}

pub(super) fn make(
    round: &Round,
    tx: &mut dyn Tx,
    held: &Credential,
    key: KeyId,
    place: Place,
    rules: &AccessRules,
) -> Result<Element, Fault> {
    let id = ElementId(round.tools.random());
    tx.execute(
        "INSERT INTO element (property, id, credential, key_id, door, rules, stands_in)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?2)",
        params![
            round.property.id,
            id,
            held.id,
            key,
            number_of(place),
            text(rules, "rules")?
        ],
    )?;
    Ok(Element {
        id,
        key,
        place,
        rules: rules.clone(),
        stands_in: id,
    })
}

pub(super) fn close(round: &Round, tx: &mut dyn Tx, element: &Element) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE element SET ended_at = ?3 WHERE property = ?1 AND id = ?2",
        params![round.property.id, element.id, round.tools.now()],
    )?;
    Ok(())
}

pub(super) fn set_rules(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: ElementId,
    rules: &AccessRules,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE element SET rules = ?3 WHERE property = ?1 AND id = ?2",
        params![property, id, text(rules, "rules")?],
    )?;
    Ok(())
}

pub(super) fn standing(
    tx: &mut dyn Tx,
    property: PropertyId,
    credential: CredentialId,
) -> Result<Vec<Element>, StoreError> {
    tx.query(
        "SELECT id, key_id, door, rules, stands_in FROM element
         WHERE property = ?1 AND credential = ?2 AND ended_at IS NULL",
        params![property, credential],
    )?
    .iter()
    .map(|row| {
        let door: Option<u16> = row.at(2)?;
        Ok(Element {
            id: row.at(0)?,
            key: row.at(1)?,
            place: door.map_or(Place::AllDoors, |number| Place::Door(DoorNumber(number))),
            rules: json(&row.at::<String>(3)?, "rules of an element")?,
            stands_in: row.at(4)?,
        })
    })
    .collect()
}

const fn number_of(place: Place) -> Option<u16> {
    match place {
        Place::AllDoors => None,
        Place::Door(number) => Some(number.0),
    }
}
