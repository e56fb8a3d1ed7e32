//! What is signed because something has changed: grants for phones, passes for holders of codes, statements and
//! revocation lists for doors. All of it within the operation that changes.

pub(crate) mod bundles;
pub(crate) mod documents;
mod elements;
pub(crate) mod epoch;
pub(crate) mod grants;
pub(crate) mod log_key;
pub(crate) mod pass_rows;
pub(crate) mod passes;
pub(crate) mod renewal;
mod returned;
pub(crate) mod revocations;
pub(crate) mod statements;

use std::collections::BTreeSet;

use latchkey_protocol::api::auth::CredentialUse;
use latchkey_protocol::ids::{ElementId, KeyId, PassId, PersonId, PropertyId};

use crate::fault::Fault;
use crate::model::credential::{self, Record as Credential};
use crate::model::property;
use crate::store::{Tx, Wake, params};
use crate::tools::Tools;

pub(crate) use grants::must_fit;

/// One change and all that is signed for it. What it revokes goes into one list at the [end](Round::finish).
pub(crate) struct Round {
    pub(crate) tools: Tools,
    pub(crate) property: property::Record,
    revoked: bool,
}

/// What is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoked {
    Element(ElementId),
    Pass(PassId),
}

/// Why it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    /// It was taken away: *revoked*.
    Withdrawn,
    /// An edit has put another in its place: *key changed, sync your phone*.
    Superseded,
}

impl Round {
    pub(crate) fn begin(
        tx: &mut dyn Tx,
        tools: &Tools,
        property: PropertyId,
    ) -> Result<Self, Fault> {
        epoch::current(tx, tools, property)?;
        Ok(Self {
            tools: tools.clone(),
            property: property::load(tx, property)?,
            revoked: false,
        })
    }

    /// A key was issued, edited or withdrawn: for these people, who hold it or held it, and for its link.
    pub(crate) fn key_changed(
        &mut self,
        tx: &mut dyn Tx,
        key: KeyId,
        persons: &BTreeSet<PersonId>,
    ) -> Result<(), Fault> {
        for person in persons {
            grants::must_fit_person(self, tx, *person)?;
            for held in credential::of_person(tx, self.property.id, *person, CredentialUse::Access)?
            {
                self.grants_of(tx, &held)?;
            }
            for held in credential::of_person(tx, self.property.id, *person, CredentialUse::Code)? {
                self.passes_of(tx, &held)?;
            }
        }
        passes::remake_of_link(self, tx, key)?;
        tx.wake(Wake::Guests(self.property.id));
        Ok(())
    }

    /// Makes the grants of an access credential what they must be now.
    pub(crate) fn grants_of(&mut self, tx: &mut dyn Tx, held: &Credential) -> Result<(), Fault> {
        grants::remake(self, tx, held, false)
    }

    /// Makes the passes of a code key what they must be now, and names them.
    pub(crate) fn passes_of(
        &mut self,
        tx: &mut dyn Tx,
        held: &Credential,
    ) -> Result<Vec<PassId>, Fault> {
        passes::remake_of_credential(self, tx, held)
    }

    /// A phone's key counts no longer.
    pub(crate) fn credential_ended(
        &mut self,
        tx: &mut dyn Tx,
        held: &Credential,
    ) -> Result<(), Fault> {
        grants::end_all(self, tx, held)?;
        passes::end_of_credential(self, tx, held.id)
    }

    /// Puts something on the next list.
    pub(crate) fn revoke(
        &mut self,
        tx: &mut dyn Tx,
        what: Revoked,
        key: KeyId,
        because: Because,
    ) -> Result<(), Fault> {
        let (kind, id) = match what {
            Revoked::Element(id) => ("element", id.0),
            Revoked::Pass(id) => ("pass", id.0),
        };
        let now = self.tools.now();
        tx.execute(
            "INSERT INTO revoked
                 (property, what, id, key_id, superseded, since, until, version, epoch)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0)
             ON CONFLICT (property, what, id) DO NOTHING",
            params![
                self.property.id,
                kind,
                id,
                key,
                because == Because::Superseded,
                now,
                now + revocations::LONGEST
            ],
        )?;
        self.revoked = true;
        Ok(())
    }

    /// A new list is due, whether anything is put on it or not.
    fn list_anew(&mut self) {
        self.revoked = true;
    }

    /// Signs the new list, when anything was revoked.
    pub(crate) fn finish(self, tx: &mut dyn Tx) -> Result<(), Fault> {
        if self.revoked {
            revocations::publish(&self, tx)?;
        }
        Ok(())
    }
}
