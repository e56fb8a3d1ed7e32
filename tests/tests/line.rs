//! One line through every part: a portal over HTTP with its SQLite file, controllers with stores of
//! their own, phones with wallets on disk, real sockets between them.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it, in its helpers too"
)]

use std::path::Path;
use std::sync::Arc;

use latchkey_core::error::Error;
use latchkey_core::follow::PhoneChange;
use latchkey_core::phone::{Phone, PhoneConfig};
use latchkey_core::staff::{StaffDesk, Submitted};
use latchkey_core::unlock::{CarrierKind, UnlockOptions};
use latchkey_core::views::DoorRef;
use latchkey_core::wallet::FileSealingKey;
use latchkey_door::{Controller, Env, RunConfig, Running, wait_for_installer};
use latchkey_env::chrono::TimeDelta;
use latchkey_env::{OffsetClock, SystemClock, SystemRandom};
use latchkey_portal::{Config, MailRoute, Mailbox, Portal, create_property, property_file};
use latchkey_protocol::api::doors::{Door, InstallController};
use latchkey_protocol::api::keys::{KeyDoors, KeyDraft, KeyKind};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::rules::{AccessRules, Reason};
use tempfile::TempDir;

const FILE: &str = r#"
[property]
name = "Harbour View"
zone = "Europe/Lisbon"

[owner]
name = "Olga Owner"
email = "olga@example.com"

[[doors]]
name = "Gate"
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

struct House {
    dir: TempDir,
    mailbox: Mailbox,
}

impl House {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("property.toml");
        std::fs::write(&file, FILE).unwrap();
        let file = property_file::read(&file).unwrap();
        create_property(&dir.path().join("portal"), file, clock(), random())
            .await
            .unwrap();
        Self {
            dir,
            mailbox: Mailbox::new(),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    async fn portal(&self) -> Portal {
        Portal::start(Config {
            data: self.path().join("portal"),
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: None,
            tls: None,
            mail: MailRoute::Memory(self.mailbox.clone()),
            clock: clock(),
            random: random(),
        })
        .await
        .unwrap()
    }

    /// A phone whose own clock is wrong by this much.
    async fn phone(&self, portal: &Portal, email: &str, wrong: TimeDelta) -> Arc<Phone> {
        let phone = Phone::open(PhoneConfig {
            folder: self.path().join(email).join("wallet"),
            sealing: Arc::new(FileSealingKey::new(
                self.path().join(email).join("keys"),
                random(),
            )),
            keys: None,
            clock: Arc::new(OffsetClock::new(clock(), wrong)),
            random: random(),
        })
        .unwrap();
        let seen = self.mailbox.len();
        let pending = phone.sign_in_start(portal.url(), email).await.unwrap();
        let mail = self.mailbox.next_to(email, seen).await;
        let six = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
        let words = |c: char| !c.is_ascii_alphanumeric();
        let code = mail.body.split(words).find(six).unwrap().to_owned();
        let report = phone
            .sign_in_finish(&pending, &code, "phone")
            .await
            .unwrap();
        assert!(report.failures.is_empty(), "{report:?}");
        phone
    }
}

fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock)
}

fn random() -> Arc<SystemRandom> {
    Arc::new(SystemRandom)
}

fn door(desk: &StaffDesk, name: &str) -> Door {
    let doors = desk.doors().unwrap();
    doors.into_iter().find(|door| door.name == name).unwrap()
}

fn done<T: std::fmt::Debug>(submitted: Submitted<T>) -> T {
    match submitted {
        Submitted::Done(value) => value,
        waiting @ Submitted::Waiting(_) => panic!("{waiting:?}"),
    }
}

/// A controller with a network: it lays its offer before the portal and waits for the installer.
async fn online(house: &House, portal: &Portal, desk: &StaffDesk, name: &str) -> Running {
    let folder = house.path().join(name);
    let mut controller = Controller::create(&folder, Env::system()).unwrap();
    let code = controller.code().to_string();
    let url = portal.url().parse().unwrap();
    // The stream carrier's address must be known before it is installed.
    let stream = free_address();
    let request = InstallController {
        code,
        offer: None,
        stream_address: Some(stream.to_string()),
    };
    let door = door(desk, name).id;
    let installing = async {
        // The code is on the controller's screen before its offer is at the portal.
        loop {
            match desk.install_controller(door, &request).await {
                Err(Error::Refused(_)) => {}
                installed => break done(installed.unwrap()),
            }
        }
    };
    let (_, waited) = tokio::join!(installing, wait_for_installer(&mut controller, &url));
    assert_eq!(waited.unwrap().door, door);
    let config = RunConfig {
        stream: Some(stream),
        portal_url: Some(url),
        ..RunConfig::default()
    };
    controller.start(config).await.unwrap()
}

/// One without: the installer's app carries offer and package.
async fn offline(house: &House, desk: &StaffDesk, name: &str) -> Running {
    let folder = house.path().join(name);
    let mut controller = Controller::create(&folder, Env::system()).unwrap();
    let stream = free_address();
    let request = InstallController {
        code: controller.code().to_string(),
        offer: Some(Base64(controller.offer().unwrap().to_bytes())),
        stream_address: Some(stream.to_string()),
    };
    let door = door(desk, name).id;
    let installed = done(desk.install_controller(door, &request).await.unwrap());
    controller.install(&installed.package.to_string()).unwrap();
    let config = RunConfig {
        stream: Some(stream),
        ..RunConfig::default()
    };
    controller.start(config).await.unwrap()
}

fn free_address() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

async fn unlock(phone: &Phone, name: &str, carrier: CarrierKind) -> Result<(), Error> {
    let doors = phone.doors().unwrap();
    let at: DoorRef = doors.iter().find(|door| door.name == name).unwrap().at;
    let options = UnlockOptions {
        carriers: vec![carrier],
        ..UnlockOptions::default()
    };
    phone.unlock(at, &options, &|_| {}).await.map(drop)
}

/// Syncs until the phone shows this.
async fn until(phone: &Phone, shows: impl Fn(&Phone) -> bool) {
    while !shows(phone) {
        phone.sync().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_issue_a_key_and_a_resident_opens_both_kinds_of_door() {
    let house = House::new().await;
    let portal = house.portal().await;
    let olga = house
        .phone(&portal, "olga@example.com", TimeDelta::zero())
        .await;
    let property = olga.properties().unwrap()[0].id;
    let desk = olga.staff(property).unwrap();
    let gate = online(&house, &portal, &desk, "Gate").await;
    let _cellar = offline(&house, &desk, "Cellar").await;

    let rita = house
        .phone(&portal, "rita@example.com", TimeDelta::minutes(-4))
        .await;
    olga.sync().await.unwrap();
    let people = desk.people().unwrap();
    let person = people.iter().find(|p| p.name == "Rita Resident").unwrap();
    let draft = |name: &str, person| KeyDraft {
        name: name.to_owned(),
        kind: KeyKind::Mobile,
        persons: vec![person],
        doors: KeyDoors::All,
        rules: AccessRules::default(),
    };
    let herself = olga.properties().unwrap()[0].person;
    done(desk.issue_key(&draft("Master", herself)).await.unwrap());
    let key = draft("Apartment 12", person.id);
    let key = done(desk.issue_key(&key).await.unwrap());
    let ready = |phone: &Phone| {
        let keys = phone.keys().unwrap();
        keys.first().is_some_and(|key| {
            key.shows_codes && key.doors.iter().all(|door| door.usable.is_allowed())
        })
    };
    until(&rita, ready).await;
    until(&olga, ready).await;

    let mut news = olga.follow().unwrap();
    unlock(&rita, "Gate", CarrierKind::Stream).await.unwrap();
    unlock(&rita, "Gate", CarrierKind::Relay).await.unwrap();
    unlock(&rita, "Cellar", CarrierKind::Stream).await.unwrap();

    let at = rita.keys().unwrap()[0].at;
    let code = rita.current_code(at, None).await.unwrap();
    let answer = gate.scan(&code.text).await.unwrap();
    assert!(answer.opened, "{answer:?}");
    let again = gate.scan(&code.text).await.unwrap();
    assert_eq!(again.reason, Some(Reason::CodeUsedBefore), "{again:?}");

    // What happened at the gate comes to the desk by itself.
    let opened = || {
        let events = desk.events().unwrap();
        events.iter().filter(|event| event.denied.is_none()).count()
    };
    while opened() < 3 {
        let change = news.next().await.unwrap();
        assert!(!matches!(change, PhoneChange::Offline { .. }), "{change:?}");
    }
    drop(news);

    // A phone that has not heard of it is refused at the online door, as soon as the list is there.
    done(desk.withdraw_key(key.id).await.unwrap());
    let refused = loop {
        if let Err(refused) = unlock(&rita, "Gate", CarrierKind::Stream).await {
            break refused;
        }
    };
    let reason = Reason::Revoked;
    assert!(
        matches!(refused, Error::Denied { reason: r, .. } if r == reason),
        "{refused:?}"
    );

    // A door without a network still opens for it, until somebody else brings the list; and that
    // phone takes the proof along.
    unlock(&rita, "Cellar", CarrierKind::Stream).await.unwrap();
    olga.sync().await.unwrap();
    unlock(&olga, "Cellar", CarrierKind::Stream).await.unwrap();
    let refused = unlock(&rita, "Cellar", CarrierKind::Stream).await;
    assert!(
        matches!(refused, Err(Error::Denied { reason: r, .. }) if r == reason),
        "{refused:?}"
    );
    until(&olga, |_| {
        let keys = desk.keys().unwrap();
        let withdrawn = keys.into_iter().find(|k| k.id == key.id);
        let doors = withdrawn.and_then(|key| key.withdrawal).unwrap().doors;
        doors.len() == 2 && doors.iter().all(|door| door.dead_at.is_some())
    })
    .await;
    until(&rita, |rita| rita.keys().unwrap().is_empty()).await;

    // Without the portal, both kinds of door open: they decide by themselves.
    portal.shutdown().await;
    let offline = olga.sync().await;
    assert!(matches!(offline, Err(Error::Offline(_))), "{offline:?}");
    unlock(&olga, "Gate", CarrierKind::Stream).await.unwrap();
    unlock(&olga, "Cellar", CarrierKind::Stream).await.unwrap();
}
