//! Grants: for each access credential, all keys of its holder as Aliro Access Documents.

use std::collections::BTreeSet;

use aliro::document::issuer::SALT_LEN;
use chrono::{DateTime, Utc};
use latchkey_protocol::api::keys::KeyKind;
use latchkey_protocol::grant::{self, GrantError, GrantRequest, KeyAt, Lifetime, Place, Rights};
use latchkey_protocol::ids::{CredentialId, DoorNumber, ElementId, KeyId, PersonId, PropertyId};
use latchkey_protocol::rules::AccessRules;

use super::elements::{Element, close, make, set_rules, standing};
use super::{Because, Revoked, Round, documents};
use crate::fault::Fault;
use crate::model::credential::{self, Record as Credential};
use crate::model::{audit, key, uses};
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
        sign(round, tx, held, elements)?;
    }
    Ok(())
}

/// Ends a credential's grants.
pub(super) fn end_all(round: &mut Round, tx: &mut dyn Tx, held: &Credential) -> Result<(), Fault> {
    for element in standing(tx, round.property.id, held.id)? {
        end(round, tx, &element, Because::Withdrawn)?;
    }
    documents::keep(round, tx, held, &[], None)
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
            budget: None,
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
            Some(element) if !element.rules.is_within(&wish.rules) => {
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
        // What is gone may be over by itself and need no place on the list; what shares its element is not.
        supersede(round, tx, element)?;
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
    round: &mut Round,
    tx: &mut dyn Tx,
    held: &Credential,
    mut elements: Vec<Element>,
) -> Result<(), Fault> {
    if elements.is_empty() {
        return documents::keep(round, tx, held, &elements, None);
    }
    let property = round.property.id;
    let mut grant = signed(round, tx, held, &elements)?;
    while cut_what_is_left(round, tx, held, &mut elements, &grant)? {
        grant = signed(round, tx, held, &elements)?;
    }
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
    documents::keep(round, tx, held, &elements, Some(&grant))
}

/// A key that leaves an element which it shared would go on opening by the old document, whose id then stands for
/// others alone: that id is cut off, and all that stood in it is issued anew. Says whether there was any.
fn cut_what_is_left(
    round: &mut Round,
    tx: &mut dyn Tx,
    held: &Credential,
    elements: &mut [Element],
    grant: &SignedGrant,
) -> Result<bool, Fault> {
    let left: BTreeSet<ElementId> = elements
        .iter()
        .zip(&grant.elements)
        .filter(|(element, stands_in)| ![element.id, **stands_in].contains(&element.stands_in))
        .map(|(element, _)| element.stands_in)
        .collect();
    for element in elements.iter_mut() {
        if left.contains(&element.stands_in) {
            supersede(round, tx, element)?;
            *element = make(round, tx, held, element.key, element.place, &element.rules)?;
        }
    }
    Ok(!left.is_empty())
}

fn signed(
    round: &Round,
    tx: &mut dyn Tx,
    held: &Credential,
    elements: &[Element],
) -> Result<SignedGrant, Fault> {
    let property = round.property.id;
    let signed_after = tx
        .first(
            "SELECT MAX(signed) FROM grant_document WHERE property = ?1 AND credential = ?2",
            params![property, held.id],
        )?
        .map_or(Ok(None), |row| row.at(0))?;
    let mut keys = Vec::with_capacity(elements.len());
    for element in elements {
        let budget = match element.rules.max_uses() {
            Some(_) => uses::budget_of(tx, property, element.key)?,
            None => None,
        };
        keys.push(KeyAt {
            place: element.place,
            id: element.id,
            rules: element.rules.clone(),
            budget,
            rights: Rights::NONE,
        });
    }
    let draft = GrantDraft {
        holder: held.public_key,
        keys,
        offsets: round.property.offsets.clone(),
        lifetime: round.property.grant_lifetime,
        signed_after,
    };
    round
        .tools
        .signer
        .grant(property, draft)
        .map_err(|error| match error {
            SignerError::TooManyKeys => Fault::invalid(error.to_string()),
            error => error.into(),
        })
}

/// Ends an element in whose place another comes. It may stand in documents of before under both of its ids: as its own,
/// and as a part of the one that it joined.
fn supersede(round: &mut Round, tx: &mut dyn Tx, element: &Element) -> Result<(), Fault> {
    close(round, tx, element)?;
    for id in BTreeSet::from([element.id, element.stands_in]) {
        round.revoke(tx, Revoked::Element(id), element.key, Because::Superseded)?;
    }
    Ok(())
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

/// The credentials whose documents are due.
pub(super) fn due(
    tx: &mut dyn Tx,
    property: PropertyId,
    now: DateTime<Utc>,
) -> Result<Vec<CredentialId>, StoreError> {
    tx.query(
        "SELECT DISTINCT credential FROM grant_document
         WHERE property = ?1 AND renew_at <= ?2 AND valid_until > 0 LIMIT 500",
        params![property, now],
    )?
    .iter()
    .map(|row| row.at(0))
    .collect()
}

/// Renews a credential's documents.
pub(super) fn renew(round: &mut Round, tx: &mut dyn Tx, id: CredentialId) -> Result<(), Fault> {
    match credential::load(tx, round.property.id, id)? {
        Some(held) => remake(round, tx, &held, true),
        None => Ok(()),
    }
}
