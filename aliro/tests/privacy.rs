//! What a stranger can see: section 14 of the notes on the protocol, over either
//! carrier.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use std::sync::Arc;

use aliro::apdu::Command;
use aliro::certificate::CertificateRequest;
use aliro::command::{StatusWord, ins};
use aliro::crypto::RingEntropy;
use aliro::device;
use aliro::identifier::Interface;
use common::scenes::{Carrier, Kind, Run, Scene};
use common::tool::ToolReader;
use common::{Installation, Key, Way, holds};

/// A reader that the device meets, by what it can prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Good,
    /// It does not hold the certified key.
    BadSignature,
    /// Somebody else certified it.
    BadCertificate,
}

/// What the device knows of the reader.
#[derive(Debug, Clone, Copy)]
struct Known {
    group: bool,
    persistent_key: bool,
}

const READERS: [Reader; 3] = [Reader::Good, Reader::BadSignature, Reader::BadCertificate];
const CARRIERS: [Carrier; 2] = [Carrier::Messages, Carrier::Apdus];

fn known() -> impl Iterator<Item = Known> {
    [false, true].into_iter().flat_map(|group| {
        [false, true].map(|persistent_key| Known {
            group,
            persistent_key,
        })
    })
}

/// What the device answers to AUTH0, LOAD CERT and AUTH1, with the status words.
struct Answers {
    auth0: Vec<u8>,
    load_cert: Vec<u8>,
    auth1: Vec<u8>,
}

fn interface(carrier: Carrier) -> Interface {
    match carrier {
        Carrier::Apdus => Interface::NFC,
        // Private: in the remote keyless flow over BLE there is no fast phase.
        Carrier::Messages => Interface(0xf0),
    }
}

fn device<'a>(
    installation: &'a Installation,
    carrier: Carrier,
    knows: Known,
    memory: &Arc<device::BoundedMemory>,
) -> ToolReader<'a> {
    let mut config = Installation::new().device_config();
    config.interface = interface(carrier);
    if !knows.group {
        config.credentials[0].groups[0].group = [0; 16];
    }
    match carrier {
        Carrier::Apdus => {
            let card = device::Card::new(config, Some(memory.clone()), Arc::new(RingEntropy));
            ToolReader::new(installation, card)
        }
        Carrier::Messages => {
            let session =
                device::Session::with_memory(config, memory.clone(), &RingEntropy).unwrap();
            ToolReader::over_messages(installation, session, interface(carrier))
        }
    }
}

fn meet(carrier: Carrier, fast: bool, knows: Known, reader: Reader) -> Answers {
    let memory = Arc::new(device::BoundedMemory::new(1));
    let installation = Installation::new();
    if knows.persistent_key {
        let friend = Known {
            group: true,
            ..knows
        };
        device(&installation, carrier, friend, &memory).standard();
    }
    let mut met = Installation::new();
    match reader {
        Reader::Good => {}
        Reader::BadSignature => met.reader = Key::named("thief"),
        Reader::BadCertificate => {
            let issuer = Key::named("another issuer");
            let request = CertificateRequest::new(met.reader.public());
            let signature = issuer.sign(&request.to_be_signed(&issuer.public()));
            met.certificate = request.assemble(&signature).compress();
        }
    }
    let mut tool = device(&met, carrier, knows, &memory);
    tool.select();
    let auth0 = tool.auth0_command(fast);
    let data = auth0.encode();
    let auth0 = tool.auth0_with(auth0, data);
    let certificate = met.certificate.as_bytes().to_vec();
    let load_cert = tool.command(Command::aliro(ins::LOAD_CERT, certificate));
    let mut auth1 = tool.auth1_command();
    auth1.certificate = None;
    let auth1 = tool.command(Command::aliro(ins::AUTH1, auth1.encode()));
    Answers {
        auth0: auth0.encode(),
        load_cert: load_cert.encode(),
        auth1: auth1.encode(),
    }
}

#[test]
fn auth0_looks_alike_whatever_the_device_knows() {
    for carrier in CARRIERS {
        for fast in [false, true] {
            let mut seen: Vec<Vec<u8>> = Vec::new();
            for knows in known() {
                for reader in READERS {
                    let auth0 = meet(carrier, fast, knows, reader).auth0;
                    let length = if fast { 67 + 66 } else { 67 };
                    assert_eq!(auth0.len(), length + 2, "{knows:?}");
                    assert_eq!(auth0[..3], [0x86, 0x41, 0x04]);
                    if fast {
                        assert_eq!(auth0[67..69], [0x9d, 0x40]);
                    }
                    assert_eq!(auth0[length..], [0x90, 0x00]);
                    // Fresh each time: nothing in common with any other.
                    for other in &seen {
                        share_nothing(&auth0, other);
                    }
                    seen.push(auth0);
                }
            }
        }
    }
}

#[test]
fn who_does_not_prove_itself_hears_the_same_whatever_the_device_knows() {
    for carrier in CARRIERS {
        for fast in [false, true] {
            for knows in known() {
                for reader in READERS {
                    let answers = meet(carrier, fast, knows, reader);
                    let told = (carrier, fast, knows, reader);
                    assert_eq!(answers.load_cert, [0x90, 0x00], "{told:?}");
                    if knows.group && reader == Reader::Good {
                        // Key, signature and bitmap, sealed.
                        assert_eq!(answers.auth1.len(), 67 + 66 + 4 + 16 + 2, "{told:?}");
                    } else {
                        let refused = StatusWord::SECURITY.0.to_be_bytes();
                        assert_eq!(answers.auth1, refused, "{told:?}");
                    }
                }
            }
        }
    }
}

fn share_nothing(one: &[u8], other: &[u8]) {
    for window in one.windows(8) {
        assert!(!holds(other, window), "{window:02x?}");
    }
}

/// What the device sent, less what is the same for all devices.
fn without_constants(scene: &Scene, run: &Run) -> Vec<Vec<u8>> {
    let sent = run.sent.iter().filter(|(way, _)| *way == Way::ToReader);
    let header = match scene.carrier {
        Carrier::Messages => 4,
        Carrier::Apdus => 0,
    };
    let constants = |message: &Vec<u8>| match message[header..] {
        // SELECT's answer, or what stands for it; done, without data.
        [0x6f, ..] | [0x90, 0x00] => true,
        _ => header > 0 && message[..2] == [2, 6],
    };
    sent.map(|(_, message)| message)
        .filter(|message| !constants(message))
        .map(|message| match message[header..] {
            // What stands around documents.
            [0x53, ..] => message[header + 13..].to_vec(),
            _ => message.clone(),
        })
        .collect()
}

#[test]
fn two_visits_of_one_phone_share_nothing_but_constants() {
    for carrier in CARRIERS {
        for kind in [Kind::Standard, Kind::StepUp, Kind::Fast, Kind::Mailbox] {
            let scene = Scene::new(carrier, kind);
            let visits = [scene.honest(), scene.honest()];
            let [first, second] = visits.each_ref().map(|run| without_constants(&scene, run));
            assert!(first.len() >= 2, "{carrier:?} {kind:?}");
            for message in &first {
                for other in &second {
                    share_nothing(message, other);
                }
            }
        }
    }
}

#[test]
fn nothing_of_the_phone_travels_in_clear() {
    for carrier in CARRIERS {
        for kind in [Kind::Standard, Kind::StepUp, Kind::Fast, Kind::Mailbox] {
            let scene = Scene::new(carrier, kind);
            let key = scene.installation.credential.public();
            for (_, message) in scene.honest().sent {
                let names = [&key.x()[..], key.y(), &key.key_slot()];
                assert!(!names.iter().any(|name| holds(&message, name)));
            }
        }
    }
}
