//! A property in a folder of its own: its portal, its doors, its people's phones.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use latchkey_core::error::Error;
use latchkey_core::phone::{Phone, PhoneConfig};
use latchkey_core::staff::{StaffDesk, Submitted};
use latchkey_core::unlock::{CarrierKind, UnlockOptions};
use latchkey_core::wallet::FileSealingKey;
use latchkey_door::wait_for_installer;
use latchkey_env::chrono::TimeDelta;
use latchkey_env::{OffsetClock, SharedRandom, SystemClock, SystemRandom, sleep};
use latchkey_portal::{
    BegunEpoch, Config, Database, Limits, MailRoute, Mailbox, Portal, SignerPlace, audit_chains,
    begin_epochs, create_property, property_file,
};
use latchkey_protocol::api::doors::{Door, InstallController};
use latchkey_protocol::api::keys::{KeyDoors, KeyDraft, KeyKind};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::PersonId;
use latchkey_protocol::rules::AccessRules;
use latchkey_test_database::Fresh;
use tempfile::TempDir;

use crate::gate::{Gate, Prepared};
use crate::time::Time;
use crate::wire::Wire;

/// When nothing has been on a wire for so long, both ends wait. Also the pause between two questions.
const QUIET: Duration = Duration::from_millis(60);

/// A property without its running parts.
#[derive(Debug)]
pub struct House {
    /// Its clock.
    pub time: Time,
    dir: TempDir,
    /// The portal's data folder.
    data: Mutex<PathBuf>,
    mailbox: Mailbox,
    database: Database,
    /// Where the tests run on PostgreSQL.
    fresh: Option<Fresh>,
}

/// What was backed up of a portal: its database alone.
#[derive(Debug)]
pub enum Backup {
    /// SQLite's file.
    File(PathBuf),
    /// The name of a database on the same server.
    Database(String),
}

impl House {
    /// Builds what a property file says.
    ///
    /// # Errors
    /// When the file does not read or the disk is full.
    pub async fn build(file: &str) -> Result<Self> {
        let time = Time::start();
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("property.toml");
        std::fs::write(&path, file)?;
        let file = property_file::read(&path)?;
        let fresh = Fresh::make();
        let database = match &fresh {
            None => Database::Sqlite,
            Some(fresh) => Database::postgres(&fresh.address(), None)?,
        };
        let data = dir.path().join("portal");
        let signer = SignerPlace::Embedded;
        create_property(&data, &database, &signer, file, time.shared(), random()).await?;
        Ok(Self {
            time,
            dir,
            data: Mutex::new(data),
            mailbox: Mailbox::new(),
            database,
            fresh,
        })
    }

    /// Where everything is kept: `portal` at first, a folder for each door's name, and one for each person's
    /// address.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The portal's data folder; its signer's is in it.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        let data = self.data.lock();
        data.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The address of its PostgreSQL, where the tests run on one.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        self.fresh.as_ref().map(Fresh::address)
    }

    /// What the portal's database answers to this query: its first column, which holds bytes.
    ///
    /// # Errors
    /// When the database does not open or refuses the query.
    pub fn stored(&self, query: &str) -> Result<Vec<Vec<u8>>> {
        if let Some(fresh) = &self.fresh {
            return Ok(fresh.bytes(query));
        }
        let database = rusqlite::Connection::open(self.data().join("portal.db"))?;
        let mut query = database.prepare(query)?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Starts its portal.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn portal(&self) -> Result<Portal> {
        self.portal_at(([127, 0, 0, 1], 0).into()).await
    }

    /// Starts its portal where one was before.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn portal_at(&self, listen: SocketAddr) -> Result<Portal> {
        let config = Config {
            data: self.data(),
            database: self.database.clone(),
            signer: SignerPlace::Embedded,
            listen,
            public_url: None,
            tls: None,
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            metrics: None,
            mail: MailRoute::Memory(self.mailbox.clone()),
            clock: self.time.shared(),
            random: random(),
        };
        Ok(Portal::start(config).await?)
    }

    /// Takes a backup of the portal's database, and of nothing else. The portal does not run.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn back_up(&self) -> Result<Backup> {
        let Some(fresh) = &self.fresh else {
            let file = self.path().join("backup.db");
            let database = rusqlite::Connection::open(self.data().join("portal.db"))?;
            database.execute("VACUUM INTO ?1", [file.to_str().context("a path")?])?;
            return Ok(Backup::File(file));
        };
        let name = format!("{}_backup", fresh.name());
        // Sessions that are just ending would keep it from being copied.
        fresh.administer(format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            fresh.name()
        ));
        fresh.administer(format!("CREATE DATABASE {name} TEMPLATE {}", fresh.name()));
        Ok(Backup::Database(name))
    }

    /// Goes on from a backup of the database, as on a new machine; the signer's folder is the one from before. The portal
    /// does not run.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn restore(&self, backup: &Backup) -> Result<()> {
        match (backup, &self.fresh) {
            (Backup::File(file), None) => {
                let data = tempfile::tempdir_in(self.path())?.keep();
                std::fs::copy(file, data.join("portal.db"))?;
                std::fs::rename(self.data().join("signer"), data.join("signer"))?;
                *self.data.lock().unwrap_or_else(PoisonError::into_inner) = data;
            }
            (Backup::Database(backup), Some(fresh)) => {
                let name = fresh.name();
                fresh.administer(format!("DROP DATABASE {name} WITH (FORCE)"));
                fresh.administer(format!("CREATE DATABASE {name} TEMPLATE {backup}"));
            }
            _ => bail!("a backup of another kind of database"),
        }
        Ok(())
    }

    /// Removes a backup that is a database of its own.
    pub fn forget(&self, backup: Backup) {
        if let (Backup::Database(backup), Some(fresh)) = (backup, &self.fresh) {
            fresh.administer(format!("DROP DATABASE {backup}"));
        }
    }

    /// Begins a new epoch, as the operator does after a restore.
    ///
    /// # Errors
    /// When database or signer refuse it.
    pub async fn begin_epoch(&self) -> Result<BegunEpoch> {
        let data = self.data();
        let (database, signer) = (&self.database, SignerPlace::Embedded);
        let begun = begin_epochs(&data, database, &signer, &[], self.time.shared(), random());
        begun.await?.pop().context("it has a property")
    }

    /// The first number at which the audit chain is broken.
    ///
    /// # Errors
    /// When the database does not open.
    pub async fn audit_breaks(&self) -> Result<Option<i64>> {
        let data = self.data();
        let chains = audit_chains(&data, &self.database, self.time.shared(), random()).await?;
        Ok(chains.iter().find_map(|chain| chain.broken_at))
    }

    /// A phone that nobody is signed in on yet; its own clock is wrong by this much.
    ///
    /// # Errors
    /// When its wallet does not open.
    pub fn wallet(&self, email: &str, wrong: TimeDelta) -> Result<Arc<Phone>> {
        self.phone_with(&self.wallet_folder(email), email, wrong)
    }

    /// The phone of the person with this address, signed in; its own clock is wrong by this much.
    ///
    /// # Errors
    /// When signing in fails.
    pub async fn phone(&self, url: &str, email: &str, wrong: TimeDelta) -> Result<Arc<Phone>> {
        let phone = self.wallet(email, wrong)?;
        let seen = self.mailbox.len();
        let pending = phone.sign_in_start(url, email).await?;
        let mail = self.mailbox.next_to(email, seen).await;
        let six = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
        let between = |c: char| !c.is_ascii_alphanumeric();
        let code = mail.body.split(between).find(six);
        let code = code.context("the letter has no code")?;
        let report = phone.sign_in_finish(&pending, code, "phone").await?;
        ensure!(report.failures.is_empty(), "{report:?}");
        Ok(phone)
    }

    /// The folder of this person's wallet.
    #[must_use]
    pub fn wallet_folder(&self, email: &str) -> PathBuf {
        self.path().join(email).join("wallet")
    }

    /// This person's phone, with the wallet in this folder: theirs, or a copy from an earlier moment.
    ///
    /// # Errors
    /// When it does not open.
    pub fn phone_with(&self, wallet: &Path, email: &str, wrong: TimeDelta) -> Result<Arc<Phone>> {
        let keys = self.path().join(email).join("keys");
        Ok(Phone::open(PhoneConfig {
            folder: wallet.to_owned(),
            sealing: Arc::new(FileSealingKey::new(keys, random())),
            keys: None,
            clock: Arc::new(OffsetClock::new(self.time.shared(), wrong)),
            random: random(),
        })?)
    }

    /// Puts a controller with a network into service: it lays its offer before the portal and waits
    /// for the installer.
    ///
    /// # Errors
    /// When commissioning fails.
    pub async fn online(&self, portal: SocketAddr, desk: &StaffDesk, name: &str) -> Result<Gate> {
        let mut prepared = self.prepare(name).await?;
        prepared.to_portal.lead_to(portal);
        let url = prepared.portal_url().parse()?;
        let request = InstallController {
            code: prepared.controller.code().to_string(),
            offer: None,
            stream_address: Some(prepared.on_the_spot.addr().to_string()),
        };
        let door = door(desk, name)?.id;
        let installing = async {
            // The code is on the controller's screen before its offer is at the portal.
            loop {
                match desk.install_controller(door, &request).await {
                    Err(Error::Refused(_)) => sleep(&SystemClock, QUIET).await,
                    installed => break done(installed?),
                }
            }
        };
        let waiting = wait_for_installer(&mut prepared.controller, &url);
        let (installed, waited) = tokio::join!(installing, waiting);
        installed?;
        ensure!(waited?.door == door, "it was installed at another door");
        prepared.start(true).await
    }

    /// Puts one without a network into service: the installer's app carries offer and package.
    ///
    /// # Errors
    /// When commissioning fails.
    pub async fn offline(&self, desk: &StaffDesk, name: &str) -> Result<Gate> {
        let mut prepared = self.prepare(name).await?;
        let request = InstallController {
            code: prepared.controller.code().to_string(),
            offer: Some(Base64(prepared.controller.offer()?.to_bytes())),
            stream_address: Some(prepared.on_the_spot.addr().to_string()),
        };
        let door = door(desk, name)?.id;
        let installed = done(desk.install_controller(door, &request).await?)?;
        let installation = prepared
            .controller
            .install(&installed.package.to_string())?;
        installation.clock?;
        prepared.start(false).await
    }

    /// Puts a controller without a network to work again, from a store in this folder. Phones find it
    /// where they are led.
    ///
    /// # Errors
    /// When the store does not open.
    pub async fn again(&self, folder: PathBuf) -> Result<Gate> {
        let clock = OffsetClock::new(self.time.shared(), TimeDelta::zero());
        let prepared = Prepared::open(folder, clock, random()).await?;
        prepared.start(false).await
    }

    async fn prepare(&self, name: &str) -> Result<Prepared> {
        let clock = OffsetClock::new(self.time.shared(), TimeDelta::zero());
        Prepared::create(self.path().join(name), clock, random()).await
    }
}

/// The door with this name.
///
/// # Errors
/// When there is none.
pub fn door(desk: &StaffDesk, name: &str) -> Result<Door> {
    let doors = desk.doors()?;
    let door = doors.into_iter().find(|door| door.name == name);
    door.with_context(|| format!("no door is called {name}"))
}

/// The person of this name.
///
/// # Errors
/// When there is none.
pub fn person(desk: &StaffDesk, name: &str) -> Result<PersonId> {
    let people = desk.people()?;
    let person = people.iter().find(|person| person.name == name);
    Ok(person
        .with_context(|| format!("nobody is called {name}"))?
        .id)
}

/// A mobile key for all doors, without limits.
#[must_use]
pub fn mobile_key(name: &str, persons: Vec<PersonId>) -> KeyDraft {
    KeyDraft {
        kind: KeyKind::Mobile,
        persons,
        ..qr_key(name)
    }
}

/// A QR key for all doors, without limits.
#[must_use]
pub fn qr_key(name: &str) -> KeyDraft {
    KeyDraft {
        name: name.to_owned(),
        kind: KeyKind::Qr,
        persons: Vec::new(),
        doors: KeyDoors::All,
        rules: AccessRules::default(),
    }
}

/// What the portal did.
///
/// # Errors
/// When it still waits in the outbox.
pub fn done<T: std::fmt::Debug>(submitted: Submitted<T>) -> Result<T> {
    match submitted {
        Submitted::Done(value) => Ok(value),
        waiting @ Submitted::Waiting(_) => bail!("{waiting:?}"),
    }
}

/// Unlocks a door by its name, on one carrier.
///
/// # Errors
/// As the phone says.
///
/// # Panics
/// When the phone knows no such door.
pub async fn unlock(phone: &Phone, name: &str, carrier: CarrierKind) -> Result<(), Error> {
    let doors = phone.doors()?;
    let door = doors.iter().find(|door| door.name == name);
    let at = door.expect("the phone knows the door").at;
    let options = UnlockOptions {
        carriers: vec![carrier],
        ..UnlockOptions::default()
    };
    phone.unlock(at, &options, &|_| {}).await.map(drop)
}

/// Carries something out while time goes on faster whenever nothing is on this wire any more: who waits
/// in vain for an answer is not waited for.
pub async fn hurried<T>(time: &Time, wire: &Wire, work: impl Future<Output = T>) -> T {
    let hurry = async {
        let mut before = None;
        loop {
            sleep(&SystemClock, QUIET).await;
            let carried = wire.carried();
            let now = Some((carried.out.len(), carried.back.len()));
            if now == before {
                time.clock().advance(Duration::from_secs(5));
            }
            before = now;
        }
    };
    tokio::select! {
        done = work => done,
        () = hurry => unreachable!("time does not end"),
    }
}

/// Syncs until the phone shows this.
///
/// # Errors
/// When a sync fails.
pub async fn until(phone: &Phone, shows: impl Fn(&Phone) -> bool) -> Result<(), Error> {
    while !shows(phone) {
        phone.sync().await?;
        sleep(&SystemClock, QUIET).await;
    }
    Ok(())
}

/// The machine's randomness.
#[must_use]
pub fn random() -> SharedRandom {
    Arc::new(SystemRandom)
}
