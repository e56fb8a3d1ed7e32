//! What a list of before a restore withdraws, and the restored database has forgotten. Whoever held it loses the key once
//! more; what the key may have been narrowed to is not known any more, so a change counts like a withdrawal. Staff issue
//! anew what should still be.

use std::collections::{BTreeMap, BTreeSet};

use latchkey_protocol::ids::{KeyId, PersonId};
use latchkey_protocol::revocation::Revocations;

use super::{Because, Revoked, Round};
use crate::fault::Fault;
use crate::model::{guest_key, key, key_write};
use crate::store::{Tx, params};

/// What stands on a list for things that the database knows nothing of.
const UNKNOWN: KeyId = KeyId([0; 16]);

/// A key that the restored database took for standing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) key: KeyId,
    pub(crate) name: String,
    /// Whether nobody holds it any more; else some of its holders do not.
    pub(crate) withdrawn: bool,
}

/// Puts all of it on the next list, and takes the keys from those who had lost them.
pub(super) fn take(
    round: &mut Round,
    tx: &mut dyn Tx,
    list: &Revocations,
) -> Result<Vec<Lost>, Fault> {
    let mut losers: BTreeMap<KeyId, Losers> = BTreeMap::new();
    let elements = list.elements.iter().map(|id| (*id, Because::Withdrawn));
    let superseded = list.superseded.iter().map(|id| (*id, Because::Superseded));
    for (element, because) in elements.chain(superseded) {
        let rows = tx.query(
            "SELECT e.key_id, c.person, e.ended_at IS NULL FROM element e
             JOIN credential c ON c.property = e.property AND c.id = e.credential
             WHERE e.property = ?1 AND (e.id = ?2 OR e.stands_in = ?2)",
            params![round.property.id, element],
        )?;
        let mut key = UNKNOWN;
        for row in &rows {
            key = row.at(0)?;
            if row.at(2)? {
                losers.entry(key).or_default().persons.insert(row.at(1)?);
            }
        }
        round.revoke(tx, Revoked::Element(element), key, because)?;
    }
    for pass in &list.passes {
        let row = tx.first(
            "SELECT p.key_id, c.person, p.ended_at IS NULL FROM pass p
             LEFT JOIN credential c ON c.property = p.property AND c.id = p.credential
             WHERE p.property = ?1 AND p.id = ?2",
            params![round.property.id, *pass],
        )?;
        let mut key = UNKNOWN;
        if let Some(row) = row {
            key = row.at(0)?;
            if row.at(2)? {
                losers.entry(key).or_default().join(row.at(1)?);
            }
        }
        round.revoke(tx, Revoked::Pass(*pass), key, Because::Withdrawn)?;
    }
    let mut lost = Vec::new();
    for (key, losers) in losers {
        lost.extend(lose(round, tx, key, &losers)?);
    }
    Ok(lost)
}

#[derive(Debug, Default)]
struct Losers {
    persons: BTreeSet<PersonId>,
    /// Whether it was shared by a link, which has ended.
    link: bool,
}

impl Losers {
    /// None: whoever had bound the link.
    fn join(&mut self, person: Option<PersonId>) {
        match person {
            Some(person) => {
                self.persons.insert(person);
            }
            None => self.link = true,
        }
    }
}

fn lose(
    round: &mut Round,
    tx: &mut dyn Tx,
    id: KeyId,
    losers: &Losers,
) -> Result<Option<Lost>, Fault> {
    let property = round.property.id;
    let Some(key) = key::load(tx, property, id)?.filter(|key| key.withdrawn_at.is_none()) else {
        return Ok(None);
    };
    let held: BTreeSet<PersonId> = key::persons(tx, property, id)?.into_iter().collect();
    let withdrawn = losers.link || held.is_subset(&losers.persons);
    if withdrawn {
        key_write::end(tx, round, None, &key, &held)?;
    } else {
        let gone = held.intersection(&losers.persons).copied().collect();
        key_write::take_from(tx, round, &key, &gone)?;
    }
    // What was granted from it goes with it.
    guest_key::follow(tx, round, None, id)?;
    Ok(Some(Lost {
        key: id,
        name: key.name,
        withdrawn,
    }))
}
