//! A property with a portal that runs in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use latchkey_env::{SystemRandom, VirtualClock};
use latchkey_portal::{
    AuditChain, Config, Database, Limits, MailRoute, Mailbox, Portal, Rate, SignerConfig,
    SignerPlace, SignerService, audit_chains, begin_epochs, create_property, property_file,
};
use latchkey_protocol::ids::PropertyId;
use latchkey_test_database::Fresh;

use crate::client::Device;

pub(crate) const FILE: &str = r#"
[property]
name = "Harbour Yard"
zone = "Europe/Berlin"
holidays = ["2026-12-25"]
guest_keys = { by_role = { staff = ["individual_qr"], resident = ["individual_qr"] } }

[owner]
name = "Olga Owner"
email = "olga@harbour.example"

[[doors]]
name = "North gate"
kind = "gate"
reach = "online"

[[doors]]
name = "South gate"
kind = "gate"
reach = "online"

[[doors]]
name = "Flat 7"
kind = "unit"
reach = "offline"

[[people]]
name = "Mara Manager"
role = "manager"
email = "mara@harbour.example"

[[people]]
name = "Stefan Staff"
role = "staff"
email = "stefan@harbour.example"

[[people]]
name = "Rita Resident"
role = "resident"
email = "rita@harbour.example"

[[people]]
name = "Rolf Resident"
role = "resident"
email = "rolf@harbour.example"

[[people]]
name = "Ines Installer"
role = "installer"
email = "ines@harbour.example"

[[keys]]
name = "Home"
kind = "mobile"
persons = ["Rita Resident"]
doors = ["North gate", "Flat 7"]
"#;

pub(crate) const OWNER: &str = "olga@harbour.example";
pub(crate) const MANAGER: &str = "mara@harbour.example";
pub(crate) const STAFF: &str = "stefan@harbour.example";
pub(crate) const RESIDENT: &str = "rita@harbour.example";
pub(crate) const NEIGHBOUR: &str = "rolf@harbour.example";
pub(crate) const INSTALLER: &str = "ines@harbour.example";

/// Where a test's portals keep their data: SQLite, or a database of the test's own where the tests run on PostgreSQL.
pub(crate) struct Place {
    pub(crate) database: Database,
    /// None on SQLite.
    pub(crate) address: Option<String>,
    fresh: Option<Fresh>,
}

impl Place {
    pub(crate) fn make() -> Self {
        let fresh = Fresh::make();
        let address = fresh.as_ref().map(Fresh::address);
        let database = match &address {
            None => Database::Sqlite,
            Some(address) => Database::postgres(address, None).unwrap(),
        };
        Self {
            database,
            address,
            fresh,
        }
    }

    /// What the server calls it.
    pub(crate) fn name(&self) -> Option<&str> {
        self.fresh.as_ref().map(Fresh::name)
    }

    /// Tells the server of all databases something.
    pub(crate) fn administer(&self, statements: String) {
        self.fresh.as_ref().unwrap().administer(statements);
    }

    /// Changes what is stored, behind the portal's back. The statements are made with a writer of bytes.
    pub(crate) fn alter(
        &self,
        data: &Path,
        statements: impl FnOnce(fn(&[u8]) -> String) -> String,
    ) {
        match &self.fresh {
            None => {
                let database = rusqlite::Connection::open(data.join("portal.db")).unwrap();
                let statements = statements(|bytes| format!("X'{}'", hex::encode(bytes)));
                database.execute_batch(&statements).unwrap();
            }
            Some(fresh) => {
                fresh.alter(statements(|bytes| format!("'\\x{}'", hex::encode(bytes))));
            }
        }
    }
}

/// A property, its portal, its mailbox and its time.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) database: Place,
    pub(crate) clock: VirtualClock,
    pub(crate) mail: Mailbox,
    pub(crate) portal: Portal,
    pub(crate) property: PropertyId,
    /// None where it is embedded.
    signer: Option<Apart>,
}

/// A signer of its own.
struct Apart {
    portals: PathBuf,
    operators: PathBuf,
    _running: SignerService,
}

impl Apart {
    async fn start(folder: &tempfile::TempDir, clock: &VirtualClock) -> Self {
        let socket = |name| folder.path().join("sockets").join(name);
        let (portals, operators) = (socket("portals"), socket("operators"));
        let config = SignerConfig {
            data: folder.path().join("keys"),
            listen: portals.clone(),
            operators: Some(operators.clone()),
            rate: Rate::default(),
            clock: Arc::new(clock.clone()),
            random: Arc::new(SystemRandom),
        };
        Self {
            portals,
            operators,
            _running: SignerService::start(config).await.unwrap(),
        }
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With some of the portal's configuration changed, until it is started again.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_at(false, change).await
    }

    /// With a signer that listens at a socket, for all instances.
    pub(crate) async fn with_signer_apart() -> Self {
        Self::start_at(true, |_| {}).await
    }

    async fn start_at(apart: bool, change: impl FnOnce(&mut Config)) -> Self {
        // The test's HTTP client has no cryptography of its own; the first test to come here brings it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let database = Place::make();
        let clock = VirtualClock::at("2026-11-24T09:00:00Z");
        let mut signer = None;
        if apart {
            signer = Some(Apart::start(&folder, &clock).await);
        }
        let operators = signer.as_ref().map_or(SignerPlace::Embedded, |signer| {
            SignerPlace::Socket(signer.operators.clone())
        });
        let file = property_file::parse(FILE, "harbour.toml").unwrap();
        let made = create_property(
            folder.path(),
            &database.database,
            &operators,
            file,
            Arc::new(clock.clone()),
            Arc::new(SystemRandom),
        );
        let property = made.await.unwrap().property;
        let mail = Mailbox::new();
        let mut config = config(&folder, &database, &clock, &mail);
        if let Some(signer) = &signer {
            config.signer = SignerPlace::Socket(signer.portals.clone());
        }
        change(&mut config);
        let portal = Portal::start(config).await.unwrap();
        Self {
            folder,
            database,
            clock,
            mail,
            portal,
            property,
            signer,
        }
    }

    /// Ends the portal and starts it again on the same folder.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(|_| {}).await
    }

    /// The same, with its data folder changed in between.
    pub(crate) async fn restart_after(self, change: impl FnOnce(&Path)) -> Self {
        let Self {
            folder,
            database,
            clock,
            mail,
            portal,
            property,
            signer,
        } = self;
        portal.shutdown().await;
        change(folder.path());
        let portal = start(&folder, &database, &clock, &mail, signer.as_ref()).await;
        Self {
            folder,
            database,
            clock,
            mail,
            portal,
            property,
            signer,
        }
    }

    /// One more instance on the same database.
    pub(crate) async fn another(&self) -> Portal {
        let Self {
            folder,
            database,
            clock,
            mail,
            signer,
            ..
        } = self;
        start(folder, database, clock, mail, signer.as_ref()).await
    }

    /// Begins a new epoch, as the operator does after a restore.
    pub(crate) async fn begin_epoch(&self) {
        let (clock, random) = (Arc::new(self.clock.clone()), Arc::new(SystemRandom));
        begin_epochs(
            self.folder.path(),
            &self.database.database,
            &SignerPlace::Embedded,
            &[],
            clock,
            random,
        )
        .await
        .unwrap();
    }

    /// The audit chains.
    pub(crate) async fn audit(&self) -> Vec<AuditChain> {
        let (clock, random) = (Arc::new(self.clock.clone()), Arc::new(SystemRandom));
        audit_chains(self.folder.path(), &self.database.database, clock, random)
            .await
            .unwrap()
    }

    /// A phone of whoever has this address, signed in.
    pub(crate) async fn device(&self, email: &str) -> Device {
        let mut device = Device::new(self.portal.url());
        device.sign_in(self, email).await;
        device
    }

    /// A path below the property.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/properties/{}{rest}", self.property)
    }
}

async fn start(
    folder: &tempfile::TempDir,
    database: &Place,
    clock: &VirtualClock,
    mail: &Mailbox,
    signer: Option<&Apart>,
) -> Portal {
    let mut config = config(folder, database, clock, mail);
    if let Some(signer) = signer {
        config.signer = SignerPlace::Socket(signer.portals.clone());
    }
    Portal::start(config).await.unwrap()
}

fn config(
    folder: &tempfile::TempDir,
    database: &Place,
    clock: &VirtualClock,
    mail: &Mailbox,
) -> Config {
    Config {
        data: folder.path().to_owned(),
        database: database.database.clone(),
        signer: SignerPlace::Embedded,
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: None,
        tls: None,
        trusted_proxies: Vec::new(),
        limits: Limits::default(),
        metrics: None,
        mail: MailRoute::Memory(mail.clone()),
        clock: Arc::new(clock.clone()),
        random: Arc::new(SystemRandom),
    }
}
