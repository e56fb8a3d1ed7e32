//! Wallets that earlier versions wrote open: `tests/fixtures/wallet-N` is kept for each version N of the
//! tables, with its sealing key beside it, which seals nothing but that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use latchkey_core::outbox::{Action, Outcome};
use latchkey_core::phone::{Phone, PhoneConfig};
use latchkey_core::wallet::{
    FileSealingKey, SealingKey, SealingKeyError, SealingKeyStore, WalletId,
};
use latchkey_env::{SystemRandom, VirtualClock};
use latchkey_protocol::api::people::NewPerson;
use latchkey_protocol::code::Code;
use latchkey_protocol::roles::Role;
use latchkey_protocol::rules::Decision;

use crate::door::{Script, TestDoor};
use crate::wire::Fault;
use crate::world::{GATE, PASS, PROPERTY, World, at, membership, the_key};

/// The version of the tables that this code writes.
const NEWEST: u32 = 4;

fn fixture(version: u32) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fixtures.join(format!("wallet-{version}"))
}

struct Kept([u8; 32]);

impl SealingKeyStore for Kept {
    fn load(&self, _: WalletId) -> Result<Option<SealingKey>, SealingKeyError> {
        Ok(Some(SealingKey::new(self.0)))
    }

    fn create(&self, _: WalletId) -> Result<SealingKey, SealingKeyError> {
        Err(SealingKeyError::Refused("it is there".to_owned()))
    }
}

#[tokio::test]
async fn a_wallet_of_every_version_opens_and_works() {
    for version in 1..=NEWEST {
        let kept = fixture(version);
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(kept.join("wallet.db"), dir.path().join("wallet.db")).unwrap();
        let sealing = std::fs::read(kept.join("sealing-key")).unwrap();
        let phone = Phone::open(PhoneConfig {
            folder: dir.path().to_owned(),
            sealing: Arc::new(Kept(sealing.try_into().unwrap())),
            keys: None,
            clock: Arc::new(VirtualClock::at("2026-11-24T09:00:00Z")),
            random: Arc::new(SystemRandom),
        })
        .unwrap();
        let property = &phone.properties().unwrap()[0];
        assert_eq!((property.id, property.role), (PROPERTY, Role::Staff));
        let key = &phone.keys().unwrap()[0];
        assert_eq!(key.name, "Apartment 12");
        assert_eq!(key.doors[0].usable, Decision::Allowed { until: None });
        let entry = &phone.outbox().unwrap()[0];
        assert_eq!(entry.action, Action::AddPerson("Vic Vendor".to_owned()));
        assert_eq!(entry.outcome, Outcome::Waiting);
        // Its private keys still sign.
        let code = phone.current_code(the_key(), None).await.unwrap();
        assert_eq!(Code::parse(&code.text).unwrap().pass, PASS);
    }
}

/// Writes the fixture of the newest version. Run it once for a new version, and never for an old one:
/// `cargo test -p latchkey-core --test phone -- --ignored write_the_fixture`.
#[tokio::test]
#[ignore = "writes the newest version's fixture: run by hand, once for each version"]
async fn write_the_fixture() {
    let mut world = World::hasty().await;
    world.wire.state().memberships = vec![membership(Role::Staff)];
    let door = TestDoor::start(&world, Script::remembering(GATE, 1)).await;
    world.doors[0].stream_address = Some(door.address.clone());
    let phone = world.signed_in().await;
    for _ in 0..3 {
        world.wire.state().fault("/people", Fault::Down);
    }
    let person = NewPerson {
        name: "Vic Vendor".to_owned(),
        role: Role::Vendor,
        email: None,
    };
    phone
        .staff(PROPERTY)
        .unwrap()
        .add_person(&person)
        .await
        .unwrap();
    drop(phone);
    // A door does not answer in no time at all.
    let phone = Phone::open(PhoneConfig {
        folder: world.folder(),
        sealing: Arc::new(FileSealingKey::new(
            world.dir.path().join("keys"),
            Arc::new(SystemRandom),
        )),
        keys: None,
        clock: Arc::new(world.clock.clone()),
        random: Arc::new(SystemRandom),
    })
    .unwrap();
    let met = phone.unlock(at(GATE), &Default::default(), &|_| {}).await;
    met.unwrap();
    drop(phone);
    let folder = fixture(NEWEST);
    std::fs::create_dir_all(&folder).unwrap();
    rusqlite::Connection::open(world.folder().join("wallet.db"))
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    std::fs::copy(world.folder().join("wallet.db"), folder.join("wallet.db")).unwrap();
    let keys = std::fs::read_dir(world.dir.path().join("keys")).unwrap();
    for key in keys {
        std::fs::write(
            folder.join("sealing-key"),
            std::fs::read(key.unwrap().path()).unwrap(),
        )
        .unwrap();
    }
}
