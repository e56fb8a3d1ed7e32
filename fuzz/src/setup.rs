//! What the two are: how the door is trusted, what they remember, what is asked for.

use std::sync::Arc;

use aliro::certificate::{CertificateRequest, CompressedCertificate};
use aliro::crypto::Secret;
use aliro::device::{
    self, Credential, DeviceConfig, Disclosure, GroupBinding, Memory as _, Remembered, Trust,
};
use aliro::identifier::{Interface, ReaderIdentifier, VERSION_1_0};
use aliro::message::Flow;
use aliro::proprietary::{ExtendedLength, ProprietaryInformation};
use aliro::reader::{self, CertificateDelivery, Memory as _, ReaderConfig, ReaderKey};

use crate::{Dealt, Key, Script};

pub(crate) const ISSUER: Key = Key(1);
pub(crate) const READER: Key = Key(2);
pub(crate) const CREDENTIAL: Key = Key(3);
/// Ephemeral keys are those from here on, the reader's and the device's.
pub(crate) const READER_EPHEMERALS: u8 = 16;
pub(crate) const DEVICE_EPHEMERALS: u8 = 64;

pub(crate) const READER_NAME: ReaderIdentifier = ReaderIdentifier {
    group: [0xaa; 16],
    sub: [0xbb; 16],
};

thread_local! {
    static CERTIFICATE: CompressedCertificate = {
        let request = CertificateRequest::new(READER.public());
        let signature = ISSUER.sign(&request.to_be_signed(&ISSUER.public()));
        request.assemble(&signature).compress()
    };
}

/// One of the arrangements.
pub struct Setup {
    trust: u8,
    extended: bool,
    /// Whether the reader uses the mailbox before it decides.
    pub(crate) exchanges: bool,
    /// Whether the reader remembers the device, and asks for the fast phase.
    reader_remembers: bool,
    device_remembers: bool,
    /// Whether the fast phase is not enough for the reader.
    pub(crate) insists: bool,
    pub(crate) documents: bool,
    pub(crate) flow: Flow,
}

impl Setup {
    /// As the script has it.
    pub fn choose(script: &mut Script<'_>) -> Self {
        let bits = script.byte();
        let is = |bit: u8| bits >> bit & 1 == 1;
        Self {
            trust: bits & 3,
            extended: is(2),
            exchanges: is(2),
            reader_remembers: is(3),
            device_remembers: is(4),
            insists: is(5),
            documents: is(6),
            flow: match is(7) {
                false => Flow::RemoteKeyless,
                true => Flow::Ranging,
            },
        }
    }

    /// Whether both know each other, and that is enough.
    pub(crate) fn stays_fast(&self) -> bool {
        self.reader_remembers && self.device_remembers && !self.insists
    }

    pub(crate) fn disclosure(&self) -> Disclosure {
        Disclosure::documents(self.documents.then_some(*b"2026-11-24T05:00:00Z"), None)
    }

    pub(crate) fn sessions(&self) -> (reader::Session, device::Session) {
        let reader = reader::Session::with_memory(
            self.reader_config(),
            self.reader_memory(),
            &Dealt::from(READER_EPHEMERALS),
        );
        let device = device::Session::with_memory(
            self.device_config(),
            self.device_memory(),
            &Dealt::from(DEVICE_EPHEMERALS),
        );
        (reader.expect("dealt"), device.expect("dealt"))
    }

    pub(crate) fn reader_config(&self) -> ReaderConfig {
        let delivery = match self.trust {
            1 => Some(CertificateDelivery::InAuth1),
            2 => Some(CertificateDelivery::LoadCert),
            _ => None,
        };
        let key = match delivery {
            None => ReaderKey::Direct(READER.public()),
            Some(delivery) => ReaderKey::Certified {
                certificate: CERTIFICATE.with(CompressedCertificate::clone),
                issuer: ISSUER.public(),
                delivery,
            },
        };
        let mut config = ReaderConfig::new(READER_NAME, key);
        config.interface = self.interface();
        config.ranging = self.flow == Flow::Ranging;
        config.key_slots = (self.trust == 3).then(|| vec![CREDENTIAL.public(), ISSUER.public()]);
        config
    }

    pub(crate) fn device_config(&self) -> DeviceConfig {
        let trust = match self.trust {
            1 | 2 => Trust::IssuerCa(ISSUER.public()),
            _ => Trust::DirectKey(READER.public()),
        };
        let mut config = DeviceConfig::new(vec![Credential {
            public_key: CREDENTIAL.public(),
            groups: vec![GroupBinding {
                group: READER_NAME.group,
                trust,
            }],
        }]);
        let lengths = self.extended.then_some(ExtendedLength {
            max_command: 400,
            max_response: 300,
        });
        config.proprietary = ProprietaryInformation::new(&[VERSION_1_0], lengths);
        config.interface = self.interface();
        config
    }

    /// Over BLE the remote keyless flow knows no fast phase.
    fn interface(&self) -> Interface {
        match self.reader_remembers {
            true => Interface(0x01),
            false => Interface::BLE,
        }
    }

    pub(crate) fn reader_memory(&self) -> Arc<reader::BoundedMemory> {
        let memory = reader::BoundedMemory::new(4);
        if self.reader_remembers {
            memory.remember(&ISSUER.public(), Secret::new([8; 32]));
            memory.remember(&CREDENTIAL.public(), Secret::new([9; 32]));
        }
        Arc::new(memory)
    }

    pub(crate) fn device_memory(&self) -> Arc<device::BoundedMemory> {
        let memory = device::BoundedMemory::new(4);
        if self.device_remembers {
            let remembered = Remembered {
                key: Secret::new([9; 32]),
                disclosure: self.disclosure(),
            };
            memory.remember(&CREDENTIAL.public(), &READER_NAME, remembered);
        }
        Arc::new(memory)
    }
}
