//! Grants: for each access credential, all keys of its holder as Aliro Access Documents.

use std::collections::BTreeSet;

use aliro::document::issuer::SALT_LEN;
use chrono::{DateTime, Utc};
use latchkey_protocol::api::keys::KeyKind;
use latchkey_protocol::api::sync::{EntityKind, GrantEntity};
use latchkey_protocol::grant::{self, GrantError, GrantRequest, KeyAt, Lifetime, Place, Rights};
use latchkey_protocol::ids::{
    CredentialId, DoorId, DoorNumber, ElementId, KeyId, PersonId, PropertyId,
};
use latchkey_protocol::rules::AccessRules;

use super::{Because, Revoked, Round, compare};
use crate::fault::Fault;
use crate::model::change::{self, Audience};
use crate::model::credential::{self, Record as Credential};
use crate::model::member::Member;
use crate::model::property::{json, text};
use crate::model::{audit, key};
use crate::signer::{GrantDraft, SignedGrant, SignerError};
use crate::store::{StoreError, Tx, params};

/// Windows of one key: four elements at a door hold eight Schedules each, two of which bound the range.
const MOST_WINDOWS: usize = 24;

/// Refuses rules that no grant can say.
pub(crate) fn must_fit(rules: &AccessRules) -> Result<(), Fault> {
    if rules.windows().len() > MOST_WINDOWS {
        return Err(Fault::invalid(format!(
            "`rules.windows`: at most {MOST_WINDOWS}"
        )));
    }
    Ok(())
}

/// What a credential's element stands for.
#[derive(Debug, Clone)]
struct Element {
    id: ElementId,
    key: KeyId,
    place: Place,
    rules: AccessRules,
    /// Its own id, or that of an element that it has joined.
    stands_in: ElementId,
}

/// A key of the holder at one place, as it must be now.
struct Wanted {
    key: KeyId,
    place: Place,
    rules: AccessRules,
}

/// Makes a credential's documents what they must be now. With nothing changed, only what is due is signed anew.
pub(super) fn remake(
    round: &mut Round,
    tx: &mut dyn Tx,
    held: &Credential,
    due: bool,
) -> Result<(), Fault> {
    let wanted = wanted(round, tx, held.person)?;
    let standing = standing(tx, round.property.id, held.id)?;
    let (elements, changed) = reconcile(round, tx, held, standing, &wanted)?;
    if changed || due {
        sign(round, tx, held, &elements)?;
    }
    Ok(())
}

/// Ends a credential's grants.
pub(super) fn end_all(round: &mut Round, tx: &mut dyn Tx, held: &Credential) -> Result<(), Fault> {
    for element in standing(tx, round.property.id, held.id)? {
        end(round, tx, &element, Because::Withdrawn)?;
    }
    keep_documents(round, tx, held, &[], None)
}

/// Refuses a change after which no grant could hold all keys of a person, whether they have a phone yet or not.
pub(super) fn must_fit_person(
    round: &Round,
    tx: &mut dyn Tx,
    person: PersonId,
) -> Result<(), Fault> {
    let wanted = wanted(round, tx, person)?;
    let keys: Vec<KeyAt> = wanted
        .into_iter()
        .map(|wish| KeyAt {
            place: wish.place,
            id: ElementId(round.tools.random()),
            rules: wish.rules,
            rights: Rights::NONE,
        })
        .collect();
    // Nothing is signed, so any key will do for issuer and holder.
    let any = credential::public_key(&round.property.issuer_key)?;
    let request = GrantRequest {
        issuer: &any,
        holder: &any,
        keys: &keys,
        offsets: &round.property.offsets,
        lifetime: Lifetime {
            signed: round.tools.now().timestamp(),
            seconds: round.property.grant_lifetime,
            iteration: 0,
        },
    };
    match grant::prepare(&request, || [0; SALT_LEN]) {
        Err(GrantError::TooManyKeys(_)) => {
            Err(Fault::invalid(SignerError::TooManyKeys.to_string()))
        }
        _ => Ok(()),
    }
}

fn wanted(round: &Round, tx: &mut dyn Tx, person: PersonId) -> Result<Vec<Wanted>, Fault> {
    let property = round.property.id;
    let mut wanted = Vec::new();
    for key in key::held_by(tx, property, person)? {
        if key.kind != KeyKind::Mobile
            || !key.is_alive(&round.property.calendar(), round.tools.now())
        {
            continue;
        }
        let places = if key.all_doors {
            vec![Place::AllDoors]
        } else {
            numbers_of(tx, property, key.id)?
                .into_iter()
                .map(Place::Door)
                .collect()
        };
        for place in places {
            wanted.push(Wanted {
                key: key.id,
                place,
                rules: key.rules.clone(),
            });
        }
    }
    Ok(wanted)
}

/// Brings the elements to what is wanted: keeps what only gains, gives new ids where something is taken away, and
/// revokes the old ones.
fn reconcile(
    round: &mut Round,
    tx: &mut dyn Tx,
    held: &Credential,
    mut standing: Vec<Element>,
    wanted: &[Wanted],
) -> Result<(Vec<Element>, bool), Fault> {
    let property = round.property.id;
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    let mut missing: Vec<&Wanted> = Vec::new();
    let mut changed = false;
    for wish in wanted {
        let same = |element: &Element| element.key == wish.key && element.place == wish.place;
        match standing
            .iter()
            .position(same)
            .map(|at| standing.swap_remove(at))
        {
            Some(element) if compare::takes_away(&element.rules, &wish.rules) => {
                gone.push((element, Because::Superseded));
                missing.push(wish);
            }
            Some(mut element) => {
                if element.rules != wish.rules {
                    set_rules(tx, property, element.id, &wish.rules)?;
                    element.rules = wish.rules.clone();
                    changed = true;
                }
                kept.push(element);
            }
            None => missing.push(wish),
        }
    }
    for element in standing {
        let key = key::load(tx, property, element.key)?;
        let withdrawn = key.is_none_or(|key| key.withdrawn_at.is_some());
        let because = if withdrawn {
            Because::Withdrawn
        } else {
            Because::Superseded
        };
        gone.push((element, because));
    }
    let cut: BTreeSet<ElementId> = gone
        .iter()
        .flat_map(|(element, _)| [element.id, element.stands_in])
        .collect();
    for (element, because) in &gone {
        end(round, tx, element, *because)?;
    }
    // What shared an element with something that is gone is issued anew.
    let (cut_along, mut elements): (Vec<_>, Vec<_>) = kept
        .into_iter()
        .partition(|element| cut.contains(&element.stands_in));
    for element in &cut_along {
        close(round, tx, element)?;
        elements.push(make(
            round,
            tx,
            held,
            element.key,
            element.place,
            &element.rules,
        )?);
    }
    for wish in &missing {
        elements.push(make(round, tx, held, wish.key, wish.place, &wish.rules)?);
    }
    changed |= !gone.is_empty() || !missing.is_empty();
    elements.sort_by_key(|element| (element.place, element.key));
    Ok((elements, changed))
}

fn sign(
    round: &Round,
    tx: &mut dyn Tx,
    held: &Credential,
    elements: &[Element],
) -> Result<(), Fault> {
    let property = round.property.id;
    if elements.is_empty() {
        return keep_documents(round, tx, held, elements, None);
    }
    let signed_after = tx
        .first(
            "SELECT MAX(signed) FROM grant_document WHERE property = ?1 AND credential = ?2",
            params![property, held.id],
        )?
        .map_or(Ok(None), |row| row.at(0))?;
    let keys = elements.iter().map(|element| KeyAt {
        place: element.place,
        id: element.id,
        rules: element.rules.clone(),
        rights: Rights::NONE,
    });
    let draft = GrantDraft {
        holder: held.public_key,
        keys: keys.collect(),
        offsets: round.property.offsets.clone(),
        lifetime: round.property.grant_lifetime,
        signed_after,
    };
    let grant = round
        .tools
        .signer
        .grant(property, draft)
        .map_err(|error| match error {
            SignerError::TooManyKeys => Fault::invalid(error.to_string()),
            error => error.into(),
        })?;
    for (element, stands_in) in elements.iter().zip(&grant.elements) {
        if element.stands_in != *stands_in {
            tx.execute(
                "UPDATE element SET stands_in = ?3 WHERE property = ?1 AND id = ?2",
                params![property, element.id, *stands_in],
            )?;
        }
    }
    let subject = format!("{} {} {}", held.id, grant.signed, grant.documents.len());
    audit::write(tx, &round.tools, property, None, "sign.grant", &subject)?;
    keep_documents(round, tx, held, elements, Some(&grant))
}

/// Keeps the documents and tells the phone; those that are no longer there stay as empty rows, so that `signed` never
/// goes back.
fn keep_documents(
    round: &Round,
    tx: &mut dyn Tx,
    held: &Credential,
    elements: &[Element],
    grant: Option<&SignedGrant>,
) -> Result<(), Fault> {
    let (property, now) = (round.property.id, round.tools.now());
    let documents = grant.map_or(&[][..], |grant| &grant.documents);
    let signed = grant.map_or(0, |grant| grant.signed);
    for (index, document) in (0i64..).zip(documents) {
        let keys: BTreeSet<KeyId> = document.keys.iter().map(|at| elements[*at].key).collect();
        let half = (document.valid_until - now) / 2;
        tx.execute(
            "INSERT INTO grant_document
                 (property, credential, idx, doors, keys, document, signed, renew_at, valid_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (property, credential, idx) DO UPDATE SET doors = excluded.doors,
                 keys = excluded.keys, document = excluded.document, signed = excluded.signed,
                 renew_at = excluded.renew_at, valid_until = excluded.valid_until",
            params![
                property,
                held.id,
                index,
                text(&document.doors, "doors")?,
                text(&keys, "keys")?,
                &document.document,
                signed,
                now + half,
                document.valid_until
            ],
        )?;
        tell(tx, property, held, index)?;
    }
    let surplus = tx.query(
        "SELECT idx FROM grant_document
         WHERE property = ?1 AND credential = ?2 AND idx >= ?3 AND valid_until > 0",
        params![property, held.id, documents.len() as i64],
    )?;
    for row in surplus {
        let index: i64 = row.at(0)?;
        tx.execute(
            "UPDATE grant_document SET doors = '[]', keys = '[]', document = ?4, renew_at = ?5,
                 valid_until = 0
             WHERE property = ?1 AND credential = ?2 AND idx = ?3",
            params![property, held.id, index, Vec::<u8>::new(), i64::MAX],
        )?;
        tell(tx, property, held, index)?;
    }
    Ok(())
}

fn tell(
    tx: &mut dyn Tx,
    property: PropertyId,
    held: &Credential,
    index: i64,
) -> Result<(), StoreError> {
    let id = format!("{}.{index}", held.id);
    change::tell(
        tx,
        property,
        Audience::Device(held.device),
        EntityKind::Grant,
        &id,
    )
}

fn make(
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

/// Ends an element: revoked, unless its key is over by its own rules.
fn end(
    round: &mut Round,
    tx: &mut dyn Tx,
    element: &Element,
    because: Because,
) -> Result<(), Fault> {
    close(round, tx, element)?;
    let over = element
        .rules
        .range()
        .until()
        .is_some_and(|until| round.property.offsets.end(until) <= round.tools.now());
    if over {
        return Ok(());
    }
    for id in BTreeSet::from([element.id, element.stands_in]) {
        round.revoke(tx, Revoked::Element(id), element.key, because)?;
    }
    Ok(())
}

fn close(round: &Round, tx: &mut dyn Tx, element: &Element) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE element SET ended_at = ?3 WHERE property = ?1 AND id = ?2",
        params![round.property.id, element.id, round.tools.now()],
    )?;
    Ok(())
}

fn set_rules(
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

fn standing(
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

fn numbers_of(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: KeyId,
) -> Result<Vec<DoorNumber>, StoreError> {
    tx.query(
        "SELECT d.number FROM key_door kd
         JOIN door d ON d.property = kd.property AND d.id = kd.door
         WHERE kd.property = ?1 AND kd.key_id = ?2 ORDER BY d.number",
        params![property, key],
    )?
    .iter()
    .map(|row| row.at(0).map(DoorNumber))
    .collect()
}

const fn number_of(place: Place) -> Option<u16> {
    match place {
        Place::AllDoors => None,
        Place::Door(number) => Some(number.0),
    }
}

/// A document as its phone sees it.
pub(crate) fn entity(
    tx: &mut dyn Tx,
    member: &Member,
    credential: CredentialId,
    index: u16,
) -> Result<Option<GrantEntity>, StoreError> {
    let held = credential::load(tx, member.property, credential)?;
    if held.is_none_or(|held| held.device != member.device) {
        return Ok(None);
    }
    let row = tx.first(
        "SELECT doors, keys, document, valid_until FROM grant_document
         WHERE property = ?1 AND credential = ?2 AND idx = ?3 AND valid_until > 0",
        params![member.property, credential, index],
    )?;
    let Some(row) = row else { return Ok(None) };
    let numbers: Vec<DoorNumber> = json(&row.at::<String>(0)?, "doors of a grant")?;
    let mut doors: Vec<DoorId> = Vec::with_capacity(numbers.len());
    for number in numbers {
        let door = tx.first(
            "SELECT id FROM door WHERE property = ?1 AND number = ?2",
            params![member.property, number.0],
        )?;
        doors.extend(door.map(|row| row.at::<DoorId>(0)).transpose()?);
    }
    let valid_until: DateTime<Utc> = row.at(3)?;
    Ok(Some(GrantEntity {
        credential,
        index,
        doors,
        keys: json(&row.at::<String>(1)?, "keys of a grant")?,
        document: row.at::<Vec<u8>>(2)?.into(),
        valid_until,
    }))
}

/// Renews what is due at this property.
pub(super) fn renew_due(round: &mut Round, tx: &mut dyn Tx) -> Result<(), Fault> {
    let due = tx.query(
        "SELECT DISTINCT credential FROM grant_document
         WHERE property = ?1 AND renew_at <= ?2 AND valid_until > 0 LIMIT 500",
        params![round.property.id, round.tools.now()],
    )?;
    for row in due {
        let id: CredentialId = row.at(0)?;
        if let Some(held) = credential::load(tx, round.property.id, id)? {
            remake(round, tx, &held, true)?;
        }
    }
    Ok(())
}
