//! A property with one resident's phone and a portal's wire: what most tests begin with.

use std::path::PathBuf;
use std::sync::Arc;

use aliro::crypto::{PublicKey, Signature};
use aliro::document::issuer::{AccessDocument, Element};
use aliro::document::{AccessData, AccessRule, Capabilities, IssuerName, Timestamp, Validity};
use latchkey_core::phone::{Phone, PhoneConfig};
use latchkey_core::views::{DoorRef, KeyRef};
use latchkey_core::wallet::{FileSealingKey, Wallet};
use latchkey_env::{Clock as _, OffsetClock, SharedClock, SystemRandom, VirtualClock};
use latchkey_protocol::api::auth::{CredentialUse, Membership, RegisterCredential};
use latchkey_protocol::api::doors::{Door, DoorKind, DoorReach};
use latchkey_protocol::api::keys::{Key, KeyDoors, KeyKind};
use latchkey_protocol::api::property::Property;
use latchkey_protocol::api::sync::{
    Change, Entity, EntityKind, GrantEntity, PassEntity, RevocationEntity,
};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{DoorId, DoorNumber, Generation, KeyId, PassId, PersonId, PropertyId};
use latchkey_protocol::pass::{DoorSet, Pass, SignedPass};
use latchkey_protocol::roles::{GuestKinds, Role};
use latchkey_protocol::rules::{AccessRules, Holidays, Offsets, Span, Status};
use ring::rand::SystemRandom as RingRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use tempfile::TempDir;

use crate::hasty::HastyClock;
use crate::wire::{CODE, Wire, credential_id};

pub(crate) const PROPERTY: PropertyId = PropertyId([0x50; 16]);
pub(crate) const RITA: PersonId = PersonId([0x31; 16]);
pub(crate) const KEY: KeyId = KeyId([0x4B; 16]);
pub(crate) const PASS: PassId = PassId([0x70; 8]);
pub(crate) const GATE: DoorId = DoorId([0xD1; 12]);
pub(crate) const POOL: DoorId = DoorId([0xD2; 12]);
pub(crate) const EMAIL: &str = "rita@example.com";

/// A P-256 key pair that signs.
pub(crate) struct Signer(EcdsaKeyPair);

impl Signer {
    pub(crate) fn new() -> Self {
        let random = RingRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_uncompressed(self.0.public_key().as_ref()).unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let signature = self.0.sign(&RingRandom::new(), message).unwrap();
        Signature::from_slice(signature.as_ref()).unwrap()
    }
}

fn start() -> VirtualClock {
    VirtualClock::at("2026-11-24T09:00:00Z")
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    /// True time.
    pub(crate) clock: VirtualClock,
    /// The phone's.
    pub(crate) phone_clock: OffsetClock,
    pub(crate) wire: Arc<Wire>,
    pub(crate) issuer: Signer,
    pub(crate) reader_ca: Signer,
    pub(crate) doors: Vec<Door>,
    pub(crate) rules: AccessRules,
    /// Doors that are proved to know the pass.
    pub(crate) known_at: Vec<DoorId>,
    pub(crate) last_used: Option<u64>,
    pub(crate) revocation: Option<RevocationEntity>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = start();
        Self::with(clock.clone(), Arc::new(clock)).await
    }

    /// One whose phone does not wait for back-off.
    pub(crate) async fn hasty() -> Self {
        let clock = start();
        Self::with(clock.clone(), Arc::new(HastyClock(clock))).await
    }

    async fn with(clock: VirtualClock, phone_clock: SharedClock) -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            phone_clock: OffsetClock::new(phone_clock, chrono::TimeDelta::zero()),
            wire: Arc::new(Wire::new(clock.clone()).await),
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

    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join("wallet")
    }

    pub(crate) fn phone(&self) -> Arc<Phone> {
        Phone::open(self.phone_config()).unwrap()
    }

    pub(crate) fn phone_config(&self) -> PhoneConfig {
        PhoneConfig {
            folder: self.folder(),
            sealing: Arc::new(self.sealing()),
            keys: None,
            clock: Arc::new(self.phone_clock.clone()),
            random: Arc::new(SystemRandom),
        }
    }

    /// The phone's wallet, opened beside it.
    pub(crate) fn wallet(&self) -> Arc<Wallet> {
        Wallet::open(&self.folder(), &self.sealing(), Arc::new(SystemRandom)).unwrap()
    }

    fn sealing(&self) -> FileSealingKey {
        FileSealingKey::new(self.dir.path().join("keys"), Arc::new(SystemRandom))
    }

    /// A phone that is signed in and has synced: what it needs at the doors came with the second sync,
    /// when its keys were registered.
    pub(crate) async fn signed_in(&self) -> Arc<Phone> {
        self.signed_in_at(&self.wire.url()).await
    }

    pub(crate) async fn signed_in_at(&self, url: &str) -> Arc<Phone> {
        let phone = self.phone();
        self.sign_in(&phone, url).await;
        self.serve();
        let report = phone.sync().await.unwrap();
        assert!(report.failures.is_empty(), "{report:?}");
        phone
    }

    pub(crate) async fn sign_in(&self, phone: &Phone, url: &str) {
        self.wire.state().serve(PROPERTY, Vec::new());
        let pending = phone.sign_in_start(url, EMAIL).await.unwrap();
        let report = phone
            .sign_in_finish(&pending, CODE, "Rita's phone")
            .await
            .unwrap();
        assert!(report.failures.is_empty(), "{report:?}");
    }

    /// From now on the portal has all of this property.
    pub(crate) fn serve(&self) {
        let changes = self.changes();
        let mut state = self.wire.state();
        state.serve(PROPERTY, changes.clone());
        let page = state.pages[&(PROPERTY, String::new())].clone();
        state.pages.insert(
            (PROPERTY, "c1".to_owned()),
            latchkey_protocol::api::sync::SyncPage {
                changes,
                cursor: "c2".to_owned(),
                ..page.clone()
            },
        );
        state.pages.insert(
            (PROPERTY, "c2".to_owned()),
            latchkey_protocol::api::sync::SyncPage {
                changes: Vec::new(),
                cursor: "c2".to_owned(),
                ..page
            },
        );
    }

    /// The same for a phone that has heard all of it, after something here was changed.
    pub(crate) fn serve_again(&self) {
        self.serve();
        let mut state = self.wire.state();
        let page = state.pages[&(PROPERTY, "c1".to_owned())].clone();
        state.pages.insert((PROPERTY, "c2".to_owned()), page);
    }

    /// The public key that the phone registered.
    pub(crate) fn registered(&self, usage: CredentialUse) -> PublicKey {
        key_of(&self.wire.state().registered, usage)
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        let registered = self.wire.state().registered.clone();
        self.changes_with(&registered)
    }

    /// All of the property, for a phone that registered these keys.
    pub(crate) fn changes_with(&self, registered: &[RegisterCredential]) -> Vec<Change> {
        let access = key_of(registered, CredentialUse::Access);
        let code = key_of(registered, CredentialUse::Code);
        let mut changes = vec![
            change(
                EntityKind::Property,
                &PROPERTY,
                Entity::Property(Box::new(self.settings())),
            ),
            change(EntityKind::Key, &KEY, Entity::Key(Box::new(self.key()))),
            change(
                EntityKind::Grant,
                &"0",
                Entity::Grant(self.grant_for(access)),
            ),
            change(EntityKind::Pass, &PASS, Entity::Pass(self.pass(code))),
        ];
        for door in &self.doors {
            changes.push(change(
                EntityKind::Door,
                &door.id,
                Entity::Door(Box::new(door.clone())),
            ));
        }
        if let Some(list) = &self.revocation {
            changes.push(change(
                EntityKind::Revocation,
                &"list",
                Entity::Revocation(list.clone()),
            ));
        }
        changes
    }

    pub(crate) fn settings(&self) -> Property {
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
            may_grant: GuestKinds::NONE,
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
            uses: None,
            created_by: PersonId([9; 16]),
            created_at: self.clock.now(),
            parent: None,
            link: None,
            withdrawal: None,
        }
    }

    pub(crate) fn grant(&self) -> GrantEntity {
        self.grant_for(self.registered(CredentialUse::Access))
    }

    fn grant_for(&self, device_key: PublicKey) -> GrantEntity {
        let valid_until = self.clock.now() + chrono::TimeDelta::days(7);
        let time =
            |at: chrono::DateTime<chrono::Utc>| Timestamp::from_epoch(at.timestamp()).unwrap();
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
            device_key,
            validity: Validity {
                signed: time(self.clock.now()),
                valid_from: time(self.clock.now()),
                valid_until: time(valid_until),
                expected_update: None,
                iteration: Some(1),
            },
            time_required: false,
            elements: vec![element("d1.1"), element("d2.1")],
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

    fn pass(&self, code_key: PublicKey) -> PassEntity {
        let until = self.clock.now() + chrono::TimeDelta::days(30);
        let payload = Pass {
            id: PASS,
            code_key,
            doors: DoorSet::of([DoorNumber(1), DoorNumber(2)]),
            rules: self.rules.clone(),
            budget: None,
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

fn key_of(registered: &[RegisterCredential], usage: CredentialUse) -> PublicKey {
    let found = registered.iter().rev().find(|r| r.usage == usage);
    PublicKey::from_uncompressed(&found.unwrap().public_key.0).unwrap()
}

pub(crate) fn door(id: DoorId, number: u16, name: &str) -> Door {
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

pub(crate) fn membership(role: Role) -> Membership {
    Membership {
        property: PROPERTY,
        property_name: "Harbour View".to_owned(),
        person: RITA,
        person_name: "Rita Resident".to_owned(),
        role,
    }
}

pub(crate) fn at(door: DoorId) -> DoorRef {
    DoorRef {
        property: PROPERTY,
        door,
    }
}

pub(crate) fn the_key() -> KeyRef {
    KeyRef {
        property: PROPERTY,
        key: KEY,
    }
}

pub(crate) fn change(kind: EntityKind, id: &impl ToString, value: Entity) -> Change {
    Change {
        kind,
        id: id.to_string(),
        value: Some(value),
    }
}
