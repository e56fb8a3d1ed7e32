//! A phone and a door over messages, with whatever can be done to those on their way: the bytes say
//! what. Nobody panics, nobody is mistaken for somebody else, and the door opens once at most.
#![no_main]

use std::collections::VecDeque;
use std::sync::OnceLock;

use aliro::crypto::{PublicKey, RingEntropy, Signature};
use aliro::device::{self, Credential, DeviceConfig, Disclosure, GroupBinding, Trust};
use aliro::identifier::ReaderIdentifier;
use aliro::message::{Action, OperationSource, ReaderState, Reporting};
use aliro::reader::{self, ReaderConfig, ReaderKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut both = Both::new();
    let mut script = bytes.iter().copied();
    let start = both.device.start_rke().expect("it has not begun");
    both.on_device(start);
    for _ in 0..200 {
        let Some((to_reader, message)) = both.wire.pop_front() else {
            break;
        };
        for message in tampered(message, &mut script) {
            if to_reader {
                let events = both.reader.on_message(&message);
                both.on_reader(events);
            } else {
                let events = both.device.on_message(&message);
                both.on_device(events);
            }
        }
    }
    assert!(both.opened <= 1, "opened twice");
});

/// What arrives in a message's place, as the script has it; when it has ended, the message itself.
fn tampered(mut message: Vec<u8>, script: &mut impl Iterator<Item = u8>) -> Vec<Vec<u8>> {
    let mut next = || usize::from(script.next().unwrap_or(0));
    match next() {
        0x80 => Vec::new(),
        0x81 => vec![message.clone(), message],
        0x82 => {
            let (at, change) = (next(), next() as u8);
            if let Some(byte) = message.get_mut(at) {
                *byte ^= change;
            }
            vec![message]
        }
        0x83 => vec![invented(&mut next)],
        0x84 => vec![invented(&mut next), message],
        0x85 => {
            let length = 4 + next() % message.len().max(1);
            message.truncate(length);
            let payload = message.len().saturating_sub(4) as u16;
            if let Some(field) = message.get_mut(2..4) {
                field.copy_from_slice(&payload.to_be_bytes());
            }
            vec![message]
        }
        _ => vec![message],
    }
}

/// A message of the script's own.
fn invented(next: &mut impl FnMut() -> usize) -> Vec<u8> {
    let (kind, id, length) = (next() as u8, next() as u8, next());
    let mut message = vec![kind, id, 0, length as u8];
    message.extend((0..length).map(|_| next() as u8));
    message
}

struct Key(EcdsaKeyPair);

impl Key {
    fn generate() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("randomness");
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("just made"))
    }

    fn public(&self) -> PublicKey {
        PublicKey::from_uncompressed(self.0.public_key().as_ref()).expect("a point")
    }

    fn sign(&self, message: &[u8]) -> Signature {
        let signature = self.0.sign(&SystemRandom::new(), message);
        Signature::from_slice(signature.expect("randomness").as_ref()).expect("64 bytes")
    }
}

struct Both {
    keys: &'static (Key, Key),
    reader: reader::Session,
    device: device::Session,
    wire: VecDeque<(bool, Vec<u8>)>,
    opened: usize,
}

impl Both {
    fn new() -> Self {
        static KEYS: OnceLock<(Key, Key)> = OnceLock::new();
        let keys = KEYS.get_or_init(|| (Key::generate(), Key::generate()));
        let door = ReaderIdentifier::new([1; 16], [2; 16]);
        let config = ReaderConfig::new(door, ReaderKey::Direct(keys.0.public()));
        let phone = DeviceConfig::new(vec![Credential {
            public_key: keys.1.public(),
            groups: vec![GroupBinding {
                group: [1; 16],
                trust: Trust::DirectKey(keys.0.public()),
            }],
        }]);
        Self {
            keys,
            reader: reader::Session::new(config, &RingEntropy).expect("randomness"),
            device: device::Session::new(phone, &RingEntropy).expect("randomness"),
            wire: VecDeque::new(),
            opened: 0,
        }
    }

    fn on_reader(&mut self, events: Vec<reader::Event>) {
        for event in events {
            let more = match event {
                reader::Event::Send(message) => {
                    self.wire.push_back((false, message));
                    continue;
                }
                reader::Event::Sign(message) => self.reader.signed(self.keys.0.sign(&message)),
                reader::Event::Authenticated(who) => {
                    assert_eq!(who.credential, self.keys.1.public());
                    self.reader.request_documents(b"request")
                }
                reader::Event::Documents(documents) => {
                    assert_eq!(documents, [7; 300]);
                    self.reader.complete(ReaderState::Secured, Reporting::None)
                }
                reader::Event::RkeRequest { action } => {
                    assert_eq!(action, Action::Unsecure);
                    self.opened += 1;
                    let source = OperationSource::ThisDeviceRke;
                    self.reader
                        .send_status_changed(source, ReaderState::Unsecured)
                }
                _ => continue,
            };
            self.on_reader(more.unwrap_or_default());
        }
    }

    fn on_device(&mut self, events: Vec<device::Event>) {
        for event in events {
            let more = match event {
                device::Event::Send(message) => {
                    self.wire.push_back((true, message));
                    continue;
                }
                device::Event::ReaderAuthenticated(reader) => {
                    assert_eq!(reader.reader_key, self.keys.0.public());
                    self.device.approve(Disclosure::default())
                }
                device::Event::Sign { message, .. } => {
                    self.device.signed(self.keys.1.sign(&message))
                }
                device::Event::DocumentsRequested(request) => {
                    assert_eq!(request, b"request");
                    self.device.documents(&[7; 300])
                }
                device::Event::AccessCompleted { .. } => self.device.rke_request(Action::Unsecure),
                _ => continue,
            };
            self.on_device(more.unwrap_or_default());
        }
    }
}
