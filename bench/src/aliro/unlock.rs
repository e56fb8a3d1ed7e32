//! An unlock, both sides in one process: what the two processors together cannot save. No carrier, no
//! store. The door's and the phone's long-term keys sign by ring, like everything else.

use std::sync::Arc;

use aliro::certificate::CertificateRequest;
use aliro::crypto::{PublicKey, RingEntropy, Secret};
use aliro::device::{self, Credential, DeviceConfig, Disclosure, GroupBinding, Trust};
use aliro::identifier::{Interface, ReaderIdentifier};
use aliro::keys::PersistentKey;
use aliro::message::{Action, ReaderState, Reporting};
use aliro::reader::{self, CertificateDelivery, Memory, Phase, ReaderConfig, ReaderKey};
use latchkey_protocol::hello::INTERFACE_STREAM;

use super::grant::Grant;
use crate::key::Key;

const DOOR: ReaderIdentifier = ReaderIdentifier {
    group: [1; 16],
    sub: [2; 16],
};

/// A door, and a phone that opens it.
pub(super) struct Place {
    door_key: Key,
    phone_key: Key,
    reader: Arc<ReaderConfig>,
    device: Arc<DeviceConfig>,
    memories: Option<Memories>,
    grant: Option<Grant>,
    /// Bytes that the issuer of the door's certificate signed.
    signed_certificate: usize,
}

/// What the two remember of each other.
struct Memories {
    door: Arc<FoundLast>,
    phone: Arc<device::BoundedMemory>,
}

/// What a door remembers, the phone of this place always behind all others.
struct FoundLast {
    others: Vec<(PublicKey, PersistentKey)>,
    phone: reader::BoundedMemory,
}

impl Memory for FoundLast {
    fn search(&self, is_it: &mut dyn FnMut(&PublicKey, &PersistentKey) -> bool) {
        let found = self.others.iter().any(|(other, key)| is_it(other, key));
        assert!(!found, "another phone's key opens nothing");
        self.phone.search(is_it);
    }

    fn remember(&self, credential: &PublicKey, key: PersistentKey) {
        self.phone.remember(credential, key);
    }
}

impl Place {
    /// Both know the other's key.
    pub(super) fn of_direct_keys() -> Self {
        let (door_key, phone_key) = (Key::new(), Key::new());
        let key = ReaderKey::Direct(door_key.public());
        let trust = Trust::DirectKey(door_key.public());
        Self::new(door_key, phone_key, key, trust)
    }

    /// The door shows a certificate, the phone shows a grant.
    pub(super) fn with_certificate_and_grant() -> Self {
        let (door_key, phone_key, authority) = (Key::new(), Key::new(), Key::new());
        let issuer = authority.public();
        let request = CertificateRequest::new(door_key.public());
        let to_be_signed = request.to_be_signed(&issuer);
        let signature = authority.sign(&to_be_signed);
        let key = ReaderKey::Certified {
            certificate: request.assemble(&signature).compress(),
            issuer,
            delivery: CertificateDelivery::LoadCert,
        };
        let grant = Grant::to(&phone_key.public());
        Self {
            grant: Some(grant),
            signed_certificate: to_be_signed.len(),
            ..Self::new(door_key, phone_key, key, Trust::IssuerCa(issuer))
        }
    }

    /// The door remembers so many phones, and finds this one last.
    pub(super) fn remembering(phones: u32) -> Self {
        let other = |_| (Key::new().public(), Secret::new([5; 32]));
        let memories = Memories {
            door: Arc::new(FoundLast {
                others: (1..phones).map(other).collect(),
                phone: reader::BoundedMemory::new(1),
            }),
            phone: Arc::new(device::BoundedMemory::new(1)),
        };
        let place = Self {
            memories: Some(memories),
            ..Self::of_direct_keys()
        };
        assert_eq!(place.unlock(), Phase::Standard, "they meet");
        assert_eq!(place.unlock(), Phase::Fast, "they know each other");
        place
    }

    fn new(door_key: Key, phone_key: Key, key: ReaderKey, trust: Trust) -> Self {
        let credential = Credential {
            public_key: phone_key.public(),
            groups: vec![GroupBinding {
                group: DOOR.group,
                trust,
            }],
        };
        let interface = Interface(INTERFACE_STREAM);
        Self {
            reader: Arc::new(ReaderConfig {
                interface,
                ..ReaderConfig::new(DOOR, key)
            }),
            device: Arc::new(DeviceConfig {
                interface,
                ..DeviceConfig::new(vec![credential])
            }),
            door_key,
            phone_key,
            memories: None,
            grant: None,
            signed_certificate: 0,
        }
    }

    /// Bytes of what the phone announces, which enter the salts of all keys.
    pub(super) fn announced(&self) -> usize {
        self.device.proprietary.as_bytes().len()
    }

    /// Bytes that the issuer of the door's certificate signed.
    pub(super) fn signed_certificate(&self) -> usize {
        self.signed_certificate
    }

    /// Bytes that the issuer's signature of the grant is over.
    pub(super) fn signed_grant(&self) -> usize {
        self.grant.as_ref().map_or(0, Grant::signed)
    }

    /// Opens the door, and says by which phase.
    pub(super) fn unlock(&self) -> Phase {
        let (mut reader, mut device) = self.sessions();
        let mut phase = None;
        let mut opened = false;
        let mut to_do = device.start_rke().expect("started");
        while let Some(event) = to_do.pop() {
            let mut answers = match event {
                device::Event::Send(message) => reader.on_message(&message),
                device::Event::ReaderAuthenticated(_) => {
                    to_do.extend(device.approve(Disclosure::default()).expect("approved"));
                    continue;
                }
                device::Event::Sign { message, .. } => {
                    let signature = self.phone_key.sign(&message);
                    to_do.extend(device.signed(signature).expect("signed"));
                    continue;
                }
                device::Event::DocumentsRequested(request) => {
                    let grant = self.grant.as_ref().expect("a grant");
                    let response = grant.answer(&request);
                    to_do.extend(device.documents(&response).expect("answered"));
                    continue;
                }
                device::Event::AccessCompleted { .. } => {
                    to_do.extend(device.rke_request(Action::Unsecure).expect("asked"));
                    continue;
                }
                other => panic!("{other:?}"),
            };
            while let Some(answer) = answers.pop() {
                match answer {
                    reader::Event::Send(message) => to_do.extend(device.on_message(&message)),
                    reader::Event::Sign(message) => {
                        let signature = self.door_key.sign(&message);
                        answers.extend(reader.signed(signature).expect("signed"));
                    }
                    reader::Event::Authenticated(who) => {
                        phase = Some(who.phase);
                        answers.extend(match &self.grant {
                            Some(grant) => {
                                reader.request_documents(&grant.request()).expect("asked")
                            }
                            None => complete(&mut reader),
                        });
                    }
                    reader::Event::Documents(response) => {
                        let grant = self.grant.as_ref().expect("a grant");
                        grant.verify(&response, &self.device.credentials[0].public_key);
                        answers.extend(complete(&mut reader));
                    }
                    reader::Event::Completed => {}
                    reader::Event::RkeRequest { action } => opened = action == Action::Unsecure,
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(opened, "the door opened");
        phase.expect("a phase")
    }

    fn sessions(&self) -> (reader::Session, device::Session) {
        let (reader, device) = (Arc::clone(&self.reader), Arc::clone(&self.device));
        let entropy = RingEntropy::new();
        match &self.memories {
            None => (
                reader::Session::new(reader, &entropy).expect("a reader"),
                device::Session::new(device, &entropy).expect("a device"),
            ),
            Some(known) => (
                reader::Session::with_memory(reader, known.door.clone(), &entropy)
                    .expect("a reader"),
                device::Session::with_memory(device, known.phone.clone(), &entropy)
                    .expect("a device"),
            ),
        }
    }
}

fn complete(reader: &mut reader::Session) -> Vec<reader::Event> {
    reader
        .complete(ReaderState::Secured, Reporting::ThisDevice)
        .expect("completed")
}
