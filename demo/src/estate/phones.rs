//! The people of the property file, and their phones: each a wallet of its own on disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use latchkey_core::error::Error;
use latchkey_core::phone::{Phone, PhoneConfig};
use latchkey_core::staff::{StaffDesk, Submitted};
use latchkey_core::unlock::{CarrierKind, Opened, UnlockOptions};
use latchkey_core::views::{DoorRef, KeyRef};
use latchkey_core::wallet::FileSealingKey;
use latchkey_env::{SharedClock, SystemRandom};
use latchkey_protocol::api::doors::{Door, InstallController};
use latchkey_protocol::api::keys::{Key, KeyDraft};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{KeyId, PersonId, PropertyId};
use serde::Deserialize;

use super::hub::{Installer, Mounted};
use super::portal::Mailbox;

/// Whom the page and the tour have issue keys.
pub(crate) const STAFF: &str = "Ines Valdez";
const FILE: &str = "property.toml";

/// A person, as far as the demo needs to know.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Somebody {
    /// The name.
    pub(crate) name: String,
    /// Where sign-in codes go.
    #[serde(default)]
    pub(crate) email: Option<String>,
    /// The role, as the file says it.
    #[serde(default)]
    pub(crate) role: String,
}

/// Who is there.
pub(crate) struct Staffing {
    /// The property's name.
    pub(crate) property: String,
    /// How many people, the owner included.
    pub(crate) people: usize,
    /// Who puts controllers into service.
    pub(crate) installer: Somebody,
}

#[derive(Deserialize)]
struct File {
    property: Named,
    owner: Somebody,
    #[serde(default)]
    people: Vec<Somebody>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Staffing {
    /// Reads the property file, and keeps a copy beside the property for later sign-ins.
    pub(crate) fn read(file: &Path, folder: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let read: File =
            toml::from_str(&text).with_context(|| format!("{} does not read", file.display()))?;
        std::fs::write(folder.join(FILE), text)?;
        let may_install = |role: &str| matches!(role, "installer" | "manager");
        let installer = read
            .people
            .iter()
            .find(|person| may_install(&person.role))
            .unwrap_or(&read.owner)
            .clone();
        Ok(Self {
            property: read.property.name,
            people: read.people.len() + 1,
            installer,
        })
    }
}

/// A person's phone.
pub(crate) struct Handset {
    /// Whose.
    pub(crate) name: String,
    /// Name and role.
    pub(crate) label: String,
    /// The phone itself.
    pub(crate) phone: Arc<Phone>,
}

impl Handset {
    /// Every carrier.
    pub(crate) fn any_way() -> UnlockOptions {
        UnlockOptions::default()
    }

    /// Over one carrier alone.
    pub(crate) fn only(carrier: CarrierKind) -> UnlockOptions {
        UnlockOptions {
            carriers: vec![carrier],
            ..UnlockOptions::default()
        }
    }

    /// Opens a door.
    pub(crate) async fn open(
        &self,
        door: DoorRef,
        options: UnlockOptions,
    ) -> Result<Opened, Error> {
        self.phone.unlock(door, &options, &|_| ()).await
    }

    /// The key of this name.
    pub(crate) fn key(&self, name: &str) -> Result<KeyRef> {
        let keys = self.phone.keys()?;
        let found = keys.iter().find(|key| key.name == name);
        found
            .map(|key| key.at)
            .with_context(|| format!("{} has no key called {name:?}", self.name))
    }
}

/// Signs a person of the property file in.
pub(crate) async fn sign_in_by_name(
    folder: &Path,
    portal_url: &str,
    mailbox: &Mailbox,
    clock: &SharedClock,
    name: &str,
) -> Result<Arc<Handset>> {
    let text = std::fs::read_to_string(folder.join(FILE))?;
    let file: File = toml::from_str(&text)?;
    let everybody: BTreeMap<_, _> = file
        .people
        .into_iter()
        .chain([file.owner])
        .map(|person| (person.name.clone(), person))
        .collect();
    let person = everybody
        .get(name)
        .with_context(|| format!("nobody is called {name:?} in the property file"))?;
    sign_in(folder, portal_url, mailbox, clock, person).await
}

/// Signs a person in, on a new phone or on the one that is there.
pub(crate) async fn sign_in(
    folder: &Path,
    portal_url: &str,
    mailbox: &Mailbox,
    clock: &SharedClock,
    person: &Somebody,
) -> Result<Arc<Handset>> {
    let email = person
        .email
        .as_deref()
        .with_context(|| format!("{} has no address to sign in with", person.name))?;
    let place: String = email
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let random = Arc::new(SystemRandom);
    let phone = Phone::open(PhoneConfig {
        folder: folder.join("phones").join(&place),
        sealing: Arc::new(FileSealingKey::new(
            folder.join("sealing-keys").join(&place),
            random.clone(),
        )),
        keys: None,
        clock: clock.clone(),
        random,
    })?;
    let pending = phone.sign_in_start(portal_url, email).await?;
    let code = mailbox.take_code(clock, email).await?;
    let report = phone.sign_in_finish(&pending, &code, "Demo phone").await?;
    if let Some(failure) = report.failures.into_iter().next() {
        return Err(failure.error)
            .with_context(|| format!("the first sync of {} failed", person.name));
    }
    let role = phone
        .properties()?
        .first()
        .map(|property| property.role)
        .context("the person has no property")?;
    let label = format!("{} ({})", person.name, role.name());
    Ok(Arc::new(Handset {
        name: person.name.clone(),
        label,
        phone,
    }))
}

/// A person's desk at the one property there is.
pub(crate) struct Desk {
    /// The property.
    pub(crate) property: PropertyId,
    desk: StaffDesk,
}

impl Desk {
    /// The desk of a phone's owner.
    pub(crate) fn of(handset: &Handset) -> Result<Self> {
        let properties = handset.phone.properties()?;
        let property = properties.first().context("the person has no property")?.id;
        Ok(Self {
            property,
            desk: handset.phone.staff(property)?,
        })
    }

    /// The doors.
    pub(crate) fn doors(&self) -> Result<Vec<Door>> {
        let mut doors = self.desk.doors()?;
        doors.sort_by_key(|door| {
            (
                !door.place.starts_with("Building"),
                door.place.clone(),
                door.number,
            )
        });
        Ok(doors)
    }

    /// The person of this name.
    pub(crate) fn person(&self, name: &str) -> Result<PersonId> {
        let people = self.desk.people()?;
        let found = people.iter().find(|person| person.name == name);
        found
            .map(|person| person.id)
            .with_context(|| format!("the portal knows nobody called {name:?}"))
    }

    /// The desk itself.
    pub(crate) fn desk(&self) -> &StaffDesk {
        &self.desk
    }

    /// Issues a key, now.
    pub(crate) async fn issue(&self, draft: KeyDraft) -> Result<Key> {
        now(self.desk.issue_key(&draft).await?)
    }

    /// Makes a link for a key, now.
    pub(crate) async fn share(&self, key: KeyId) -> Result<String> {
        Ok(now(self.desk.share_key(key).await?)?.url)
    }

    /// Withdraws a key, now.
    pub(crate) async fn withdraw(&self, key: KeyId) -> Result<Key> {
        now(self.desk.withdraw_key(key).await?)
    }
}

#[async_trait::async_trait]
impl Installer for Desk {
    async fn install(&self, mounted: &Mounted, code: &str, offer: Base64) -> Result<String> {
        let request = InstallController {
            code: code.to_owned(),
            offer: Some(offer),
            stream_address: Some(mounted.stream.to_string()),
        };
        let installed = now(self
            .desk
            .install_controller(mounted.door.id, &request)
            .await?)
        .with_context(|| format!("the controller at {} was not installed", mounted.door.name))?;
        Ok(installed.package.to_string())
    }
}

fn now<T>(submitted: Submitted<T>) -> Result<T> {
    match submitted {
        Submitted::Done(answer) => Ok(answer),
        Submitted::Waiting(_) => {
            bail!("the portal cannot be reached; the request waits in the outbox")
        }
    }
}
