//! Which key stands in which of a place's four elements.

use aliro::document::AccessData;

use super::element::{Shared, Times, encode};
use super::name::SLOTS;
use super::{GrantError, KeyAt, Place};
use crate::ids::ElementId;
use crate::rules::Offsets;

/// Keys of one element that are joined under one id: the standard names no limit, readers have one.
const MAX_JOINED: usize = aliro::document::policy::MAX_RULES;

/// One element, with its slot still to be given.
pub(super) struct Packed {
    pub(super) data: AccessData,
    pub(super) id: ElementId,
    /// Which of the keys it holds.
    pub(super) keys: Vec<usize>,
}

/// A key on its way into elements.
struct Candidate {
    /// Its place in the caller's list.
    index: usize,
    id: ElementId,
    shared: Shared,
    portions: Vec<Times>,
}

/// Puts the keys of one place and kind (all extended, or none) into at most four elements: each key
/// into one of its own, or into several beyond eight schedules. What needs a fifth joins others in
/// the last one, as further rules, where holiday rule and rights are equal, no uses are counted, and
/// the schedules fit.
pub(super) fn pack(
    place: Place,
    keys: &[(usize, &KeyAt)],
    offsets: &Offsets,
) -> Result<Vec<Packed>, GrantError> {
    let keys: Vec<_> = keys
        .iter()
        .map(|(index, key)| Candidate {
            index: *index,
            id: key.id,
            shared: Shared::of(&key.rules, key.budget, key.rights),
            portions: Times::portions(&key.rules, offsets),
        })
        .collect();
    let slots = usize::from(SLOTS);
    let all: Vec<_> = keys.iter().collect();
    let packed = if portions(&all) <= slots {
        separate(&all, offsets)
    } else {
        joinable(&keys).find_map(|class| join(&keys, &class, slots - 1, offsets))
    };
    packed.ok_or(GrantError::TooManyKeys(place))
}

fn portions(keys: &[&Candidate]) -> usize {
    keys.iter().map(|key| key.portions.len()).sum()
}

/// Each key in elements of its own; its portions were cut so that they fit.
fn separate(keys: &[&Candidate], offsets: &Offsets) -> Option<Vec<Packed>> {
    let portions = keys
        .iter()
        .flat_map(|key| key.portions.iter().map(move |portion| (key, portion)));
    portions
        .map(|(key, portion)| {
            Some(Packed {
                data: encode(key.id, std::slice::from_ref(portion), &key.shared, offsets)?,
                id: key.id,
                keys: vec![key.index],
            })
        })
        .collect()
}

/// For each class of keys that may share an element, its keys, fewest schedules first.
fn joinable(keys: &[Candidate]) -> impl Iterator<Item = Vec<&Candidate>> {
    let may_join = |key: &&Candidate| key.portions.len() == 1 && key.shared.max_uses.is_none();
    let mut classes: Vec<Shared> = Vec::new();
    for key in keys.iter().filter(may_join) {
        if !classes.contains(&key.shared) {
            classes.push(key.shared);
        }
    }
    classes.into_iter().map(move |shared| {
        let mut class: Vec<_> = keys
            .iter()
            .filter(may_join)
            .filter(|key| key.shared == shared)
            .collect();
        class.sort_by_key(|key| key.portions[0].windows.len());
        class
    })
}

/// All keys, with just so many of the class joined that the others need no more than `slots`.
fn join(
    keys: &[Candidate],
    class: &[&Candidate],
    slots: usize,
    offsets: &Offsets,
) -> Option<Vec<Packed>> {
    for count in 2..=class.len().min(MAX_JOINED) {
        let joined = &class[..count];
        let alone: Vec<_> = keys
            .iter()
            .filter(|key| joined.iter().all(|one| one.index != key.index))
            .collect();
        if portions(&alone) > slots {
            continue;
        }
        let times: Vec<_> = joined.iter().map(|key| key.portions[0].clone()).collect();
        let data = encode(joined[0].id, &times, &joined[0].shared, offsets)?;
        let mut packed = separate(&alone, offsets)?;
        packed.push(Packed {
            data,
            id: joined[0].id,
            keys: joined.iter().map(|key| key.index).collect(),
        });
        return Some(packed);
    }
    None
}
