//! Known answers of an independent implementation, byte for byte: every APDU of
//! both sides, and the pieces by themselves.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use std::sync::Arc;

use aliro::advertisement::dynamic_tag;
use aliro::apdu::{Assembler, Command, Exchange, Limits, Progress, Received, Response};
use aliro::certificate::CompressedCertificate;
use aliro::channel::Channel;
use aliro::command::{ExchangeCommand, Policy, ReaderStatus, Signaling, ins};
use aliro::crypto::{PublicKey, Secret, Signature};
use aliro::device::{self, Credential, DeviceConfig, Disclosure, GroupBinding, Memory as _, Trust};
use aliro::identifier::{Interface, ReaderIdentifier};
use aliro::keys::{self, BleVersions};
use aliro::message::{Message, Protocol};
use aliro::proprietary::ProprietaryInformation;
use aliro::reader::{self, CertificateDelivery, Memory as _, ReaderConfig, ReaderKey};
use common::{Fixed, Key};
use serde_json::Value;

struct Vector(Value);

fn vector(id: &str) -> Vector {
    let file: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let all = file["vectors"].as_array().unwrap();
    Vector(
        all.iter()
            .find(|vector| vector["id"] == id)
            .unwrap()
            .clone(),
    )
}

impl Vector {
    fn input(&self, name: &str) -> Vec<u8> {
        hex::decode(self.0["inputs"][name].as_str().unwrap()).unwrap()
    }

    fn output(&self, name: &str) -> Vec<u8> {
        hex::decode(self.0["outputs"][name].as_str().unwrap()).unwrap()
    }

    fn secret(&self, name: &str) -> Secret {
        Secret::new(self.input(name).try_into().unwrap())
    }

    fn point(&self, name: &str) -> PublicKey {
        PublicKey::from_uncompressed(&self.input(name)).unwrap()
    }

    /// Command and answer of each round trip from AUTH0 on.
    fn apdus(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = self.0["outputs"]["apdus"].as_array().unwrap().iter();
        let decode = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
        pairs
            .map(|pair| (decode(&pair[0]), decode(&pair[1])))
            .skip_while(|(command, _)| command[1] == ins::SELECT)
            .collect()
    }

    fn identifier(&self) -> ReaderIdentifier {
        let bytes: [u8; 32] = self.input("reader_identifier").try_into().unwrap();
        ReaderIdentifier::from(bytes)
    }

    fn interface(&self) -> Interface {
        Interface(self.input("interface_byte")[0])
    }

    fn proprietary(&self) -> ProprietaryInformation {
        ProprietaryInformation::parse(&self.input("a5_tlv")).unwrap()
    }

    /// The signature that stands in AUTH1, checked.
    fn reader_signature(&self) -> Signature {
        let auth1 = &self.apdus()[1].0;
        let signature = Signature::from_slice(&auth1[10..74]).unwrap();
        let key = Key::new(&self.input("reader_priv"));
        if self.0["outputs"]["reader_signature_input"].is_string() {
            let signed = self.output("reader_signature_input");
            key.public().verify(&signed, &signature).unwrap();
        }
        signature
    }

    fn device_signature(&self) -> Signature {
        Signature::from_slice(&self.output("auth1_plaintext")[69..133]).unwrap()
    }
}

/// Drives one whole command of the reader against the recorded answers.
struct Recorded {
    pairs: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
}

impl Recorded {
    fn reader(&mut self, command: Command) -> Response {
        let (mut exchange, mut apdu) = Exchange::begin(command, Limits::announced(None));
        loop {
            let (expected, answer) = self.pairs.next().expect("a command beyond the record");
            if expected[1] == ins::SELECT {
                continue;
            }
            assert_eq!(hex::encode(&apdu), hex::encode(expected));
            match exchange.on_response(&answer).unwrap() {
                Progress::Send(next) => apdu = next,
                Progress::Done(response) => return response,
            }
        }
    }

    /// Gives the device the recorded commands until one is whole, lets it
    /// answer, and compares all the pieces of the answer.
    fn device(&mut self, assembler: &mut Assembler, answer: impl FnOnce(Command) -> Response) {
        let mut answer = Some(answer);
        loop {
            let Some((apdu, expected)) = self.pairs.next() else {
                return;
            };
            if apdu[1] == ins::SELECT {
                continue;
            }
            let reply = match assembler.on_apdu(&apdu) {
                Received::Command(command) => {
                    let answer = answer.take().expect("one command at a time");
                    assembler.respond(answer(command))
                }
                Received::Reply(reply) => reply,
                Received::Broken(status) => panic!("{status:?}"),
            };
            assert_eq!(hex::encode(reply), hex::encode(&expected));
            if expected.ends_with(&[0x90, 0x00]) {
                return;
            }
        }
    }
}

fn reader_side(vector: &Vector, key: ReaderKey, closing: &ExchangeCommand, persistent: bool) {
    let config = Arc::new(ReaderConfig {
        interface: vector.interface(),
        policy: Policy::DeviceSetting,
        ..ReaderConfig::new(vector.identifier(), key)
    });
    let entropy = Fixed::new(
        &[&vector.input("reader_epriv")],
        &vector.input("transaction_identifier"),
    );
    let mut record = Recorded {
        pairs: vector.apdus().into_iter(),
    };
    let opening = reader::steps::Opening::new(config, &entropy).unwrap();
    let (command, step) = opening.auth0(vector.proprietary(), false).ok().unwrap();
    let response = record.reader(command);
    let reader::steps::AfterAuth0::Sign(step) = step.on_response(&response, None).ok().unwrap()
    else {
        panic!("no LOAD CERT was asked for");
    };
    if persistent {
        assert_eq!(step.to_sign(), vector.output("reader_signature_input"));
    }
    let (command, step) = step.signed(vector.reader_signature());
    let response = record.reader(command);
    let (authenticated, mut step) = step.on_response(&response).unwrap();
    let credential = Key::new(&vector.input("credential_priv")).public();
    assert_eq!(authenticated.credential, credential);
    assert_eq!(
        step.persistent_key().expose()[..],
        vector.output("Kpersistent")
    );
    if vector.0["outputs"]["device_request"].is_string() {
        let (command, waiting) = step
            .request_documents(&vector.output("device_request"))
            .unwrap_or_else(|_| panic!());
        let response = record.reader(command);
        let (documents, next) = waiting.on_response(&response).unwrap();
        assert_eq!(
            documents,
            self::vector("device-response").output("device_response")
        );
        step = next;
    }
    let (command, waiting) = step.exchange(closing).unwrap_or_else(|_| panic!());
    let response = record.reader(command);
    assert!(waiting.on_response(&response).is_ok());
    assert!(record.pairs.next().is_none(), "the whole record was played");
}

fn device_side(vector: &Vector, trust: Trust, disclosure: Disclosure) {
    let credential = Key::new(&vector.input("credential_priv")).public();
    let config = Arc::new(DeviceConfig {
        proprietary: vector.proprietary(),
        interface: vector.interface(),
        ..DeviceConfig::new(vec![Credential {
            public_key: credential,
            groups: vec![GroupBinding {
                group: vector.identifier().group,
                trust,
            }],
        }])
    });
    let entropy = Fixed::new(&[&vector.input("credential_epriv")], &[]);
    let mut record = Recorded {
        pairs: vector.apdus().into_iter(),
    };
    let mut assembler = Assembler::new(None);
    let selected = device::steps::Selected::new(config, &entropy).unwrap();
    let mut after = None;
    record.device(&mut assembler, |command| {
        let (response, next) = selected.auth0(&command, None).ok().unwrap();
        after = Some(next);
        response
    });
    let mut established = None;
    record.device(&mut assembler, |command| {
        let proved = after.unwrap().auth1(&command).ok().unwrap();
        let step = proved.approve(disclosure).ok().unwrap();
        let (response, next) = step.signed(vector.device_signature()).ok().unwrap();
        established = Some(next);
        response
    });
    let mut established = established.unwrap();
    if vector.0["outputs"]["device_request"].is_string() {
        record.device(&mut assembler, |command| {
            let request = established.envelope(&command).unwrap();
            assert_eq!(request, vector.output("device_request"));
            let documents = self::vector("device-response").output("device_response");
            established.documents(&documents).unwrap()
        });
    }
    record.device(&mut assembler, |command| {
        established
            .exchange(&command, &mut Default::default())
            .unwrap()
            .0
    });
    assert!(record.pairs.next().is_none(), "the whole record was played");
}

fn mailbox_offered() -> Disclosure {
    Disclosure {
        signaling: Signaling::MAILBOX_READABLE | Signaling::MAILBOX_WRITABLE,
        ..Disclosure::default()
    }
}

fn granted() -> ExchangeCommand {
    ExchangeCommand::status(ReaderStatus::UNSECURED)
}

#[test]
fn standard() {
    let vector = vector("standard");
    let key = Key::new(&vector.input("reader_priv")).public();
    reader_side(&vector, ReaderKey::Direct(key), &granted(), true);
    device_side(&vector, Trust::DirectKey(key), mailbox_offered());
}

#[test]
fn certificate() {
    let vector = vector("certificate");
    let compressed = self::vector("certificate-defaults").input("compressed");
    let issuer = vector.point("rgik");
    let key = ReaderKey::Certified {
        certificate: CompressedCertificate::from_bytes(&compressed).unwrap(),
        issuer,
        delivery: CertificateDelivery::InAuth1,
    };
    reader_side(&vector, key, &granted(), true);
    device_side(&vector, Trust::IssuerCa(issuer), mailbox_offered());
}

#[test]
fn ble() {
    let vector = vector("ble");
    let key = Key::new(&vector.input("reader_priv")).public();
    let closing = ExchangeCommand {
        ranging_key: true,
        ..ExchangeCommand::default()
    };
    reader_side(&vector, ReaderKey::Direct(key), &closing, true);
    device_side(&vector, Trust::DirectKey(key), mailbox_offered());
}

#[test]
fn step_up() {
    let vector = vector("stepup");
    let key = Key::new(&vector.input("reader_priv")).public();
    reader_side(&vector, ReaderKey::Direct(key), &granted(), false);
    let signed = Some(*b"2026-02-01T08:00:00Z");
    let mut disclosure = Disclosure::documents(signed, signed);
    disclosure.signaling =
        disclosure.signaling | Signaling::SELECT_STEP_UP | mailbox_offered().signaling;
    device_side(&vector, Trust::DirectKey(key), disclosure);
}

#[test]
fn fast() {
    let vector = vector("fast");
    let reader_key = Key::new(&vector.input("reader_priv")).public();
    let credential = Key::new(&vector.input("credential_priv")).public();
    let key = || vector.secret("Kpersistent");

    let config = Arc::new(ReaderConfig {
        interface: vector.interface(),
        policy: Policy::DeviceSetting,
        ..ReaderConfig::new(vector.identifier(), ReaderKey::Direct(reader_key))
    });
    let entropy = Fixed::new(
        &[&vector.input("reader_epriv")],
        &vector.input("transaction_identifier"),
    );
    let memory = reader::BoundedMemory::new(16);
    memory.remember(&Key::named("another").public(), Secret::new([3; 32]));
    memory.remember(&credential, key());
    memory.remember(&Key::named("a third").public(), Secret::new([4; 32]));
    let mut record = Recorded {
        pairs: vector.apdus().into_iter(),
    };
    let opening = reader::steps::Opening::new(config, &entropy).unwrap();
    let (command, step) = opening.auth0(vector.proprietary(), true).ok().unwrap();
    let response = record.reader(command);
    let after = step.on_response(&response, Some(&memory)).ok().unwrap();
    let reader::steps::AfterAuth0::Recognised(who, step) = after else {
        panic!("the cryptogram did not open");
    };
    assert_eq!(who.credential, credential);
    assert_eq!(who.phase, reader::Phase::Fast);
    assert_eq!(who.signaling, mailbox_offered().signaling);
    assert_eq!((who.access_signed, who.revocation_signed), (None, None));
    let (command, waiting) = step.exchange(&granted()).ok().unwrap();
    let response = record.reader(command);
    assert!(waiting.on_response(&response).is_ok());
    assert!(record.pairs.next().is_none());

    let config = Arc::new(DeviceConfig {
        proprietary: vector.proprietary(),
        interface: vector.interface(),
        ..DeviceConfig::new(vec![Credential {
            public_key: credential,
            groups: vec![GroupBinding {
                group: vector.identifier().group,
                trust: Trust::DirectKey(reader_key),
            }],
        }])
    });
    let entropy = Fixed::new(&[&vector.input("credential_epriv")], &[]);
    let memory = device::BoundedMemory::new(16);
    let remembered = device::Remembered {
        key: key(),
        disclosure: mailbox_offered(),
    };
    memory.remember(&credential, &vector.identifier(), remembered);
    let mut record = Recorded {
        pairs: vector.apdus().into_iter(),
    };
    let mut assembler = Assembler::new(None);
    let selected = device::steps::Selected::new(config, &entropy).unwrap();
    let mut after = None;
    record.device(&mut assembler, |command| {
        let (response, next) = selected.auth0(&command, Some(&memory)).ok().unwrap();
        after = Some(next);
        response
    });
    record.device(&mut assembler, |command| {
        after
            .unwrap()
            .exchange(&command, &mut Default::default())
            .ok()
            .unwrap()
            .0
    });
    assert!(record.pairs.next().is_none());
}

#[test]
fn select_apdu() {
    let application = hex::decode("a000000909acce5501").unwrap();
    let (_, apdu) = Exchange::begin(Command::select(&application), Limits::announced(None));
    assert_eq!(hex::encode(apdu), "00a4040009a000000909acce550100");
}

#[test]
fn exchange_channel() {
    let vector = vector("exchange");
    let keys = || {
        [
            vector.secret("ExpeditedSKReader"),
            vector.secret("ExpeditedSKDevice"),
        ]
    };
    let (mut reader, mut device) = (Channel::of_reader(keys()), Channel::of_device(keys()));
    let command = reader.seal(&[], &vector.input("command_plain")).unwrap();
    assert_eq!(command, vector.output("command"));
    // The answer to AUTH1 was the device's first message.
    device.seal(&[], &[]).unwrap();
    let response = device.seal(&[], &vector.input("response_plain")).unwrap();
    assert_eq!(response, vector.output("response"));
}

#[test]
fn step_up_keys() {
    let vector = vector("stepup-keys");
    let [reader, device] = keys::step_up(&vector.secret("StepUpSK"));
    assert_eq!(reader.expose()[..], vector.output("SKReader"));
    assert_eq!(device.expose()[..], vector.output("SKDevice"));
}

#[test]
fn ble_keys() {
    let vector = vector("ble-keys");
    let [reader, device] = keys::ble(&vector.secret("BleSK"), &BleVersions::default());
    assert_eq!(reader.expose()[..], vector.output("BleSKReader"));
    assert_eq!(device.expose()[..], vector.output("BleSKDevice"));
}

#[test]
fn ble_message() {
    let vector = vector("ble-message");
    let keys = || [vector.secret("BleSKReader"), Secret::new([0; 32])];
    let plain = vector.input("plaintext");
    let wire = Channel::of_reader(keys())
        .seal_message(Protocol::Notification, 3, &plain)
        .unwrap();
    assert_eq!(wire, vector.output("wire"));
    let message = Message::parse(&wire).unwrap();
    let opened = Channel::of_device(keys()).open_message(&message).unwrap();
    assert_eq!(opened, plain);
}

#[test]
fn names_of_keys() {
    let slot = vector("key-slot");
    assert_eq!(
        slot.point("credential_pub").key_slot()[..],
        slot.output("key_slot")
    );
    let issuer = vector("issuer-key-id");
    assert_eq!(
        issuer.point("issuer_pub").key_identifier()[..],
        issuer.output("key_id")
    );
}

#[test]
fn certificates() {
    for id in ["certificate-defaults", "certificate-fields"] {
        let vector = vector(id);
        let issuer = vector.point("issuer_pub");
        let compressed = vector.input("compressed");
        let certificate = CompressedCertificate::parse(&compressed).unwrap();
        assert_eq!(certificate.to_der(&issuer), vector.output("der"));
        assert_eq!(
            certificate.subject_key().as_bytes()[..],
            vector.output("subject_public_key")
        );
        assert_eq!(certificate.compress().as_bytes(), compressed);
        assert_eq!(certificate.verify(&issuer), Ok(()));
        assert!(certificate.verify(certificate.subject_key()).is_err());
    }
}

#[test]
fn advertisement() {
    let vector = vector("ble-dynamic-tag");
    let tag = dynamic_tag(
        &vector.input("grk").try_into().unwrap(),
        &vector.input("adva").try_into().unwrap(),
        u32::from_be_bytes(vector.input("expiry").try_into().unwrap()),
    );
    assert_eq!(tag[..], vector.output("tag"));
}
