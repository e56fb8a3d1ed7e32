//! Doors that have met this phone: known again without a signature, by the chosen door alone.

use std::sync::Arc;
use std::time::Duration;

use aliro::document::RawDocument;
use aliro::reader::Phase;
use async_trait::async_trait;
use latchkey_core::error::Error;
use latchkey_core::keys::{DeviceKeyError, DeviceKeys, KeyUse, Protection, SoftwareKeys};
use latchkey_core::phone::{Phone, PhoneConfig};
use latchkey_protocol::api::auth::CredentialUse;
use latchkey_protocol::api::sync::{Entity, EntityKind, RevocationEntity};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::Generation;
use latchkey_protocol::private::Outcome;
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::rules::Reason;

use crate::door::{Script, TestDoor};
use crate::unlock::{phone_at, told_nothing, unlock};
use crate::world::{GATE, POOL, PROPERTY, Signer, World};

use Phase::{Fast, Standard};

/// How the door knew whoever came.
fn phases(door: &TestDoor) -> Vec<Phase> {
    let seen = door.seen.lock().unwrap();
    seen.known.iter().map(|who| who.phase).collect()
}

/// How many doors the phone remembers.
fn remembered(world: &World) -> u32 {
    let wallet = rusqlite::Connection::open(world.folder().join("wallet.db")).unwrap();
    wallet
        .query_row("SELECT count(*) FROM readers", [], |row| row.get(0))
        .unwrap()
}

/// The phone hears that the gate is elsewhere.
async fn gate_is_at(world: &mut World, phone: &Phone, door: &TestDoor) {
    world.doors[0].stream_address = Some(door.address.clone());
    world.serve_again();
    phone.sync().await.unwrap();
}

#[tokio::test]
async fn the_second_visit_takes_no_signature_and_no_grant_after_a_restart_either() {
    let mut world = World::new().await;
    let door = TestDoor::start(&world, Script::remembering(GATE, 1)).await;
    let phone = phone_at(&mut world, &door.address).await;
    unlock(&phone, GATE).await.0.unwrap();
    assert_eq!((phases(&door), remembered(&world)), (vec![Standard], 1));
    unlock(&phone, GATE).await.0.unwrap();
    drop(phone);
    unlock(&world.phone(), GATE).await.0.unwrap();
    assert_eq!(phases(&door), [Standard, Fast, Fast]);
    let seen = door.seen.lock().unwrap();
    let own = world.registered(CredentialUse::Access);
    assert_eq!(seen.credentials, [own; 3]);
    assert_eq!(seen.documents.len(), 1);
    let attempts: std::collections::BTreeSet<_> = seen.commits.iter().map(|(id, _)| *id).collect();
    assert_eq!((attempts.len(), seen.commits.len()), (3, 3), "as ever");
}

#[tokio::test]
async fn a_door_that_wants_more_gets_a_signature_in_the_same_conversation() {
    let mut world = World::new().await;
    let script = Script {
        insists: true,
        ..Script::remembering(GATE, 1)
    };
    let door = TestDoor::start(&world, script).await;
    let phone = phone_at(&mut world, &door.address).await;
    unlock(&phone, GATE).await.0.unwrap();
    // A newer grant is said so at once, not the one of before.
    world.clock.advance(Duration::from_secs(60));
    world.serve_again();
    phone.sync().await.unwrap();
    unlock(&phone, GATE).await.0.unwrap();
    assert_eq!(phases(&door), [Standard, Fast, Standard]);
    let seen = door.seen.lock().unwrap();
    let signed = RawDocument::decode(&world.grant().document.0).unwrap();
    let signed = Some(signed.signed().to_bytes());
    let told: Vec<_> = seen.known.iter().map(|who| who.access_signed).collect();
    assert_ne!(told[0], signed);
    assert_eq!(told[1..], [signed, signed]);
    assert_eq!((seen.documents.len(), seen.commits.len()), (2, 2));
    assert_eq!(seen.bytes.len(), 2, "one connection each");
}

#[tokio::test]
async fn a_door_that_has_not_opened_is_not_remembered() {
    let mut world = World::new().await;
    let denied = Outcome::Denied {
        reason: Reason::OutsideHours,
        next: None,
    };
    let script = Script {
        outcome: denied,
        ..Script::remembering(GATE, 1)
    };
    let door = TestDoor::start(&world, script.clone()).await;
    let phone = phone_at(&mut world, &door.address).await;
    assert!(unlock(&phone, GATE).await.0.is_err());
    assert!(unlock(&phone, GATE).await.0.is_err());
    assert_eq!((phases(&door), remembered(&world)), (vec![Standard; 2], 0));

    let silent = Script {
        outcome: Outcome::Opened { until: None },
        lose_answers: 2,
        ..script
    };
    let door = TestDoor::start(&world, silent).await;
    gate_is_at(&mut world, &phone, &door).await;
    assert!(unlock(&phone, GATE).await.0.is_err());
    assert_eq!(remembered(&world), 0);
}

#[tokio::test]
async fn what_the_door_has_forgotten_takes_a_signature_and_is_remembered_anew() {
    let mut world = World::new().await;
    let door = TestDoor::start(&world, Script::remembering(GATE, 1)).await;
    let phone = phone_at(&mut world, &door.address).await;
    unlock(&phone, GATE).await.0.unwrap();
    let wiped = TestDoor::start(&world, Script::remembering(GATE, 1)).await;
    gate_is_at(&mut world, &phone, &wiped).await;
    unlock(&phone, GATE).await.0.unwrap();
    unlock(&phone, GATE).await.0.unwrap();
    assert_eq!(phases(&wiped), [Standard, Fast]);
}

#[tokio::test]
async fn a_door_that_says_withdrawn_is_forgotten() {
    let mut world = World::new().await;
    let script = Script::remembering(GATE, 1);
    let door = TestDoor::start(&world, script.clone()).await;
    let phone = phone_at(&mut world, &door.address).await;
    unlock(&phone, GATE).await.0.unwrap();
    let withdrawn = Outcome::Denied {
        reason: Reason::Revoked,
        next: None,
    };
    let script = Script {
        outcome: withdrawn,
        ..script
    };
    let later = TestDoor::start(&world, script).await;
    gate_is_at(&mut world, &phone, &later).await;
    assert!(unlock(&phone, GATE).await.0.is_err());
    assert_eq!((phases(&later), remembered(&world)), (vec![Fast], 0));
}

#[tokio::test]
async fn another_generation_is_met_anew_and_the_one_before_learns_nothing_any_more() {
    let mut world = World::new().await;
    let first = TestDoor::start(&world, Script::remembering(GATE, 1)).await;
    let phone = phone_at(&mut world, &first.address).await;
    unlock(&phone, GATE).await.0.unwrap();

    // The same memory, as if the key had moved with the store: the name is another.
    let second = Script {
        generation: Generation(2),
        memory: Some(memory_of(&first)),
        ..Script::opening(GATE, 1)
    };
    let second = TestDoor::start(&world, second).await;
    gate_is_at(&mut world, &phone, &second).await;
    unlock(&phone, GATE).await.0.unwrap();
    unlock(&phone, GATE).await.0.unwrap();
    assert_eq!(phases(&second), [Standard, Fast]);
    assert_eq!(remembered(&world), 1, "in place of the one before");

    gate_is_at(&mut world, &phone, &first).await;
    unlock(&phone, GATE).await.0.unwrap();
    assert_eq!(
        phases(&first),
        [Standard, Standard],
        "not heard of the change"
    );
    world.doors[0].generation = Some(Generation(2));
    world.serve_again();
    phone.sync().await.unwrap();
    assert_eq!(remembered(&world), 0, "it hears of it");
    assert!(matches!(
        unlock(&phone, GATE).await.0,
        Err(Error::WrongDoor)
    ));
    assert_eq!(phases(&first), [Standard, Standard]);
}

fn memory_of(door: &TestDoor) -> Arc<aliro::reader::BoundedMemory> {
    door.script.memory.clone().unwrap()
}

/// Whoever takes the gate's name and asks for the cryptogram gets bytes that say nothing, from a phone that
/// has met the gate as from one that has not.
#[tokio::test]
async fn an_impostor_learns_nothing_from_a_phone_that_has_met_the_door() {
    let mut world = World::new().await;
    let gate = TestDoor::start(&world, Script::remembering(GATE, 1)).await;
    let phone = phone_at(&mut world, &gate.address).await;
    unlock(&phone, GATE).await.0.unwrap();
    let named = Script::remembering(GATE, 1);
    let impostors = [
        // Without a certificate of the property, under the gate's very name.
        TestDoor::certified_by(&Signer::new(), named).await,
        // With one, of another door: it says so, or takes the gate's name in the hello.
        TestDoor::start(
            &world,
            Script {
                hello_as: GATE,
                memory: Some(memory_of(&gate)),
                ..Script::opening(POOL, 2)
            },
        )
        .await,
    ];
    for impostor in impostors {
        gate_is_at(&mut world, &phone, &impostor).await;
        let outcome = unlock(&phone, GATE).await.0;
        assert!(matches!(outcome, Err(Error::WrongDoor)), "{outcome:?}");
        told_nothing(&world, &impostor).await;
    }
    gate_is_at(&mut world, &phone, &gate).await;
    unlock(&phone, GATE).await.0.unwrap();
    assert_eq!(phases(&gate), [Standard, Fast], "and nothing is lost by it");
}

/// A keystore that asks for a fingerprint.
struct Asking(SoftwareKeys);

#[async_trait]
impl DeviceKeys for Asking {
    fn protection(&self) -> Protection {
        self.0.protection()
    }
    fn needs_presence(&self) -> bool {
        true
    }
    async fn create(&self, label: &str, usage: KeyUse) -> Result<[u8; 65], DeviceKeyError> {
        self.0.create(label, usage).await
    }
    async fn public_key(&self, label: &str) -> Result<Option<[u8; 65]>, DeviceKeyError> {
        self.0.public_key(label).await
    }
    async fn sign(&self, label: &str, message: &[u8]) -> Result<[u8; 64], DeviceKeyError> {
        self.0.sign(label, message).await
    }
    async fn delete(&self, label: &str) -> Result<(), DeviceKeyError> {
        self.0.delete(label).await
    }
}

#[tokio::test]
async fn where_the_person_has_to_be_there_every_visit_takes_a_signature() {
    let mut world = World::new().await;
    let door = TestDoor::start(&world, Script::remembering(GATE, 1)).await;
    let phone = phone_at(&mut world, &door.address).await;
    unlock(&phone, GATE).await.0.unwrap();
    drop(phone);
    // The same wallet, and from now on its keystore asks.
    let phone = Phone::open(PhoneConfig {
        keys: Some(Arc::new(Asking(SoftwareKeys::new(world.wallet())))),
        ..world.phone_config()
    })
    .unwrap();
    unlock(&phone, GATE).await.0.unwrap();
    unlock(&phone, GATE).await.0.unwrap();
    assert_eq!((phases(&door), remembered(&world)), (vec![Standard; 3], 0));
}

#[tokio::test]
async fn what_is_remembered_goes_with_key_phone_credential_and_portal() {
    let met = async || {
        let mut world = World::new().await;
        let door = TestDoor::start(&world, Script::remembering(GATE, 1)).await;
        let phone = phone_at(&mut world, &door.address).await;
        unlock(&phone, GATE).await.0.unwrap();
        assert_eq!(remembered(&world), 1);
        (world, phone, door)
    };
    let (world, phone, _door) = met().await;
    world.serve_again();
    phone.sync().await.unwrap();
    assert_eq!(remembered(&world), 1, "a sync alone changes nothing");
    // The key is another person's now.
    world.serve_again();
    for change in &mut world
        .wire
        .state()
        .pages
        .get_mut(&(PROPERTY, "c2".to_owned()))
        .unwrap()
        .changes
    {
        if let Some(Entity::Key(key)) = &mut change.value {
            key.persons.clear();
        }
    }
    phone.sync().await.unwrap();
    assert_eq!(remembered(&world), 0);

    // A sync from the beginning does not bring the key again.
    let (world, phone, _door) = met().await;
    world.serve();
    {
        let mut state = world.wire.state();
        state.pages.remove(&(PROPERTY, "c2".to_owned()));
        for page in state.pages.values_mut() {
            page.changes.retain(|change| change.kind != EntityKind::Key);
        }
        let (whole, rest) = (String::new(), "c1".to_owned());
        state
            .pages
            .get_mut(&(PROPERTY, rest))
            .unwrap()
            .changes
            .clear();
        assert!(!state.pages[&(PROPERTY, whole)].changes.is_empty());
    }
    phone.sync().await.unwrap();
    assert_eq!(phone.keys().unwrap(), []);
    assert_eq!(remembered(&world), 0);

    // The phone finds itself on the list.
    let (mut world, phone, door) = met().await;
    let mut list = Revocations::default();
    (list.number.epoch, list.number.version) = (1, 1);
    let own = world.registered(CredentialUse::Access);
    list.credentials.insert(aliro::document::key_hash(&own));
    let signed = aliro::document::Timestamp::from_epoch(1_795_000_000).unwrap();
    let unsigned = list.prepare(&world.issuer.public(), signed, [7; 16]);
    let unsigned = unsigned.unwrap();
    let signature = world.issuer.sign(&unsigned.to_be_signed());
    let document = unsigned.finish(signature).unwrap().as_bytes().to_vec();
    world.revocation = Some(RevocationEntity {
        epoch: 1,
        version: 1,
        document: Base64(document),
    });
    world.serve_again();
    phone.sync().await.unwrap();
    assert_eq!(remembered(&world), 0);
    let outcome = unlock(&phone, GATE).await.0;
    let revoked = Reason::Revoked;
    assert!(matches!(outcome, Err(Error::Denied { reason, .. }) if reason == revoked));
    assert_eq!(
        door.seen.lock().unwrap().commits.len(),
        1,
        "it does not commit"
    );

    // The platform has lost its keys: new ones are registered.
    let (world, phone, _door) = met().await;
    let keys = SoftwareKeys::new(world.wallet());
    let property: Vec<u8> = rusqlite::Connection::open(world.folder().join("wallet.db"))
        .unwrap()
        .query_row("SELECT id FROM properties", [], |row| row.get(0))
        .unwrap();
    let property: String = property.iter().map(|byte| format!("{byte:02x}")).collect();
    for usage in ["access", "code"] {
        let label = format!("latchkey.{usage}.{property}");
        assert!(keys.public_key(&label).await.unwrap().is_some(), "{label}");
        keys.delete(&label).await.unwrap();
    }
    phone.sync().await.unwrap();
    assert_eq!(remembered(&world), 0);

    let (world, phone, _door) = met().await;
    phone.sign_out(&world.wire.url()).await.unwrap();
    assert_eq!(remembered(&world), 0);
}
