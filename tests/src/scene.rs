//! A property with a gate that has a network, a second one, a cellar that has none, an owner and a
//! resident.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use latchkey_core::phone::Phone;
use latchkey_core::staff::StaffDesk;
use latchkey_core::views::KeyRef;
use latchkey_env::chrono::TimeDelta;
use latchkey_portal::Portal;
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::ids::PersonId;

use crate::gate::Gate;
use crate::house::{Backup, House, done, door, mobile_key, person, qr_key, until};

const FILE: &str = r#"
[property]
name = "Harbour View"
zone = "Europe/Lisbon"
guest_keys = { by_role = { resident = ["individual_qr"] } }

[owner]
name = "Olga Owner"
email = "olga@example.com"

[[doors]]
name = "Gate"
kind = "gate"
reach = "online"

[[doors]]
name = "Second gate"
kind = "gate"
reach = "online"

[[doors]]
name = "Cellar"
kind = "common_area"
reach = "offline"

[[people]]
name = "Rita Resident"
role = "resident"
email = "rita@example.com"
"#;

/// The property, its portal, and the owner's phone; doors are put into service as a test needs them.
pub struct Scene {
    /// Where it stands.
    pub house: House,
    /// Its portal.
    pub portal: Portal,
    /// The owner's phone.
    pub olga: Arc<Phone>,
    /// What she does as staff.
    pub desk: StaffDesk,
}

impl Scene {
    /// Sets it.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn set() -> Result<Self> {
        let house = House::build(FILE).await?;
        let portal = house.portal().await?;
        let olga = house
            .phone(portal.url(), "olga@example.com", TimeDelta::zero())
            .await?;
        let own = olga.properties()?;
        let desk = olga.staff(own.first().context("a property")?.id)?;
        Ok(Self {
            house,
            portal,
            olga,
            desk,
        })
    }

    /// Stops the portal, does something to its files, and starts it again where it was.
    ///
    /// # Errors
    /// When that fails, or the portal does not start.
    pub async fn restarted(self, between: impl AsyncFnOnce(&House) -> Result<()>) -> Result<Self> {
        let Self {
            house,
            portal,
            olga,
            desk,
        } = self;
        let addr = portal.addr();
        portal.shutdown().await;
        between(&house).await?;
        let portal = house.portal_at(addr).await?;
        Ok(Self {
            house,
            portal,
            olga,
            desk,
        })
    }

    /// Stops the portal, backs its database up, and starts it again.
    ///
    /// # Errors
    /// As [`restarted`](Self::restarted).
    pub async fn backed_up(self) -> Result<(Self, Backup)> {
        let mut backup = None;
        let scene = self.restarted(async |house| {
            backup = Some(house.back_up()?);
            Ok(())
        });
        let scene = scene.await?;
        Ok((scene, backup.context("a backup")?))
    }

    /// Stops the portal, restores its database, and goes on in a new epoch.
    ///
    /// # Errors
    /// As [`restarted`](Self::restarted).
    pub async fn restored(self, backup: &Backup) -> Result<Self> {
        self.restarted(async |house| {
            house.restore(backup)?;
            house.begin_epoch().await.map(drop)
        })
        .await
    }

    /// Waits until the portal has this door's line.
    ///
    /// # Errors
    /// When a sync fails.
    pub async fn connected(&self, name: &str) -> Result<()> {
        let is_connected = |_: &Phone| door(&self.desk, name).is_ok_and(|door| door.connected);
        Ok(until(&self.olga, is_connected).await?)
    }

    /// Puts a controller with a network into service, and waits until the portal has it.
    ///
    /// # Errors
    /// When commissioning fails.
    pub async fn online(&self, name: &str) -> Result<Gate> {
        let gate = self.house.online(self.portal.addr(), &self.desk, name);
        let gate = gate.await?;
        self.connected(name).await?;
        Ok(gate)
    }

    /// Puts one without a network into service.
    ///
    /// # Errors
    /// When commissioning fails.
    pub async fn offline(&self, name: &str) -> Result<Gate> {
        self.house.offline(&self.desk, name).await
    }

    /// Signs the resident in, her phone's clock wrong by this much, issues her a key for all doors, and
    /// waits until her phone holds it.
    ///
    /// # Errors
    /// When the portal refuses.
    pub async fn resident(&self, wrong: TimeDelta) -> Result<(Arc<Phone>, Key)> {
        let url = self.portal.url();
        let rita = self.house.phone(url, "rita@example.com", wrong).await?;
        self.olga.sync().await?;
        let key = self.issue("Apartment 12", person(&self.desk, "Rita Resident")?);
        let key = key.await?;
        until(&rita, is_ready).await?;
        Ok((rita, key))
    }

    /// Issues a mobile key for all doors, without limits.
    ///
    /// # Errors
    /// When the portal refuses.
    pub async fn issue(&self, name: &str, person: PersonId) -> Result<Key> {
        done(self.desk.issue_key(&mobile_key(name, vec![person])).await?)
    }

    /// Issues a QR key for all doors, without limits.
    ///
    /// # Errors
    /// When the portal refuses.
    pub async fn invite(&self, name: &str) -> Result<Key> {
        done(self.desk.issue_key(&qr_key(name)).await?)
    }

    /// Makes a link for a QR key.
    ///
    /// # Errors
    /// When the portal refuses.
    pub async fn share(&self, key: &Key) -> Result<String> {
        Ok(done(self.desk.share_key(key.id).await?)?.url)
    }
}

/// Whether the phone's first key opens doors and shows codes; those without a controller it cannot.
#[must_use]
pub fn is_ready(phone: &Phone) -> bool {
    let keys = phone.keys().unwrap_or_default();
    let usable = |key: &latchkey_core::views::KeyView| {
        key.shows_codes && key.doors.iter().any(|door| door.usable.is_allowed())
    };
    keys.first().is_some_and(usable)
}

/// The phone's first key.
///
/// # Errors
/// When it holds none.
pub fn first_key(phone: &Phone) -> Result<KeyRef> {
    let keys = phone.keys()?;
    Ok(keys.first().context("the phone holds no key")?.at)
}
