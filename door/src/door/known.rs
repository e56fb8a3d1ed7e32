//! The phones that this door has met, as the fast phase asks for them.
//!
//! A phone is remembered when a commit of it has opened the door after it signed: so nobody who lacks a
//! grant takes anybody's place, and both sides remember the key of the same session, whichever carriers
//! raced. What is remembered says who somebody is, never what they may do.

use std::sync::{Arc, Mutex, PoisonError};

use aliro::crypto::PublicKey;
use aliro::document::key_hash;
use aliro::keys::PersistentKey;
use aliro::reader::Memory;
use latchkey_protocol::ids::ElementId;
use rusqlite::Connection;

use super::{Door, DoorError, Installed};
use crate::keys::OwnKeys;
use crate::store::{RememberedPhone, StoreError, remembered_phones};

/// The mirror of what the store remembers, opened. A lock of its own, never held while anything is stored.
#[derive(Debug, Default)]
pub(crate) struct KnownPhones(Mutex<Arc<[Met]>>);

/// A credential and the key by which it is known.
type Met = (PublicKey, PersistentKey);

impl KnownPhones {
    /// Reads the store again: to be called after each commit that may have changed what is remembered.
    pub(crate) fn read_back(
        &self,
        connection: &Connection,
        keys: &OwnKeys,
        installed: &Installed,
    ) -> Result<(), StoreError> {
        let met = remembered_phones(connection)?
            .into_iter()
            .filter_map(|row| {
                let reader = installed.reader_identifier();
                let met = keys
                    .phone_seal()
                    .open(&reader, &row.credential, &row.sealed);
                if met.is_none() {
                    tracing::warn!("a remembered phone that does not open; it will have to sign");
                }
                met
            });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = met.collect();
        Ok(())
    }

    fn all(&self) -> Arc<[Met]> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What one session asks and learns of.
#[derive(Debug)]
pub(crate) struct SessionMemory {
    door: Arc<Door>,
    fresh: Mutex<Option<PersistentKey>>,
}

impl SessionMemory {
    pub(crate) fn new(door: Arc<Door>) -> Self {
        Self {
            door,
            fresh: Mutex::new(None),
        }
    }

    /// The key that this session has made, once a phone has signed in it. It is remembered when the phone's
    /// commit has opened.
    pub(crate) fn take_fresh(&self) -> Option<PersistentKey> {
        self.fresh
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Memory for SessionMemory {
    fn search(&self, is_it: &mut dyn FnMut(&PublicKey, &PersistentKey) -> bool) {
        let met = self.door.known().all();
        let _ = met.iter().any(|(credential, key)| is_it(credential, key));
    }

    fn remember(&self, _: &PublicKey, key: PersistentKey) {
        *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }
}

/// A phone that is to be remembered when its commit opens.
#[derive(Debug, Clone)]
pub(crate) struct Acquaintance {
    pub(crate) credential: PublicKey,
    pub(crate) key: PersistentKey,
    /// What opens.
    pub(crate) element: ElementId,
}

impl Door {
    /// As it is stored.
    pub(crate) fn sealed(&self, met: &Acquaintance) -> Result<RememberedPhone, DoorError> {
        let reader = self.installed.reader_identifier();
        let seal = self.keys.phone_seal();
        let sealed = seal.seal(&reader, &met.credential, &met.key, self.env.random())?;
        Ok(RememberedPhone {
            credential: key_hash(&met.credential),
            element: met.element,
            sealed,
        })
    }
}
