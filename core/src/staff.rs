//! The staff's desk: what people with a role do at a property.
//!
//! What a role allows is asked here to show or hide a button; the portal enforces it.

use std::sync::Arc;

use ::http::Method;
use chrono::{DateTime, Utc};
use latchkey_protocol::api::doors::{Door, InstallController, InstalledController, NewDoor};
use latchkey_protocol::api::events::Event;
use latchkey_protocol::api::keys::{Key, KeyDraft, SharedLink, WriteOff};
use latchkey_protocol::api::people::{NewPerson, Person};
use latchkey_protocol::api::sync::{Entity, EntityKind};
use latchkey_protocol::ids::{DoorId, KeyId, PropertyId};
use latchkey_protocol::roles::{self, Role, Target};

use crate::context::Context;
use crate::desk::Desk;
use crate::error::Error;
use crate::outbox::Action;

pub use crate::desk::Submitted;

/// A door to which changes have to be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwaitingLockSync {
    /// Which.
    pub door: DoorId,
    /// Since when the newest of them wait.
    pub since: DateTime<Utc>,
}

/// A property's desk, with the rights of this phone's person.
pub struct StaffDesk {
    desk: Desk,
    role: Role,
}

impl std::fmt::Debug for StaffDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaffDesk")
            .field("property", &self.desk.property())
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl StaffDesk {
    pub(crate) fn at(context: Arc<Context>, property: PropertyId) -> Result<Self, Error> {
        let (desk, record) = Desk::at(context, property)?;
        Ok(Self {
            desk,
            role: record.membership.role,
        })
    }

    /// This person's role here.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the role allows something, to show or hide it.
    #[must_use]
    pub fn may(&self, action: roles::Action, target: Target) -> bool {
        roles::may(self.role, action, target)
    }

    /// The people that this person may see.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn people(&self) -> Result<Vec<Person>, Error> {
        self.desk.list(EntityKind::Person, |entity| match entity {
            Entity::Person(person) => Some(*person),
            _ => None,
        })
    }

    /// The doors.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn doors(&self) -> Result<Vec<Door>, Error> {
        self.desk.list(EntityKind::Door, |entity| match entity {
            Entity::Door(door) => Some(*door),
            _ => None,
        })
    }

    /// The keys, withdrawn ones with what the withdrawal has reached.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn keys(&self) -> Result<Vec<Key>, Error> {
        self.desk.list(EntityKind::Key, |entity| match entity {
            Entity::Key(key) => Some(*key),
            _ => None,
        })
    }

    /// The doors without a network to which somebody has to carry lock sync: *pending at door X*. Those who
    /// may carry it see them.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn awaiting_lock_sync(&self) -> Result<Vec<AwaitingLockSync>, Error> {
        self.desk.list(EntityKind::Bundle, |entity| match entity {
            Entity::Bundle(bundle) => Some(AwaitingLockSync {
                door: bundle.door,
                since: bundle.made_at,
            }),
            _ => None,
        })
    }

    /// What happened at doors, newest first.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub fn events(&self) -> Result<Vec<Event>, Error> {
        let mut events = self.desk.list(EntityKind::Event, |entity| match entity {
            Entity::Event(event) => Some(*event),
            _ => None,
        })?;
        events.sort_by_key(|event| std::cmp::Reverse((event.at, event.id)));
        Ok(events)
    }

    /// Issues a key.
    ///
    /// # Errors
    /// [`Error::Refused`] with what the portal minds, [`Error::NotSignedIn`].
    pub async fn issue_key(&self, draft: &KeyDraft) -> Result<Submitted<Key>, Error> {
        let action = Action::IssueKey(draft.name.clone());
        self.desk.submit(action, Method::POST, "/keys", draft).await
    }

    /// Changes a key: the draft is the whole of it.
    ///
    /// # Errors
    /// As for [`issue_key`](Self::issue_key).
    pub async fn edit_key(&self, key: KeyId, draft: &KeyDraft) -> Result<Submitted<Key>, Error> {
        let path = format!("/keys/{key}");
        self.desk
            .submit(Action::EditKey(key), Method::PUT, &path, draft)
            .await
    }

    /// Withdraws a key from all its holders.
    ///
    /// # Errors
    /// As for [`issue_key`](Self::issue_key).
    pub async fn withdraw_key(&self, key: KeyId) -> Result<Submitted<Key>, Error> {
        let path = format!("/keys/{key}");
        self.desk
            .submit(Action::WithdrawKey(key), Method::DELETE, &path, &())
            .await
    }

    /// Gives up what a lost or wiped controller still holds of a key with a number of uses: as many more may be spent
    /// elsewhere. Its `uses` name the controllers.
    ///
    /// # Errors
    /// As for [`issue_key`](Self::issue_key).
    pub async fn write_off_uses(
        &self,
        key: KeyId,
        lost: &WriteOff,
    ) -> Result<Submitted<Key>, Error> {
        let path = format!("/keys/{key}/write-offs");
        self.desk
            .submit(Action::WriteOffUses(key), Method::POST, &path, lost)
            .await
    }

    /// Makes a new link for a QR key; the one before ends. The link is a secret: hand it to the guest.
    ///
    /// # Errors
    /// As for [`issue_key`](Self::issue_key).
    pub async fn share_key(&self, key: KeyId) -> Result<Submitted<SharedLink>, Error> {
        let path = format!("/keys/{key}/link");
        self.desk
            .submit(Action::ShareKey(key), Method::POST, &path, &())
            .await
    }

    /// Enters a person.
    ///
    /// # Errors
    /// As for [`issue_key`](Self::issue_key).
    pub async fn add_person(&self, person: &NewPerson) -> Result<Submitted<Person>, Error> {
        let action = Action::AddPerson(person.name.clone());
        self.desk
            .submit(action, Method::POST, "/people", person)
            .await
    }

    /// Adds a door.
    ///
    /// # Errors
    /// As for [`issue_key`](Self::issue_key).
    pub async fn add_door(&self, door: &NewDoor) -> Result<Submitted<Door>, Error> {
        let action = Action::AddDoor(door.name.clone());
        self.desk.submit(action, Method::POST, "/doors", door).await
    }

    /// Puts the controller into service that shows this code. For a controller without a network the
    /// request brings its offer along, and the answer holds the package to hand to it.
    ///
    /// # Errors
    /// As for [`issue_key`](Self::issue_key).
    pub async fn install_controller(
        &self,
        door: DoorId,
        request: &InstallController,
    ) -> Result<Submitted<InstalledController>, Error> {
        let path = format!("/doors/{door}/controllers");
        self.desk
            .submit(
                Action::InstallController(door),
                Method::POST,
                &path,
                request,
            )
            .await
    }
}
