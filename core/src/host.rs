//! The host's desk: what a person does for guests, with keys of their own.

use std::sync::Arc;

use ::http::Method;
use latchkey_protocol::api::keys::{Key, KeyDraft, SharedLink};
use latchkey_protocol::api::sync::{Entity, EntityKind};
use latchkey_protocol::ids::{KeyId, PersonId, PropertyId};
use latchkey_protocol::roles::GuestKinds;

use crate::context::Context;
use crate::desk::{Desk, Submitted};
use crate::error::Error;
use crate::outbox::Action;

/// A person's desk for guest keys. What such a key would open beyond the key that it is granted from, the portal
/// refuses, and names.
pub struct HostDesk {
    desk: Desk,
    person: PersonId,
}

impl std::fmt::Debug for HostDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostDesk")
            .field("property", &self.desk.property())
            .finish_non_exhaustive()
    }
}

impl HostDesk {
    pub(crate) fn at(context: Arc<Context>, property: PropertyId) -> Result<Self, Error> {
        let (desk, record) = Desk::at(context, property)?;
        Ok(Self {
            desk,
            person: record.membership.person,
        })
    }

    /// The kinds of guest keys that the property lets this person grant; none before the first sync.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn may_grant(&self) -> Result<GuestKinds, Error> {
        let settings = self
            .desk
            .list(EntityKind::Property, |entity| match entity {
                Entity::Property(settings) => Some(settings.may_grant),
                _ => None,
            })?;
        Ok(settings.first().copied().unwrap_or_default())
    }

    /// The guest keys that this person has granted, with what became of their links; withdrawn ones with what that has
    /// reached. Those whose parent this person has lost are gone.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn guest_keys(&self) -> Result<Vec<Key>, Error> {
        self.desk.list(EntityKind::Key, |entity| match entity {
            Entity::Key(key) if key.parent.is_some() && key.created_by == self.person => Some(*key),
            _ => None,
        })
    }

    /// Grants a guest key from a key of this person's. *All doors* are all of that key's.
    ///
    /// # Errors
    /// [`Error::Refused`] with what the portal minds, [`Error::NotSignedIn`].
    pub async fn grant(&self, parent: KeyId, draft: &KeyDraft) -> Result<Submitted<Key>, Error> {
        let action = Action::GrantGuestKey(draft.name.clone());
        let path = format!("/keys/{parent}/guest-keys");
        self.desk.submit(action, Method::POST, &path, draft).await
    }

    /// Changes a guest key: the draft is the whole of it.
    ///
    /// # Errors
    /// As for [`grant`](Self::grant).
    pub async fn edit(&self, key: KeyId, draft: &KeyDraft) -> Result<Submitted<Key>, Error> {
        let (action, path) = (Action::EditKey(key), format!("/keys/{key}"));
        self.desk.submit(action, Method::PUT, &path, draft).await
    }

    /// Makes a new link for a guest key; the one before ends. The link is a secret: hand it to the guest.
    ///
    /// # Errors
    /// As for [`grant`](Self::grant).
    pub async fn share(&self, key: KeyId) -> Result<Submitted<SharedLink>, Error> {
        let (action, path) = (Action::ShareKey(key), format!("/keys/{key}/link"));
        self.desk.submit(action, Method::POST, &path, &()).await
    }

    /// Withdraws a guest key.
    ///
    /// # Errors
    /// As for [`grant`](Self::grant).
    pub async fn withdraw(&self, key: KeyId) -> Result<Submitted<Key>, Error> {
        let (action, path) = (Action::WithdrawKey(key), format!("/keys/{key}"));
        self.desk.submit(action, Method::DELETE, &path, &()).await
    }
}
