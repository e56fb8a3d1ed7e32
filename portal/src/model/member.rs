//! Whoever asks, at one property: the person, and what the role allows.

use latchkey_protocol::ids::{AccountId, DeviceId, PersonId, PropertyId};
use latchkey_protocol::roles::{Action, Role, Target, may};

use super::session::Session;
use crate::fault::Fault;
use crate::store::{Tx, params};

/// A caller who has a person record at the property.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) property: PropertyId,
    pub(crate) person: PersonId,
    pub(crate) role: Role,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
}

impl Member {
    /// Whether the role allows this at the property.
    pub(crate) fn may(&self, action: Action) -> bool {
        may(self.role, action, Target::Property)
    }

    /// Refuses what the role does not allow.
    pub(crate) fn must(&self, action: Action) -> Result<(), Fault> {
        self.may(action)
            .then_some(())
            .ok_or_else(Fault::not_allowed)
    }

    /// Refuses what the role does not allow towards this person.
    pub(crate) fn must_to(
        &self,
        action: Action,
        person: PersonId,
        role: Role,
    ) -> Result<(), Fault> {
        let target = if person == self.person {
            Target::Oneself
        } else {
            Target::Person(role)
        };
        may(self.role, action, target)
            .then_some(())
            .ok_or_else(Fault::not_allowed)
    }
}

/// The caller as a member; whoever is none learns nothing of the property, not even that it exists.
pub(crate) fn of(
    tx: &mut dyn Tx,
    session: &Session,
    property: PropertyId,
) -> Result<Member, Fault> {
    let row = tx
        .first(
            "SELECT id, role FROM person WHERE property = ?1 AND email = ?2",
            params![property, &session.email],
        )?
        .ok_or_else(Fault::not_found)?;
    Ok(Member {
        property,
        person: row.at(0)?,
        role: super::person::role_of(&row.at::<String>(1)?)?,
        account: session.account,
        device: session.device,
    })
}
