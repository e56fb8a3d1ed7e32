//! A property of the real parts: its portal over HTTP on the loopback, and phones with wallets on disk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use latchkey_core::phone::{Phone, PhoneConfig};
use latchkey_core::staff::{StaffDesk, Submitted};
use latchkey_core::wallet::FileSealingKey;
use latchkey_env::{SharedClock, SharedRandom, SystemClock, SystemRandom};
use latchkey_portal::{
    Config, Database, Limits, MailRoute, Mailbox, Portal, SignerPlace, create_property,
    property_file,
};
use latchkey_protocol::ids::PropertyId;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::meter::{Bodies, Meter};
use crate::process::Process;

/// The address of the owner, whom every property has.
pub(crate) const OWNER: &str = "owner@example.com";

/// How a property file begins; doors, people and keys follow.
pub(crate) const HEAD: &str = r#"
[property]
name = "Harbour View"
zone = "Europe/Lisbon"

[owner]
name = "Olga Owner"
email = "owner@example.com"
"#;

/// Whose phone it is that most benches look at.
pub(crate) const RESIDENT: &str = "rita@example.com";

/// Rita, for a property file.
pub(crate) const RITA: &str = r#"
[[people]]
name = "Rita Resident"
role = "resident"
email = "rita@example.com"
"#;

/// Doors with a network, for a property file: *Door 0* and so on.
pub(crate) fn doors(count: usize, kind: &str) -> String {
    let door = |number| {
        format!("[[doors]]\nname = \"Door {number}\"\nkind = \"{kind}\"\nreach = \"online\"\n")
    };
    (0..count).map(door).collect()
}

/// A property whose portal is a process of its own, until this is dropped.
pub(crate) struct Apart {
    pub(crate) portal: Process,
    pub(crate) runtime: Runtime,
    _folder: TempDir,
}

/// The property at work, until this is dropped.
pub(crate) struct Scene {
    pub(crate) runtime: Runtime,
    portal: Portal,
    mailbox: Mailbox,
    property: PropertyId,
    folder: TempDir,
    clock: SharedClock,
}

impl Scene {
    /// Makes the property that this file says, with its portal.
    pub(crate) fn set(file: &str, clock: SharedClock) -> Self {
        Self::at(Database::Sqlite, None, runtime(), file, clock)
    }

    /// The same with its data in this database.
    pub(crate) fn on(database: Database, file: &str) -> Self {
        Self::at(database, None, runtime(), file, Arc::new(SystemClock))
    }

    /// The same behind a meter.
    pub(crate) fn metered(file: &str, clock: SharedClock) -> (Self, Bodies) {
        let runtime = runtime();
        let meter = runtime.block_on(Meter::open());
        let scene = Self::at(Database::Sqlite, Some(meter.url()), runtime, file, clock);
        let portal = scene.addr();
        let bodies = scene.runtime.block_on(async { meter.lead_to(portal) });
        (scene, bodies)
    }

    fn at(
        database: Database,
        url: Option<String>,
        runtime: Runtime,
        file: &str,
        clock: SharedClock,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mailbox = Mailbox::new();
        let config = Config {
            data: folder.path().join("portal"),
            database,
            signer: SignerPlace::Embedded,
            listen: ([127, 0, 0, 1], 0).into(),
            public_url: url.map(|url| url.parse().expect("a URL")),
            tls: None,
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            metrics: None,
            mail: MailRoute::Memory(mailbox.clone()),
            clock: Arc::clone(&clock),
            random: random(),
        };
        let property = create(&runtime, &config.data, &config.database, file, &clock);
        let portal = runtime.block_on(Portal::start(config)).expect("a portal");
        Self {
            portal,
            mailbox,
            runtime,
            property,
            folder,
            clock,
        }
    }

    /// The phone of the person with this address, signed in and synced.
    pub(crate) fn phone(&self, email: &str) -> Arc<Phone> {
        let phone = Phone::open(self.wallet(email)).expect("a wallet");
        self.runtime.block_on(async {
            let letters = self.mailbox.len();
            let asking = phone.sign_in_start(self.portal.url(), email).await;
            let pending = asking.expect("a code asked for");
            let letter = self.mailbox.next_to(email, letters).await.body;
            let signing_in = phone.sign_in_finish(&pending, code_in(&letter), "phone");
            let report = signing_in.await.expect("signed in");
            assert!(report.failures.is_empty(), "{report:?}");
        });
        phone
    }

    /// What this person's phone opens its wallet with.
    pub(crate) fn wallet(&self, email: &str) -> PhoneConfig {
        let of_person = self.path().join(email);
        PhoneConfig {
            folder: of_person.join("wallet"),
            sealing: Arc::new(FileSealingKey::new(of_person.join("keys"), random())),
            keys: None,
            clock: Arc::clone(&self.clock),
            random: random(),
        }
    }

    /// What a phone's person does as staff.
    pub(crate) fn desk(&self, phone: &Phone) -> StaffDesk {
        phone.staff(self.property).expect("staff of this property")
    }

    /// Ends the portal, and runs it at the same place as a process of its own.
    pub(crate) fn apart(self) -> Apart {
        let (addr, data) = (self.addr(), self.path().join("portal"));
        self.runtime.block_on(self.portal.shutdown());
        Apart {
            portal: Process::portal(addr, &data),
            runtime: self.runtime,
            _folder: self.folder,
        }
    }

    /// Where the portal listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.portal.addr()
    }

    /// The portal's own file.
    pub(crate) fn file(&self) -> PathBuf {
        self.path().join("portal/portal.db")
    }

    /// Where all of it is kept.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn create(
    runtime: &Runtime,
    data: &Path,
    database: &Database,
    file: &str,
    clock: &SharedClock,
) -> PropertyId {
    let file = property_file::parse(file, "property.toml").expect("a property file");
    let creating = create_property(
        data,
        database,
        &SignerPlace::Embedded,
        file,
        Arc::clone(clock),
        random(),
    );
    runtime.block_on(creating).expect("a property").property
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

/// The six digits of a letter.
fn code_in(letter: &str) -> &str {
    let six = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
    let between = |c: char| !c.is_ascii_alphanumeric();
    letter.split(between).find(six).expect("a code")
}

/// What the portal did.
pub(crate) fn done<T: std::fmt::Debug>(submitted: Submitted<T>) -> T {
    match submitted {
        Submitted::Done(value) => value,
        waiting @ Submitted::Waiting(_) => panic!("the portal was not reached: {waiting:?}"),
    }
}

fn random() -> SharedRandom {
    Arc::new(SystemRandom)
}
