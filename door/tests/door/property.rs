//! A property's issuer, and doors that stand in it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aliro::certificate::CertificateRequest;
use aliro::crypto::{PublicKey, Signature};
use chrono::{DateTime, TimeDelta, Utc};
use latchkey_door::{Controller, Env, Jammed, Release, RunConfig, Running, Strike};
use latchkey_env::{Clock as _, OffsetClock, SystemRandom, VirtualClock, random_array};
use latchkey_protocol::bundle::{Content, Draft, Header, SignedHeader, Unsigned};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::clock::{SignedTimeAnswer, TimeAnswer, TimeChallenge};
use latchkey_protocol::commissioning::{Offer, Package, certificate_subject};
use latchkey_protocol::doorstate::BundleNumber;
use latchkey_protocol::ids::{BudgetId, DoorId, DoorNumber, EventId, Generation, PropertyId};
use latchkey_protocol::pass::{Pass, SignedPass};
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::rules::{Holidays, Offsets, Span};
use latchkey_protocol::statement::{Addressee, Body, PropertySettings, SignedStatement, Statement};
use ring::rand::SystemRandom as RingRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use tempfile::TempDir;

use crate::guest::Guest;
use crate::phone::Sealed;

/// A Tuesday.
pub(crate) const START: &str = "2026-11-24T09:00:00Z";

/// What counts the uses of every counted key.
pub(crate) const BUDGET: BudgetId = BudgetId([0xb0; 8]);
/// An hour ahead of UTC, all year.
const OFFSET: i32 = 3600;

/// A private key that signs.
#[derive(Clone)]
pub(crate) struct Key(Arc<EcdsaKeyPair>);

impl Key {
    pub(crate) fn new() -> Self {
        let random = RingRandom::new();
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random);
        Self(Arc::new(pair.unwrap()))
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_uncompressed(self.0.public_key().as_ref()).unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let signature = self.0.sign(&RingRandom::new(), message).unwrap();
        Signature::from_slice(signature.as_ref()).unwrap()
    }
}

pub(crate) struct Property {
    pub(crate) id: PropertyId,
    pub(crate) issuer: Arc<Key>,
    pub(crate) reader_ca: Key,
    /// The truth.
    pub(crate) clock: VirtualClock,
    pub(crate) offsets: Offsets,
    /// In which its numbers count.
    epoch: u32,
    /// The statements for all doors so far, in this epoch.
    statements: Vec<Vec<u8>>,
    /// One more with each revocation list.
    lists: u64,
}

impl Property {
    /// With its calendar stated.
    pub(crate) fn new() -> Self {
        let clock = VirtualClock::at(START);
        let span = Span {
            from: clock.now() - TimeDelta::days(366),
            until: clock.now() + TimeDelta::days(3660),
        };
        let mut property = Self {
            id: PropertyId([0x11; 16]),
            issuer: Arc::new(Key::new()),
            reader_ca: Key::new(),
            clock,
            offsets: Offsets::new("Test/One", "2026a", span, OFFSET, []).unwrap(),
            epoch: 1,
            statements: Vec::new(),
            lists: 0,
        };
        property.state(Body::Settings(PropertySettings {
            offsets: property.offsets.clone(),
            holidays: Holidays::default(),
        }));
        property
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Seals and signs what holds at a door now.
    pub(crate) fn bundle(&self, door: &Door, number: u64, content: Content) -> Sealed {
        let all = self.statements.len() as u64;
        self.bundle_of(door, number, all, content)
    }

    /// The same, standing for the statements up to `all`.
    pub(crate) fn bundle_of(&self, door: &Door, number: u64, all: u64, content: Content) -> Sealed {
        self.seal(
            &door.sealing_key,
            &Draft {
                property: self.id,
                door: door.id,
                generation: door.generation,
                number: BundleNumber {
                    epoch: self.epoch,
                    number,
                },
                all,
                own: 0,
                content,
            },
        )
    }

    /// One with this guest's pass, for this controller's name and under that key.
    pub(crate) fn bundle_for(
        &self,
        key: &PublicKey,
        door: DoorId,
        generation: Generation,
        number: u64,
        guest: &Guest,
    ) -> Sealed {
        self.seal(
            key,
            &Draft {
                property: self.id,
                door,
                generation,
                number: BundleNumber { epoch: 1, number },
                all: 1,
                own: 0,
                content: Content {
                    passes: vec![(1, guest.signed.clone())],
                    ..Content::default()
                },
            },
        )
    }

    pub(crate) fn seal(&self, key: &PublicKey, draft: &Draft) -> Sealed {
        let sealed = draft.seal(key, random_array(&SystemRandom));
        let Unsigned { header, body } = sealed.unwrap();
        let payload = header.payload();
        let signature = self.issuer.sign(&Header::to_be_signed(&payload));
        Sealed {
            number: draft.number,
            header: SignedHeader::new(payload, signature).to_bytes(),
            body,
        }
    }

    /// The portal came back from a backup: its numbers begin anew.
    pub(crate) fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.statements.clear();
    }

    /// States something for all doors: the next of the series.
    pub(crate) fn state(&mut self, body: Body) -> Vec<u8> {
        let number = self.statements.len() as u64 + 1;
        let statement = self.statement(Addressee::All, number, body);
        self.statements.push(statement.clone());
        statement
    }

    pub(crate) fn statement(&self, addressee: Addressee, number: u64, body: Body) -> Vec<u8> {
        let payload = Statement {
            property: self.id,
            addressee,
            epoch: self.epoch,
            number,
            body,
        }
        .payload();
        let signature = self.issuer.sign(&Statement::to_be_signed(&payload));
        SignedStatement::new(payload, signature).to_bytes()
    }

    pub(crate) fn sign_pass(&self, pass: &Pass) -> SignedPass {
        let payload = pass.payload().unwrap();
        let signature = self.issuer.sign(&Pass::to_be_signed(self.id, &payload));
        SignedPass::new(payload, signature)
    }

    /// The next list's number follows this one.
    pub(crate) fn lists_so_far(&mut self, lists: u64) {
        self.lists = lists;
    }

    /// The next revocation list, which withdraws all that is told.
    pub(crate) fn revoke(&mut self, mut revoked: Revocations) -> Vec<u8> {
        self.lists += 1;
        revoked.number.epoch = 1;
        revoked.number.version = self.lists;
        let signed = aliro::document::Timestamp::from_epoch(self.now().timestamp()).unwrap();
        let unsigned = revoked
            .prepare(&self.issuer.public(), signed, [7; 16])
            .unwrap();
        let signature = self.issuer.sign(&unsigned.to_be_signed());
        unsigned.finish(signature).unwrap().as_bytes().to_vec()
    }

    pub(crate) fn time(&self, door: DoorId, challenge: TimeChallenge) -> Vec<u8> {
        self.time_signer(door)(challenge.nonce)
    }

    /// Answers a door's questions for the time at the moment when they are asked.
    pub(crate) fn time_signer(&self, door: DoorId) -> impl Fn([u8; 16]) -> Vec<u8> + use<> {
        let (property, issuer, clock) = (self.id, self.issuer.clone(), self.clock.clone());
        move |nonce| {
            let payload = TimeAnswer {
                property,
                door,
                nonce,
                unix_ms: clock.now().timestamp_millis().cast_unsigned(),
            }
            .payload();
            let signature = issuer.sign(&TimeAnswer::to_be_signed(&payload));
            SignedTimeAnswer::new(payload, signature).to_bytes()
        }
    }

    /// What the portal hands to the controller that made this offer.
    pub(crate) fn package(&self, door: DoorId, number: DoorNumber, offer: &Offer) -> Package {
        self.package_of(door, number, Generation(1), offer)
    }

    /// The same for a controller that takes the place of another.
    pub(crate) fn package_of(
        &self,
        door: DoorId,
        number: DoorNumber,
        generation: Generation,
        offer: &Offer,
    ) -> Package {
        let request = CertificateRequest::new(offer.reader_key)
            .subject(&certificate_subject(door, generation))
            .unwrap();
        let ca = self.reader_ca.public();
        let signature = self.reader_ca.sign(&request.to_be_signed(&ca));
        let certificate = request.assemble(&signature).compress();
        Package {
            property: self.id,
            door,
            door_number: number,
            generation,
            certificate: certificate.as_bytes().into(),
            reader_ca_key: ca.as_bytes().as_slice().into(),
            issuer_key: self.issuer.public().as_bytes().as_slice().into(),
            statements: self.statements.iter().cloned().map(Base64).collect(),
            revocation: None,
            time: Some(self.time(door, offer.challenge).into()),
            iteration: 1,
            portal_url: None,
        }
    }
}

/// A strike that remembers, and may be jammed.
#[derive(Default)]
pub(crate) struct Recorder {
    releases: Mutex<Vec<Release>>,
    jammed: std::sync::atomic::AtomicBool,
}

impl Recorder {
    pub(crate) fn count(&self) -> usize {
        self.releases.lock().unwrap().len()
    }

    /// How long the last opening was to take.
    pub(crate) fn last_pulse(&self) -> Duration {
        self.releases.lock().unwrap().last().unwrap().pulse
    }

    /// The events of all releases.
    pub(crate) fn events(&self) -> Vec<EventId> {
        let releases = self.releases.lock().unwrap();
        releases.iter().map(|release| release.event).collect()
    }

    pub(crate) fn jam(&self, jammed: bool) {
        self.jammed
            .store(jammed, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Strike for Recorder {
    fn release(&self, release: &Release) -> Result<(), Jammed> {
        if self.jammed.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Jammed);
        }
        self.releases.lock().unwrap().push(*release);
        Ok(())
    }
}

/// A door with a controller at work.
pub(crate) struct Door {
    pub(crate) id: DoorId,
    pub(crate) generation: Generation,
    pub(crate) folder: TempDir,
    /// Its oscillator.
    pub(crate) clock: OffsetClock,
    pub(crate) strike: Arc<Recorder>,
    pub(crate) reader_key: PublicKey,
    pub(crate) sealing_key: PublicKey,
    pub(crate) running: Running,
}

impl Door {
    /// A door without a network, commissioned just now.
    pub(crate) async fn new(property: &Property) -> Self {
        Self::with(property, 7, RunConfig::default()).await
    }

    pub(crate) async fn with(property: &Property, number: u16, config: RunConfig) -> Self {
        Self::put(property, number, Generation(1), config).await
    }

    /// The controller that took the place of the door's first.
    pub(crate) async fn replacing_the_first(property: &Property) -> Self {
        Self::put(property, 7, Generation(2), RunConfig::default()).await
    }

    async fn put(
        property: &Property,
        number: u16,
        generation: Generation,
        config: RunConfig,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = OffsetClock::new(Arc::new(property.clock.clone()), TimeDelta::zero());
        let mut id = [0xd0; 12];
        id[10..].copy_from_slice(&number.to_be_bytes());
        let (id, number) = (DoorId(id), DoorNumber(number));
        let mut controller = Controller::create(folder.path(), env(&clock)).unwrap();
        let offer = controller.offer().unwrap().verify().unwrap();
        let package = property.package_of(id, number, generation, &offer);
        let installed = controller
            .install(&serde_json::to_string(&package).unwrap())
            .unwrap();
        assert_eq!(installed.clock, Ok(()));
        let strike = Arc::new(Recorder::default());
        let reader_key = *controller.reader_key();
        let running = start(controller, &strike, config).await;
        Self {
            id,
            generation,
            folder,
            clock,
            strike,
            reader_key,
            sealing_key: offer.sealing_key,
            running,
        }
    }

    /// The power goes and comes back. A battery-backed clock counts on meanwhile.
    pub(crate) async fn restart(self, battery_clock: bool, config: RunConfig) -> Self {
        self.running.shutdown().await;
        let open = if battery_clock {
            Controller::open_with_battery_clock
        } else {
            Controller::open
        };
        let controller = open(self.folder.path().to_owned(), env(&self.clock)).unwrap();
        let running = start(controller, &self.strike, config).await;
        Self { running, ..self }
    }
}

async fn start(controller: Controller, strike: &Arc<Recorder>, config: RunConfig) -> Running {
    let strike: Arc<dyn Strike> = strike.clone();
    controller
        .start(RunConfig { strike, ..config })
        .await
        .unwrap()
}

pub(crate) fn env(clock: &OffsetClock) -> Env {
    Env {
        clock: Arc::new(clock.clone()),
        random: Arc::new(SystemRandom),
    }
}

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
