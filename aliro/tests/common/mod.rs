//! What the integration tests share: fixed keys, both ends in one process.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]

pub(crate) mod ending;
pub(crate) mod mailbox;
pub(crate) mod scenes;
pub(crate) mod tool;
pub(crate) mod tool_device;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aliro::certificate::{CertificateRequest, CompressedCertificate};
use aliro::command::{ExchangeCommand, Policy, ReaderStatus, Signaling};
use aliro::crypto::{CryptoError, Entropy, Ephemeral, PublicKey, RingEntropy, Signature};
use aliro::device::{
    self, Card, CardEvent, Credential, DeviceConfig, Disclosure, GroupBinding, Trust,
};
use aliro::identifier::{Interface, ReaderIdentifier, VERSION_1_0};
use aliro::message::{Action, OperationSource, ReaderState, Reporting};
use aliro::proprietary::{ExtendedLength, ProprietaryInformation};
use aliro::reader::{self, CertificateDelivery, ReaderConfig, ReaderKey, Terminal, TerminalEvent};
use p256::elliptic_curve::sec1::ToSec1Point;
use zeroize::Zeroizing;

/// A long-term key of a test.
#[derive(Clone)]
pub(crate) struct Key(pub(self) p256::SecretKey, PublicKey);

impl Key {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let secret = p256::SecretKey::from_slice(bytes).unwrap();
        let point = secret.public_key().to_sec1_point(false);
        Self(
            secret,
            PublicKey::from_uncompressed(point.as_bytes()).unwrap(),
        )
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::new(ring::digest::digest(&ring::digest::SHA256, name.as_bytes()).as_ref())
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.1
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let random = ring::rand::SystemRandom::new();
        let pair = ring::signature::EcdsaKeyPair::from_private_key_and_public_key(
            &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            &self.0.to_bytes(),
            self.public().as_bytes(),
            &random,
        );
        let signature = pair.unwrap().sign(&random, message).unwrap();
        Signature::from_slice(signature.as_ref()).unwrap()
    }
}

/// Ephemeral keys and random bytes in a fixed order.
pub(crate) struct Fixed {
    keys: Mutex<VecDeque<Key>>,
    bytes: Mutex<VecDeque<u8>>,
}

impl Fixed {
    pub(crate) fn new(keys: &[&[u8]], bytes: &[u8]) -> Self {
        Self {
            keys: Mutex::new(keys.iter().map(|key| Key::new(key)).collect()),
            bytes: Mutex::new(bytes.iter().copied().collect()),
        }
    }
}

impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        let mut bytes = self.bytes.lock().unwrap();
        out.fill_with(|| bytes.pop_front().unwrap_or(0x77));
        Ok(())
    }

    fn ephemeral(&self) -> Result<Box<dyn Ephemeral>, CryptoError> {
        let key = self.keys.lock().unwrap().pop_front().unwrap();
        Ok(Box::new(FixedEphemeral(key)))
    }
}

struct FixedEphemeral(Key);

impl Ephemeral for FixedEphemeral {
    fn public_key(&self) -> PublicKey {
        self.0.public()
    }

    fn agree(self: Box<Self>, peer: &PublicKey) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let peer = p256::PublicKey::from_sec1_bytes(peer.as_bytes())
            .map_err(|_| CryptoError::InvalidPoint)?;
        let shared = p256::ecdh::diffie_hellman(self.0.0.to_nonzero_scalar(), peer.as_affine());
        Ok(Zeroizing::new((*shared.raw_secret_bytes()).into()))
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    ToReader,
    ToDevice,
}

/// One installation: an issuer that certified a reader, a credential that
/// trusts the issuer.
pub(crate) struct Installation {
    pub(crate) issuer: Key,
    pub(crate) reader: Key,
    pub(crate) credential: Key,
    pub(crate) identifier: ReaderIdentifier,
    pub(crate) certificate: CompressedCertificate,
    pub(crate) delivery: CertificateDelivery,
    pub(crate) extended: Option<ExtendedLength>,
    /// Asked for and answered with, if any.
    pub(crate) documents: Option<(Vec<u8>, Vec<u8>)>,
}

impl Installation {
    pub(crate) fn new() -> Self {
        let (issuer, reader) = (Key::named("issuer"), Key::named("reader"));
        let identifier = ReaderIdentifier::new([0xaa; 16], [0xbb; 16]);
        let request = CertificateRequest::new(reader.public())
            .subject(&hex::encode(identifier.sub))
            .unwrap();
        let signature = issuer.sign(&request.to_be_signed(&issuer.public()));
        Self {
            certificate: request.assemble(&signature).compress(),
            issuer,
            reader,
            credential: Key::named("credential"),
            identifier,
            delivery: CertificateDelivery::LoadCert,
            extended: None,
            documents: Some((b"request".to_vec(), vec![0xd0; 700])),
        }
    }

    pub(crate) fn reader_config(&self) -> ReaderConfig {
        let key = ReaderKey::Certified {
            certificate: self.certificate.clone(),
            issuer: self.issuer.public(),
            delivery: self.delivery,
        };
        ReaderConfig::new(self.identifier, key)
    }

    pub(crate) fn device_config(&self) -> DeviceConfig {
        let mut config = DeviceConfig::new(vec![Credential {
            public_key: self.credential.public(),
            groups: vec![GroupBinding {
                group: self.identifier.group,
                trust: Trust::IssuerCa(self.issuer.public()),
            }],
        }]);
        config.proprietary = ProprietaryInformation::new(&[VERSION_1_0], self.extended);
        config
    }

    pub(crate) fn pair(&self) -> Pair<'_> {
        let entropy = RingEntropy::new();
        Pair {
            installation: self,
            reader: reader::Session::new(self.reader_config(), &entropy).unwrap(),
            device: device::Session::new(self.device_config(), &entropy).unwrap(),
            chosen: hex::encode(self.identifier.sub),
            exchanges: VecDeque::new(),
            signaling: Signaling::default(),
            seen: Seen::default(),
        }
    }
}

/// Both ends in one process, each with a caller that behaves well.
pub(crate) struct Pair<'a> {
    pub(crate) installation: &'a Installation,
    pub(crate) reader: reader::Session,
    pub(crate) device: device::Session,
    /// The certificate subject of the door that the user chose.
    pub(crate) chosen: String,
    /// Exchanged before the end.
    pub(crate) exchanges: VecDeque<ExchangeCommand>,
    /// Announced beside the documents.
    pub(crate) signaling: Signaling,
    pub(crate) seen: Seen,
}

/// What came of it.
#[derive(Default, Debug)]
pub(crate) struct Seen {
    pub(crate) wire: Vec<(Way, Vec<u8>)>,
    pub(crate) opened: usize,
    pub(crate) authenticated: Option<reader::Authenticated>,
    pub(crate) documents: Option<Vec<u8>>,
    pub(crate) exchanged: Vec<Vec<Vec<u8>>>,
    pub(crate) notified: Vec<Vec<u8>>,
    pub(crate) phases: Vec<reader::Phase>,
    pub(crate) status: Option<ReaderState>,
    pub(crate) reader_failure: Option<reader::Failure>,
    pub(crate) device_failure: Option<device::Failure>,
    pub(crate) reader_third_party: Vec<Vec<u8>>,
    pub(crate) device_third_party: Vec<Vec<u8>>,
}

impl Pair<'_> {
    /// Runs until nothing is on the wire. `carry` gets each message with its
    /// number and says what arrives.
    pub(crate) fn run(
        mut self,
        mut carry: impl FnMut(usize, Way, Vec<u8>) -> Vec<Vec<u8>>,
    ) -> Seen {
        let mut wire = VecDeque::new();
        let start = self.device.start_rke().unwrap();
        self.on_device(start, &mut wire);
        let mut number = 0;
        while let Some((way, message)) = wire.pop_front() {
            self.seen.wire.push((way, message.clone()));
            for message in carry(number, way, message) {
                match way {
                    Way::ToReader => {
                        let events = self.reader.on_message(&message);
                        self.on_reader(events, &mut wire);
                    }
                    Way::ToDevice => {
                        let events = self.device.on_message(&message);
                        self.on_device(events, &mut wire);
                    }
                }
            }
            number += 1;
            assert!(number < 200, "the two ends talk for ever");
        }
        self.seen
    }

    fn on_reader(&mut self, events: Vec<reader::Event>, wire: &mut VecDeque<(Way, Vec<u8>)>) {
        for event in events {
            let next = match event {
                reader::Event::Send(message) => {
                    wire.push_back((Way::ToDevice, message));
                    continue;
                }
                reader::Event::Sign(message) => {
                    self.reader.signed(self.installation.reader.sign(&message))
                }
                reader::Event::Authenticated(authenticated) => {
                    let fast = authenticated.phase == reader::Phase::Fast;
                    self.seen.phases.push(authenticated.phase);
                    self.seen.authenticated = Some(authenticated);
                    match &self.installation.documents {
                        Some(_) if fast => self.reader.prove(),
                        Some((request, _)) => self.reader.request_documents(request),
                        None => self.exchange_or_complete(),
                    }
                }
                reader::Event::Documents(documents) => {
                    self.seen.documents = Some(documents);
                    self.exchange_or_complete()
                }
                reader::Event::Exchanged(read) => {
                    self.seen.exchanged.push(read);
                    self.exchange_or_complete()
                }
                reader::Event::RkeRequest { action } => {
                    assert_eq!(action, Action::Unsecure);
                    self.seen.opened += 1;
                    self.reader
                        .send_status_changed(OperationSource::ThisDeviceRke, ReaderState::Unsecured)
                }
                reader::Event::ThirdParty(payload) => {
                    self.seen.reader_third_party.push(payload);
                    self.reader.send_third_party(b"result")
                }
                reader::Event::Failed(failure) => {
                    self.seen.reader_failure = Some(failure);
                    continue;
                }
                reader::Event::Completed | reader::Event::Closed => continue,
            };
            self.on_reader(next.unwrap(), wire);
        }
    }

    fn exchange_or_complete(&mut self) -> Result<Vec<reader::Event>, reader::OutOfTurn> {
        match self.exchanges.pop_front() {
            Some(exchange) => self.reader.exchange(&exchange),
            None => self
                .reader
                .complete(ReaderState::Secured, Reporting::ThisDevice),
        }
    }

    fn on_device(&mut self, events: Vec<device::Event>, wire: &mut VecDeque<(Way, Vec<u8>)>) {
        for event in events {
            let next = match event {
                device::Event::Send(message) => {
                    wire.push_back((Way::ToReader, message));
                    continue;
                }
                device::Event::ReaderAuthenticated(reader) => {
                    let named = hex::encode(reader.identifier.sub);
                    if reader.certificate_subject() == Some(&self.chosen) && named == self.chosen {
                        let signed = Some(*b"2026-11-24T05:00:00Z");
                        let mut disclosure = Disclosure::documents(signed, None);
                        disclosure.signaling = disclosure.signaling | self.signaling;
                        self.device.approve(disclosure)
                    } else {
                        self.device.abort()
                    }
                }
                device::Event::Sign {
                    credential,
                    message,
                } => {
                    assert_eq!(credential, self.installation.credential.public());
                    self.device
                        .signed(self.installation.credential.sign(&message))
                }
                device::Event::DocumentsRequested(request) => {
                    let (asked, answer) = self.installation.documents.as_ref().unwrap();
                    assert_eq!(&request, asked);
                    self.device.documents(answer)
                }
                device::Event::AccessCompleted { .. } => {
                    let attempt = self.device.send_third_party(b"attempt").unwrap();
                    self.on_device(attempt, wire);
                    self.device.rke_request(Action::Unsecure)
                }
                device::Event::StatusChanged { state, .. } => {
                    self.seen.status = Some(state);
                    continue;
                }
                device::Event::ThirdParty(payload) => {
                    self.seen.device_third_party.push(payload);
                    continue;
                }
                device::Event::Notified(what) => {
                    self.seen.notified.push(what);
                    continue;
                }
                device::Event::Failed(failure) => {
                    self.seen.device_failure = Some(failure);
                    continue;
                }
                device::Event::Busy | device::Event::Closed => continue,
            };
            self.on_device(next.unwrap(), wire);
        }
    }
}

/// Delivers every message as it is.
pub(crate) fn faithful(_: usize, _: Way, message: Vec<u8>) -> Vec<Vec<u8>> {
    vec![message]
}

/// Both ends over bare APDUs.
pub(crate) struct Field<'a> {
    pub(crate) installation: &'a Installation,
    pub(crate) terminal: Terminal,
    pub(crate) card: Card,
    pub(crate) disclosure: Disclosure,
    /// Whether a device known by the fast phase must go on to AUTH1.
    pub(crate) insist: bool,
    /// Exchanged before the end.
    pub(crate) exchanges: VecDeque<ExchangeCommand>,
    /// How it ends.
    pub(crate) verdict: ReaderStatus,
    pub(crate) seen: FieldSeen,
}

/// What came of it.
#[derive(Default, Debug)]
pub(crate) struct FieldSeen {
    /// Each command with its answer.
    pub(crate) apdus: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) authenticated: Vec<reader::Authenticated>,
    pub(crate) documents: Option<Vec<u8>>,
    pub(crate) exchanged: Vec<Vec<Vec<u8>>>,
    pub(crate) notified: Vec<Vec<u8>>,
    pub(crate) finished: bool,
    pub(crate) status: Option<ReaderStatus>,
    pub(crate) reader_failure: Option<reader::Failure>,
    pub(crate) device_failure: Option<device::Failure>,
}

impl FieldSeen {
    /// Whether this instruction was sent.
    pub(crate) fn sent(&self, instruction: u8) -> bool {
        self.apdus
            .iter()
            .any(|(command, _)| command[1] == instruction)
    }
}

impl Installation {
    pub(crate) fn card(&self, memory: Option<Arc<dyn device::Memory>>) -> Card {
        let mut config = self.device_config();
        config.interface = Interface::NFC;
        Card::new(config, memory, Arc::new(RingEntropy))
    }

    pub(crate) fn terminal(&self, memory: Option<Arc<dyn reader::Memory>>) -> Terminal {
        let mut config = self.reader_config();
        config.interface = Interface::NFC;
        config.policy = Policy::DeviceSetting;
        Terminal::new(config, memory, &RingEntropy).unwrap()
    }

    pub(crate) fn field(&self) -> Field<'_> {
        self.field_of(self.terminal(None), self.card(None))
    }

    pub(crate) fn field_of(&self, terminal: Terminal, card: Card) -> Field<'_> {
        Field {
            installation: self,
            terminal,
            card,
            disclosure: Disclosure::default(),
            insist: false,
            exchanges: VecDeque::new(),
            verdict: ReaderStatus::UNSECURED,
            seen: FieldSeen::default(),
        }
    }
}

impl Field<'_> {
    /// Runs to the end; `spoil` may change each command and each answer.
    pub(crate) fn run(self, spoil: impl FnMut(usize, Way, &mut Vec<u8>)) -> FieldSeen {
        self.run_and_keep(spoil).0
    }

    /// The same, and gives the card back for the next terminal.
    pub(crate) fn run_and_keep(
        mut self,
        spoil: impl FnMut(usize, Way, &mut Vec<u8>),
    ) -> (FieldSeen, Card) {
        let start = self.terminal.start().unwrap();
        self.go_on(start, spoil)
    }

    /// The same, from what the terminal begins with.
    pub(crate) fn go_on(
        mut self,
        start: Vec<TerminalEvent>,
        mut spoil: impl FnMut(usize, Way, &mut Vec<u8>),
    ) -> (FieldSeen, Card) {
        let mut command = self.on_terminal(start);
        let mut number = 0;
        while let Some(mut apdu) = command {
            spoil(number, Way::ToDevice, &mut apdu);
            let events = self.card.on_apdu(&apdu);
            let mut answer = self.on_card(events);
            spoil(number, Way::ToReader, &mut answer);
            self.seen.apdus.push((apdu, answer.clone()));
            let events = self.terminal.on_apdu(&answer);
            command = self.on_terminal(events);
            number += 1;
            assert!(number < 500, "the two ends talk for ever");
        }
        (self.seen, self.card)
    }

    fn on_terminal(&mut self, events: Vec<TerminalEvent>) -> Option<Vec<u8>> {
        let mut command = None;
        for event in events {
            let next = match event {
                TerminalEvent::Send(apdu) => {
                    assert_eq!(command, None, "one command at a time");
                    command = Some(apdu);
                    continue;
                }
                TerminalEvent::Sign(message) => self
                    .terminal
                    .signed(self.installation.reader.sign(&message)),
                TerminalEvent::Authenticated(who) => {
                    self.terminal.remember();
                    let fast = who.phase == reader::Phase::Fast;
                    self.seen.authenticated.push(who);
                    match &self.installation.documents {
                        _ if fast && self.insist => self.terminal.prove(),
                        Some((request, _)) if !fast => self.terminal.request_documents(request),
                        _ => self.next_exchange(),
                    }
                }
                TerminalEvent::Documents(documents) => {
                    self.seen.documents = Some(documents);
                    self.next_exchange()
                }
                TerminalEvent::Exchanged(read) => {
                    self.seen.exchanged.push(read);
                    self.next_exchange()
                }
                TerminalEvent::Finished => {
                    self.seen.finished = true;
                    continue;
                }
                TerminalEvent::Failed(failure) => {
                    self.seen.reader_failure = Some(failure);
                    continue;
                }
            };
            let next = self.on_terminal(next.unwrap());
            assert!(command.is_none() || next.is_none(), "one command at a time");
            command = command.or(next);
        }
        command
    }

    fn next_exchange(&mut self) -> Result<Vec<TerminalEvent>, reader::OutOfTurn> {
        match self.exchanges.pop_front() {
            Some(exchange) => self.terminal.exchange(&exchange),
            None => self.terminal.finish(self.verdict),
        }
    }

    fn on_card(&mut self, events: Vec<CardEvent>) -> Vec<u8> {
        let mut answer = Vec::new();
        for event in events {
            let next = match event {
                CardEvent::Send(apdu) => {
                    assert!(answer.is_empty(), "one answer to each command");
                    answer = apdu;
                    continue;
                }
                CardEvent::ReaderAuthenticated(reader) => {
                    assert_eq!(reader.identifier, self.installation.identifier);
                    self.card.approve(self.disclosure)
                }
                CardEvent::Sign { message, .. } => self
                    .card
                    .signed(self.installation.credential.sign(&message)),
                CardEvent::DocumentsRequested(request) => {
                    let (asked, documents) = self.installation.documents.as_ref().unwrap();
                    assert_eq!(&request, asked);
                    self.card.documents(documents)
                }
                CardEvent::Notified(what) => {
                    self.seen.notified.push(what);
                    continue;
                }
                CardEvent::ReaderStatus(status) => {
                    self.seen.status = Some(status);
                    continue;
                }
                CardEvent::Failed(failure) => {
                    self.seen.device_failure = Some(failure);
                    continue;
                }
            };
            let next = self.on_card(next.unwrap());
            assert!(answer.is_empty() || next.is_empty(), "one answer");
            if answer.is_empty() {
                answer = next;
            }
        }
        answer
    }
}

/// Spoils nothing.
pub(crate) fn untouched(_: usize, _: Way, _: &mut Vec<u8>) {}

/// Whether the bytes stand somewhere in there.
pub(crate) fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
