//! Doors that have met this phone: the fast phase.
//!
//! The fast phase lets a door know the phone by a key that both remember from a visit before, without a
//! signature, and before the door has proved anything: so only the door that was chosen is ever answered
//! truly, and only whoever holds that key can read the answer. Anybody else gets random bytes of the same
//! length and sees the same go on behind them. What was remembered is never more than a short cut: what it
//! does not do, a signature does.

use std::sync::{Mutex, PoisonError};

use aliro::command::Policy;
use aliro::crypto::PublicKey;
use aliro::device::{Disclosure, Memory, Remembered};
use aliro::identifier::ReaderIdentifier;
use aliro::keys::PersistentKey;
use chrono::{DateTime, Utc};
use latchkey_protocol::api::auth::CredentialUse;
use latchkey_protocol::api::doors::Door;
use latchkey_protocol::api::sync::{Entity, EntityKind};
use latchkey_protocol::ids::{PropertyId, door_of, sub_identifier};

use super::plan::{point, withdrawn};
use crate::context::Context;
use crate::error::Error;
use crate::views::{Holdings, all};
use crate::wallet::{ReaderRecord, Tx};

/// What one conversation with the chosen door recalls and learns.
#[derive(Debug)]
pub(super) struct ChosenDoor {
    credential: PublicKey,
    /// The controller that has met this phone, and the key.
    met: Option<(ReaderIdentifier, PersistentKey)>,
    /// What the door may know of the documents now.
    disclosure: Disclosure,
    fresh: Mutex<Option<(ReaderIdentifier, PersistentKey)>>,
}

impl ChosenDoor {
    pub(super) fn new(
        credential: PublicKey,
        met: Option<(ReaderIdentifier, PersistentKey)>,
        disclosure: Disclosure,
    ) -> Self {
        Self {
            credential,
            met,
            disclosure,
            fresh: Mutex::new(None),
        }
    }

    /// The key of this conversation, when the phone has signed in it, and for which controller.
    pub(super) fn take_fresh(&self) -> Option<(ReaderIdentifier, PersistentKey)> {
        self.fresh
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Memory for ChosenDoor {
    fn recall(
        &self,
        credential: &PublicKey,
        reader: &ReaderIdentifier,
        policy: Policy,
    ) -> Option<Remembered> {
        let (met, key) = self.met.as_ref()?;
        let may = met == reader
            && *credential == self.credential
            && policy != Policy::ForceUserAuthentication;
        may.then(|| Remembered {
            key: key.clone(),
            disclosure: self.disclosure,
        })
    }

    /// Called once the door has proved that it is the one that was chosen.
    fn remember(&self, _: &PublicKey, reader: &ReaderIdentifier, what: Remembered) {
        *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some((*reader, what.key));
    }
}

/// What is remembered of a door, as long as it may be used: by this credential, at a controller that is not
/// withdrawn and whose certificate still runs.
pub(super) fn recalled(
    tx: &Tx<'_>,
    property: PropertyId,
    door: &Door,
    credential: &PublicKey,
    now: DateTime<Utc>,
) -> Result<Option<(ReaderIdentifier, PersistentKey)>, Error> {
    let Some((record, key)) = tx.reader(property, door.id)? else {
        return Ok(None);
    };
    let usable = record.door == door.id
        && record.credential.0 == credential.as_bytes()
        && now.timestamp() <= record.certified_until
        && is_standing(&record, door);
    let sub = sub_identifier(record.door, record.generation);
    Ok(usable.then(|| (ReaderIdentifier::new(property.0, sub), key)))
}

/// As it is kept, once the door has opened.
pub(super) fn record_of(
    reader: &ReaderIdentifier,
    credential: &PublicKey,
    certified_until: i64,
) -> ReaderRecord {
    let (door, generation) = door_of(&reader.sub);
    ReaderRecord {
        door,
        generation,
        credential: credential.as_bytes().as_slice().into(),
        certified_until,
    }
}

/// A later controller than the one that synced is the door's new one; an earlier one is withdrawn.
fn is_standing(record: &ReaderRecord, door: &Door) -> bool {
    door.generation
        .is_none_or(|synced| record.generation >= synced)
}

/// After a sync: forgets doors that have another controller now or that no key of this person is for any
/// more, and all of them when this phone is withdrawn.
pub(crate) fn forget_what_ended(
    context: &Context,
    tx: &Tx<'_>,
    property: PropertyId,
) -> Result<(), Error> {
    let readers = tx.readers(property)?;
    let Some(record) = tx.property(property)?.filter(|_| !readers.is_empty()) else {
        return Ok(());
    };
    let own = tx.credential(property, CredentialUse::Access)?;
    let (Some(held), Some(own)) = (Holdings::of(context, tx, record)?, own) else {
        return Ok(tx.delete_readers(property)?);
    };
    let list = all(
        tx,
        property,
        EntityKind::Revocation,
        |entity| match entity {
            Entity::Revocation(list) => Some(list),
            _ => None,
        },
    )?;
    let newest = list.iter().max_by_key(|list| (list.epoch, list.version));
    let key = point(&own.public_key.0)?;
    if withdrawn(newest, &held, &key)? {
        return Ok(tx.delete_readers(property)?);
    }
    for reader in readers {
        let door = held.doors.iter().find(|door| door.id == reader.door);
        let stays = reader.credential == own.public_key
            && door.is_some_and(|door| is_standing(&reader, door) && held.has_grant(door));
        if !stays {
            tx.delete_reader(property, reader.door)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point() -> PublicKey {
        let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = ring::rand::SystemRandom::new();
        let pkcs8 = ring::signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair =
            ring::signature::EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        PublicKey::from_uncompressed(ring::signature::KeyPair::public_key(&pair).as_ref()).unwrap()
    }

    #[test]
    fn the_reader_that_was_chosen_is_answered_and_no_other() {
        let (own, other) = (point(), point());
        let gate = ReaderIdentifier::new([1; 16], [2; 16]);
        let key = || PersistentKey::new([7; 32]);
        let chosen = ChosenDoor::new(own, Some((gate, key())), Disclosure::default());
        let setting = Policy::SecureAction;
        let recalled = chosen.recall(&own, &gate, setting).unwrap();
        assert_eq!(recalled.key.expose(), key().expose());
        for (credential, reader, policy) in [
            (other, gate, setting),
            (own, ReaderIdentifier::new([9; 16], [2; 16]), setting),
            (own, ReaderIdentifier::new([1; 16], [3; 16]), setting),
            (own, gate, Policy::ForceUserAuthentication),
        ] {
            assert!(chosen.recall(&credential, &reader, policy).is_none());
        }
        assert!(chosen.take_fresh().is_none(), "nothing was signed");
        let stranger = ChosenDoor::new(own, None, Disclosure::default());
        assert!(stranger.recall(&own, &gate, setting).is_none());
    }
}
