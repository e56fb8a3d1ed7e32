//! The documents of one credential.

use std::collections::BTreeMap;

use aliro::crypto::PublicKey;
use aliro::document::issuer::{AccessDocument, Element, SALT_LEN, Unsigned, key_id};
use aliro::document::{AccessData, DocumentError, IssuerName, Timestamp, Validity};
use serde::{Deserialize, Serialize};

use super::element::Shared;
use super::name::{ElementName, Place};
use super::pack::pack;
use super::rights::Rights;
use crate::ids::{BudgetId, DoorNumber, ElementId};
use crate::rules::{AccessRules, Offsets};

/// Doors that one document names at most.
const DOORS_A_DOCUMENT: usize = 16;

/// A grant says that it holds from so long before its signing: clocks differ.
const BEFORE_SIGNING: i64 = 3600;

/// One key of a credential's holder, at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyAt {
    /// Where.
    pub place: Place,
    /// Random and its own: a revocation list names it. An edit that takes something away gives it a
    /// new one.
    pub id: ElementId,
    /// When.
    pub rules: AccessRules,
    /// What counts its uses; heeded where the rules have a number of them. A counted key without one opens at no door.
    pub budget: Option<BudgetId>,
    /// What beside opening.
    pub rights: Rights,
}

/// How long a grant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// When it is signed, by the signer's own clock, in seconds since 1970. It grows with each issue
    /// of a document, so that readers tell the newer one.
    pub signed: i64,
    /// For how many seconds it holds: 1 hour to 30 days, a setting of the property.
    pub seconds: u32,
    /// The signer's `validityIteration`.
    pub iteration: u64,
}

/// A grant to be made.
#[derive(Debug, Clone, Copy)]
pub struct GrantRequest<'a> {
    /// The property's issuer, which will sign.
    pub issuer: &'a PublicKey,
    /// The access credential that the grant is bound to.
    pub holder: &'a PublicKey,
    /// All keys of the holder, at all places.
    pub keys: &'a [KeyAt],
    /// The property's zone, which makes instants of local ranges.
    pub offsets: &'a Offsets,
    /// How long it holds.
    pub lifetime: Lifetime,
}

/// A grant that only wants its signatures.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Its documents. The first one serves doors that none names.
    pub documents: Vec<GrantDocument>,
    /// For each key of the request, the id of the element that it stands in: its own, or that of a
    /// key that it joined.
    pub elements: Vec<ElementId>,
}

/// One document of a grant.
#[derive(Debug, Clone)]
pub struct GrantDocument {
    /// The doors that it names, in ascending order; elements for all doors stand in every document.
    pub doors: Vec<DoorNumber>,
    /// Which keys of the request it carries, in ascending order.
    pub keys: Vec<usize>,
    /// Until when it holds, in seconds since 1970.
    pub valid_until: i64,
    /// What the issuer signs, and what becomes the document then.
    pub unsigned: Unsigned,
}

/// Why no grant can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The holder has more keys at this place than four elements can hold. To be refused when the key
    /// is written.
    #[error("too many keys of one person at {0:?}")]
    TooManyKeys(Place),
    /// Two keys at one place have one element id.
    #[error("two keys at {0:?} have the same element id")]
    RepeatedId(Place),
    /// Less than an hour or more than 30 days, or a moment that no document can name.
    #[error("a grant holds from 1 hour to 30 days")]
    BadLifetime,
    /// No reader could take it.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// An element of a document to be.
struct Placed {
    name: ElementName,
    data: AccessData,
    keys: Vec<usize>,
}

/// Makes the documents of a credential. `salt` gives fresh secure randomness at every call. Without
/// keys there are no documents.
///
/// # Errors
/// [`GrantError`].
pub fn prepare(
    request: &GrantRequest<'_>,
    mut salt: impl FnMut() -> [u8; SALT_LEN],
) -> Result<Grant, GrantError> {
    let mut everywhere = Vec::new();
    let mut doors: Vec<(DoorNumber, Vec<Placed>)> = Vec::new();
    let mut elements: Vec<_> = request.keys.iter().map(|key| key.id).collect();
    for (place, keys) in by_place(request.keys)? {
        let placed = place_keys(place, &keys, request.offsets, &mut elements)?;
        match place {
            Place::AllDoors => everywhere = placed,
            Place::Door(number) => doors.push((number, placed)),
        }
    }
    let groups: Vec<&[(DoorNumber, Vec<Placed>)]> = match (doors.is_empty(), everywhere.is_empty())
    {
        (true, true) => Vec::new(),
        (true, false) => vec![&[]],
        _ => doors.chunks(DOORS_A_DOCUMENT).collect(),
    };
    let documents = groups
        .into_iter()
        .map(|group| {
            let own = group.iter().flat_map(|(_, placed)| placed);
            let placed: Vec<_> = everywhere.iter().chain(own).collect();
            let numbers = group.iter().map(|(number, _)| *number).collect();
            document(request, numbers, &placed, &mut salt)
        })
        .collect::<Result<_, _>>()?;
    Ok(Grant {
        documents,
        elements,
    })
}

/// The keys of each place with their index, places in order: all doors first.
type ByPlace<'a> = BTreeMap<Place, Vec<(usize, &'a KeyAt)>>;

fn by_place(keys: &[KeyAt]) -> Result<ByPlace<'_>, GrantError> {
    let mut places = ByPlace::new();
    for (index, key) in keys.iter().enumerate() {
        let known = places.entry(key.place).or_default();
        if known.iter().any(|(_, other)| other.id == key.id) {
            return Err(GrantError::RepeatedId(key.place));
        }
        known.push((index, key));
    }
    Ok(places)
}

fn place_keys(
    place: Place,
    keys: &[(usize, &KeyAt)],
    offsets: &Offsets,
    elements: &mut [ElementId],
) -> Result<Vec<Placed>, GrantError> {
    let mut placed = Vec::new();
    for extended in [false, true] {
        let of_kind: Vec<_> = keys
            .iter()
            .filter(|(_, key)| {
                Shared::of(&key.rules, key.budget, key.rights).is_extended() == extended
            })
            .copied()
            .collect();
        for (slot, packed) in (1..).zip(pack(place, &of_kind, offsets)?) {
            for key in &packed.keys {
                elements[*key] = packed.id;
            }
            placed.push(Placed {
                name: ElementName {
                    place,
                    extended,
                    slot,
                },
                data: packed.data,
                keys: packed.keys,
            });
        }
    }
    Ok(placed)
}

fn document(
    request: &GrantRequest<'_>,
    doors: Vec<DoorNumber>,
    placed: &[&Placed],
    salt: &mut impl FnMut() -> [u8; SALT_LEN],
) -> Result<GrantDocument, GrantError> {
    let mut keys: Vec<_> = placed
        .iter()
        .flat_map(|placed| &placed.keys)
        .copied()
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let rules = || keys.iter().map(|index| &request.keys[*index].rules);
    let validity = validity(&request.lifetime, rules(), request.offsets)?;
    let unsigned = AccessDocument {
        issuer: IssuerName::KeyId(key_id(request.issuer)),
        device_key: *request.holder,
        validity,
        time_required: rules().all(AccessRules::need_time),
        elements: placed
            .iter()
            .map(|placed| Element {
                identifier: placed.name.to_string(),
                salt: salt(),
                data: placed.data.clone(),
            })
            .collect(),
    }
    .prepare()?;
    Ok(GrantDocument {
        doors,
        keys,
        valid_until: validity.valid_until.epoch(),
        unsigned,
    })
}

/// The loosest of the keys' limits: from the earliest start on, unless it lies beyond the document's
/// life. Ends stand in the elements alone, so that a door can tell an expired key from an old grant.
fn validity<'a>(
    lifetime: &Lifetime,
    rules: impl Iterator<Item = &'a AccessRules>,
    offsets: &Offsets,
) -> Result<Validity, GrantError> {
    const HOUR: u32 = 3600;
    if !(HOUR..=30 * 24 * HOUR).contains(&lifetime.seconds) {
        return Err(GrantError::BadLifetime);
    }
    let time = |epoch| Timestamp::from_epoch(epoch).ok_or(GrantError::BadLifetime);
    let until = lifetime
        .signed
        .checked_add(lifetime.seconds.into())
        .ok_or(GrantError::BadLifetime)?;
    let usual = lifetime.signed.saturating_sub(BEFORE_SIGNING);
    let starts = rules.map(|rules| {
        rules
            .range()
            .from()
            .map_or(i64::MIN, |from| offsets.start(from).timestamp())
    });
    let from = starts
        .min()
        .filter(|start| (usual..until).contains(start))
        .unwrap_or(usual);
    Ok(Validity {
        signed: time(lifetime.signed)?,
        valid_from: time(from)?,
        valid_until: time(until)?,
        // Phones renew from half of its life on.
        expected_update: Some(time(lifetime.signed + i64::from(lifetime.seconds / 2))?),
        iteration: Some(lifetime.iteration),
    })
}
