//! A property with one resident's phone and a portal's wire: what most tests begin with.

use std::path::PathBuf;
use std::sync::Arc;

use aliro::crypto::{PublicKey, Signature};
use aliro::document::issuer::{AccessDocument, Element};
use aliro::document::{AccessData, AccessRule, Capabilities, IssuerName, Timestamp, Validity};
use latchkey_core::phone::{Phone, PhoneConfig};
use latchkey_core::views::{DoorRef, KeyRef};
use latchkey_core::wallet::FileSealingKey;
use latchkey_env::{Clock as _, OffsetClock, SharedClock, SystemRandom, VirtualClock};
use latchkey_protocol::api::auth::{CredentialUse, Membership};
use latchkey_protocol::api::doors::{Door, DoorKind, DoorReach};
use latchkey_protocol::api::keys::{Key, KeyDoors, KeyKind};
use latchkey_protocol::api::property::Property;
use latchkey_protocol::api::sync::{
    Change, Entity, EntityKind, GrantEntity, PassEntity, RevocationEntity,
};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{DoorId, DoorNumber, Generation, KeyId, PassId, PersonId, PropertyId};
use latchkey_protocol::pass::{DoorSet, Pass, SignedPass};
use latchkey_protocol::roles::Role;
use latchkey_protocol::rules::{AccessRules, Holidays, Offsets, Span, Status};
use ring::rand::SystemRandom as RingRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use tempfile::TempDir;

use crate::hasty::HastyClock;
use crate::wire::{CODE, Wire, credential_id};

pub const PROPERTY: PropertyId = PropertyId([0x50; 16]);
pub const RITA: PersonId = PersonId([0x31; 16]);
pub const KEY: KeyId = KeyId([0x4B; 16]);
pub const PASS: PassId = PassId([0x70; 8]);
pub const GATE: DoorId = DoorId([0xD1; 12]);
pub const POOL: DoorId = DoorId([0xD2; 12]);
pub const EMAIL: &str = "rita@example.com";

/// A P-256 key pair that signs.
pub struct Signer(EcdsaKeyPair);

impl Signer {
    pub fn new() -> Self {
        let random = RingRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    pub fn public(&self) -> PublicKey {
        PublicKey::from_uncompressed(self.0.public_key().as_ref()).unwrap()
    }

    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature = self.0.sign(&RingRandom::new(), message).unwrap();
        Signature::from_slice(signature.as_ref()).unwrap()
    }
}

pub struct World {
    pub dir: TempDir,
    /// True time.
    pub clock: VirtualClock,
    /// The phone's.
    pub phone_clock: OffsetClock,
    pub wire: Wire,
    pub issuer: Signer,
    pub reader_ca: Signer,
    pub doors: Vec<Door>,
    pub rules: AccessRules,
    /// Doors that are proved to know the pass.
    pub known_at: Vec<DoorId>,
    pub last_used: Option<u64>,
    pub revocation: Option<RevocationEntity>,
}

impl World {
    pub async fn new() -> Self {
        let clock = VirtualClock::at("2026-11-24T09:00:00Z");
        let hasty: SharedClock = Arc::new(HastyClock(clock.clone()));
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            phone_clock: OffsetClock::new(hasty, chrono::TimeDelta::zero()),
            wire: Wire::new(clock.clone()).await,
            clock,
            issuer: Signer::new(),
            reader_ca: Signer::new(),
            doors: vec![door(GATE, 1, "Harbour gate"), door(POOL, 2, "Pool house")],
            rules: AccessRules::default(),
            known_at: Vec::new(),
            last_used: None,
            revocation: None,
        };
        world.wire.state().memberships = vec![membership(Role::Resident)];
        world
    }

    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("wallet")
    }

    pub fn phone(&self) -> Arc<Phone> {
        let random = Arc::new(SystemRandom);
        Phone::open(PhoneConfig {
            folder: self.folder(),
            sealing: Arc::new(FileSealingKey::new(
                self.dir.path().join("keys"),
                random.clone(),
            )),
            keys: None,
            clock: Arc::new(self.phone_clock.clone()),
            random,
        })
        .unwrap()
    }

    /// A phone that is signed in and has synced: what it needs at the doors came with the second sync,
    /// when its keys were registered.
    pub async fn signed_in(&self) -> Arc<Phone> {
        let phone = self.phone();
        self.sign_in(&phone).await;
        self.serve();
        let report = phone.sync().await.unwrap();
        assert!(report.failures.is_empty(), "{report:?}");
        phone
    }

    pub async fn sign_in(&self, phone: &Phone) {
        self.wire.state().serve(PROPERTY, Vec::new());
        let pending = phone.sign_in_start(&self.wire.url(), EMAIL).await.unwrap();
        let report = phone.sign_in_finish(&pending, CODE, "Rita's phone").await.unwrap();
        assert!(report.failures.is_empty(), "{report:?}");
    }

    /// From now on the portal has all of this property.
    pub fn serve(&self) {
        let changes = self.changes();
        let mut state = self.wire.state();
        state.serve(PROPERTY, changes.clone());
        let page = state.pages[&(PROPERTY, String::new())].clone();
        state.pages.insert((PROPERTY, "c1".to_owned()), latchkey_protocol::api::sync::SyncPage {
            changes,
            cursor: "c2".to_owned(),
            ..page.clone()
        });
        state.pages.insert((PROPERTY, "c2".to_owned()), latchkey_protocol::api::sync::SyncPage {
            changes: Vec::new(),
            cursor: "c2".to_owned(),
            ..page
        });
    }

    /// The public key that the phone registered.
    pub fn registered(&self, usage: CredentialUse) -> PublicKey {
        let state = self.wire.state();
        let found = state.registered.iter().rev().find(|r| r.usage == usage);
        PublicKey::from_uncompressed(&found.unwrap().public_key.0).unwrap()
    }

    pub fn changes(&self) -> Vec<Change> {
        let mut changes = vec![
            change(EntityKind::Property, &PROPERTY, Entity::Property(Box::new(self.settings()))),
            change(EntityKind::Key, &KEY, Entity::Key(Box::new(self.key()))),
            change(EntityKind::Grant, &"0", Entity::Grant(self.grant())),
            change(EntityKind::Pass, &PASS, Entity::Pass(self.pass())),
        ];
        for door in &self.doors {
            changes.push(change(EntityKind::Door, &door.id, Entity::Door(Box::new(door.clone()))));
        }
        if let Some(list) = &self.revocation {
            changes.push(change(EntityKind::Revocation, &"list", Entity::Revocation(list.clone())));
        }
        changes
    }

    pub fn settings(&self) -> Property {
        let span = Span {
            from: "2026-01-01T00:00:00Z".parse().unwrap(),
            until: "2036-01-01T00:00:00Z".parse().unwrap(),
        };
        Property {
            id: PROPERTY,
            name: "Harbour View".to_owned(),
            offsets: Offsets::new("Etc/UTC", "2026a", span, 0, []).unwrap(),
            holidays: Holidays::default(),
            issuer_key: Base64(self.issuer.public().as_bytes().to_vec()),
            reader_ca_key: Base64(self.reader_ca.public().as_bytes().to_vec()),
            grant_lifetime: 7 * 24 * 3600,
        }
    }

    fn key(&self) -> Key {
        Key {
            id: KEY,
            name: "Apartment 12".to_owned(),
            kind: KeyKind::Mobile,
            persons: vec![RITA],
            doors: KeyDoors::Some(vec![GATE, POOL]),
            rules: self.rules.clone(),
            status: Status::Active,
            created_by: PersonId([9; 16]),
            created_at: self.clock.now(),
            link: None,
            withdrawal: None,
        }
    }

    pub fn grant(&self) -> GrantEntity {
        let valid_until = self.clock.now() + chrono::TimeDelta::days(7);
        let time = |at: chrono::DateTime<chrono::Utc>| Timestamp::from_epoch(at.timestamp()).unwrap();
        let element = |name: &str| Element {
            identifier: name.to_owned(),
            salt: [0x5A; 16],
            data: AccessData {
                id: vec![0xE1; 8],
                rules: vec![AccessRule {
                    capabilities: Capabilities::UNSECURE,
                    allow: 0,
                    deny: 0,
                }],
                ..AccessData::default()
            },
        };
        let unsigned = AccessDocument {
            issuer: IssuerName::KeyId(aliro::document::issuer::key_id(&self.issuer.public())),
            device_key: self.registered(CredentialUse::Access),
            validity: Validity {
                signed: time(self.clock.now()),
                valid_from: time(self.clock.now()),
                valid_until: time(valid_until),
                expected_update: None,
                iteration: Some(1),
            },
            time_required: false,
            elements: vec![element("1.1"), element("2.1")],
        }
        .prepare()
        .unwrap();
        let signature = self.issuer.sign(&unsigned.to_be_signed());
        GrantEntity {
            credential: credential_id(CredentialUse::Access),
            index: 0,
            doors: vec![GATE, POOL],
            keys: vec![KEY],
            document: Base64(unsigned.finish(signature).unwrap().as_bytes().to_vec()),
            valid_until,
        }
    }

    fn pass(&self) -> PassEntity {
        let until = self.clock.now() + chrono::TimeDelta::days(30);
        let payload = Pass {
            id: PASS,
            code_key: self.registered(CredentialUse::Code),
            doors: DoorSet::of([DoorNumber(1), DoorNumber(2)]),
            rules: self.rules.clone(),
            until: u32::try_from(until.timestamp()).unwrap(),
        }
        .payload()
        .unwrap();
        let signature = self.issuer.sign(&Pass::to_be_signed(PROPERTY, &payload));
        PassEntity {
            pass: PASS,
            key: KEY,
            credential: credential_id(CredentialUse::Code),
            statement: Base64(SignedPass::new(payload, signature).to_bytes()),
            until,
            known_at: self.known_at.clone(),
            last_used: self.last_used,
        }
    }
}

pub fn door(id: DoorId, number: u16, name: &str) -> Door {
    Door {
        id,
        number: DoorNumber(number),
        name: name.to_owned(),
        kind: DoorKind::Gate,
        reach: DoorReach::Online,
        place: "By the water".to_owned(),
        generation: Some(Generation(1)),
        stream_address: None,
        connected: true,
        last_contact: None,
    }
}

pub fn membership(role: Role) -> Membership {
    Membership {
        property: PROPERTY,
        property_name: "Harbour View".to_owned(),
        person: RITA,
        person_name: "Rita Resident".to_owned(),
        role,
    }
}

pub fn at(door: DoorId) -> DoorRef {
    DoorRef {
        property: PROPERTY,
        door,
    }
}

pub fn the_key() -> KeyRef {
    KeyRef {
        property: PROPERTY,
        key: KEY,
    }
}

pub fn change(kind: EntityKind, id: &impl ToString, value: Entity) -> Change {
    Change {
        kind,
        id: id.to_string(),
        value: Some(value),
    }
}
