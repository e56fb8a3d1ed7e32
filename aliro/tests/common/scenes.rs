//! Whole transactions, over either carrier, with whatever is done to what is on
//! the way: each with the same two callers, who behave well.

use std::sync::Arc;

use aliro::command::{ExchangeCommand, ReaderStatus, Signaling};
use aliro::crypto::RingEntropy;
use aliro::device::{self, Memory as _};
use aliro::identifier::Interface;
use aliro::keys::PersistentKey;
use aliro::mailbox::{Operation, Session};
use aliro::reader::{self, CertificateDelivery, Memory as _, Phase};

use super::mailbox::{OneMailbox, mailbox, read, request};
use super::{Installation, Way, faithful};

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// Messages, as over BLE.
    Messages,
    /// Bare APDUs, as over NFC.
    Apdus,
}

/// What a transaction consists of, beside its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The certificate by LOAD CERT.
    Standard,
    /// The certificate inside AUTH1, and documents.
    StepUp,
    /// A device that is remembered.
    Fast,
    /// The mailbox, in an atomic session of two exchanges, and a notification.
    Mailbox,
}

/// A transaction that can be run again and again.
pub(crate) struct Scene {
    pub(crate) carrier: Carrier,
    pub(crate) kind: Kind,
    pub(crate) installation: Installation,
    /// What both remember of an earlier visit.
    remembered: Option<(PersistentKey, device::Remembered)>,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    /// Everything that was sent, as it was sent, before anything was done to it.
    pub(crate) sent: Vec<(Way, Vec<u8>)>,
    /// Whether the door opened (over APDUs: whether both know that it does).
    pub(crate) opened: usize,
    pub(crate) phases: Vec<Phase>,
    pub(crate) reader: Option<reader::Failure>,
    pub(crate) device: Option<device::Failure>,
    /// What the device was told by EXCHANGE.
    pub(crate) status: Option<ReaderStatus>,
    /// Whether the mailbox holds what the session wrote.
    pub(crate) written: bool,
    pub(crate) notified: usize,
}

impl Scene {
    pub(crate) fn new(carrier: Carrier, kind: Kind) -> Self {
        let mut installation = Installation::new();
        installation.documents = None;
        if kind == Kind::StepUp {
            installation.delivery = CertificateDelivery::InAuth1;
            installation.documents = Some((b"request".to_vec(), vec![0xd0; 300]));
        }
        let mut scene = Self {
            carrier,
            kind,
            installation,
            remembered: None,
        };
        if kind == Kind::Fast {
            let memories = scene.memories();
            scene.run_with(&memories, |_, _, message| vec![message]);
            scene.remembered = Some(scene.recall(&memories));
        }
        scene
    }

    /// Runs to the end. `carry` gets each message with its number and says what
    /// arrives in its place (over APDUs: one at most).
    pub(crate) fn run(&self, carry: impl FnMut(usize, Way, Vec<u8>) -> Vec<Vec<u8>>) -> Run {
        self.run_with(&self.memories(), carry)
    }

    pub(crate) fn honest(&self) -> Run {
        self.run(faithful)
    }

    /// Memories of their own for each run, since a visit may renew them.
    fn memories(&self) -> Memories {
        let reader = Arc::new(reader::BoundedMemory::new(16));
        let device = Arc::new(device::BoundedMemory::new(16));
        if let Some((key, remembered)) = &self.remembered {
            let credential = self.installation.credential.public();
            reader.remember(&credential, key.clone());
            device.remember(
                &credential,
                &self.installation.identifier,
                remembered.clone(),
            );
        }
        (reader, device)
    }

    fn recall(&self, (reader, device): &Memories) -> (PersistentKey, device::Remembered) {
        let mut key = None;
        reader.search(&mut |_, known| {
            key = Some(known.clone());
            true
        });
        let credential = self.installation.credential.public();
        let policy = aliro::command::Policy::DeviceSetting;
        let remembered = device.recall(&credential, &self.installation.identifier, policy);
        (key.unwrap(), remembered.unwrap())
    }

    fn run_with(
        &self,
        memories: &Memories,
        carry: impl FnMut(usize, Way, Vec<u8>) -> Vec<Vec<u8>>,
    ) -> Run {
        match self.carrier {
            Carrier::Messages => self.over_messages(memories, carry),
            Carrier::Apdus => self.over_apdus(memories, carry),
        }
    }

    fn over_messages(
        &self,
        (remembers, remembered): &Memories,
        carry: impl FnMut(usize, Way, Vec<u8>) -> Vec<Vec<u8>>,
    ) -> Run {
        let (mut reader, mut device) = (
            self.installation.reader_config(),
            self.installation.device_config(),
        );
        if self.kind == Kind::Fast {
            // A private carrier: over BLE the remote keyless flow is never fast.
            (reader.interface, device.interface) = (Interface(0xf0), Interface(0xf0));
        }
        let content = mailbox();
        let mut pair = self.installation.pair();
        pair.reader =
            reader::Session::with_memory(reader, remembers.clone(), &RingEntropy).unwrap();
        pair.device = device::Session::with_memory(device, remembered.clone(), &RingEntropy)
            .unwrap()
            .with_mailboxes(content.clone())
            .with_notifications();
        pair.signaling = self.signaling();
        pair.exchanges = self.exchanges().into();
        let seen = pair.run(carry);
        Run {
            sent: seen.wire,
            opened: seen.opened,
            phases: seen.phases,
            reader: seen.reader_failure,
            device: seen.device_failure,
            status: match seen.device_failure {
                Some(device::Failure::ReaderRefused(status)) => Some(status),
                _ => None,
            },
            written: written(&content),
            notified: seen.notified.len(),
        }
    }

    fn over_apdus(
        &self,
        (remembers, remembered): &Memories,
        mut carry: impl FnMut(usize, Way, Vec<u8>) -> Vec<Vec<u8>>,
    ) -> Run {
        let content = mailbox();
        let fast = self.kind == Kind::Fast;
        let remembers = fast.then(|| remembers.clone() as Arc<dyn reader::Memory>);
        let remembered = fast.then(|| remembered.clone() as Arc<dyn device::Memory>);
        let terminal = self.installation.terminal(remembers);
        let card = self
            .installation
            .card(remembered)
            .with_mailboxes(content.clone())
            .with_notifications();
        let mut field = self.installation.field_of(terminal, card);
        field.disclosure.signaling = self.signaling();
        if self.kind == Kind::StepUp {
            field.disclosure.signaling =
                field.disclosure.signaling | Signaling::ACCESS_DOCUMENT | Signaling::SELECT_STEP_UP;
        }
        field.exchanges = self.exchanges().into();
        let mut sent = Vec::new();
        let seen = field.run(|number, way, apdu| {
            sent.push((way, apdu.clone()));
            let place = 2 * number + usize::from(way == Way::ToReader);
            let arrives = carry(place, way, std::mem::take(apdu));
            *apdu = arrives.into_iter().next().unwrap_or_default();
        });
        Run {
            sent,
            opened: usize::from(seen.finished && seen.status.is_some()),
            phases: seen.authenticated.iter().map(|who| who.phase).collect(),
            reader: seen.reader_failure,
            device: seen.device_failure,
            status: seen.status,
            written: written(&content),
            notified: seen.notified.len(),
        }
    }

    fn signaling(&self) -> Signaling {
        match self.kind {
            Kind::Mailbox => Signaling::MAILBOX_READABLE | Signaling::MAILBOX_WRITABLE,
            _ => Signaling::default(),
        }
    }

    fn exchanges(&self) -> Vec<ExchangeCommand> {
        if self.kind != Kind::Mailbox {
            return Vec::new();
        }
        let write = Operation::Write {
            offset: 0,
            data: WRITTEN.to_vec(),
        };
        let mut closing = request(Session::Ends, vec![read(0, 4)]);
        closing.notify = Some(vec![0x82, 2, 0, 1]);
        vec![request(Session::GoesOn, vec![write]), closing]
    }
}

type Memories = (Arc<reader::BoundedMemory>, Arc<device::BoundedMemory>);

const WRITTEN: &[u8; 4] = b"done";

fn written(content: &OneMailbox) -> bool {
    content.0.lock().unwrap().bytes.starts_with(WRITTEN)
}
