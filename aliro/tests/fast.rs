//! The fast phase, over messages and over APDUs: known without a signature,
//! with nothing to see for strangers.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aliro::channel::TAG_LENGTH;
use aliro::command::{Policy, ReaderStatus, Signaling, StatusWord, ins};
use aliro::crypto::{PublicKey, RingEntropy, Secret};
use aliro::device::{self, Disclosure, Memory as _};
use aliro::identifier::{Interface, ReaderIdentifier};
use aliro::reader::{self, Memory as _, Phase};
use common::tool::ToolReader;
use common::{Field, FieldSeen, Installation, Key, faithful, untouched};

struct Memories {
    reader: Arc<reader::BoundedMemory>,
    device: Arc<device::BoundedMemory>,
}

impl Memories {
    fn new() -> Self {
        Self {
            reader: Arc::new(reader::BoundedMemory::new(16)),
            device: Arc::new(device::BoundedMemory::new(16)),
        }
    }

    fn field<'a>(&self, installation: &'a Installation) -> Field<'a> {
        let terminal = installation.terminal(Some(self.reader.clone()));
        installation.field_of(terminal, installation.card(Some(self.device.clone())))
    }
}

fn without_documents() -> Installation {
    Installation {
        documents: None,
        ..Installation::new()
    }
}

fn phases(seen: &FieldSeen) -> Vec<Phase> {
    seen.authenticated.iter().map(|who| who.phase).collect()
}

#[test]
fn the_second_visit_is_three_round_trips() {
    let installation = without_documents();
    let memories = Memories::new();
    let first = memories.field(&installation).run(untouched);
    assert_eq!(phases(&first), [Phase::Standard]);
    assert!(first.finished && first.sent(ins::AUTH1));
    let second = memories.field(&installation).run(untouched);
    assert_eq!(phases(&second), [Phase::Fast]);
    assert_eq!(
        second.authenticated[0].credential,
        installation.credential.public()
    );
    assert!(second.finished);
    assert_eq!(second.status, Some(ReaderStatus::UNSECURED));
    assert_eq!(second.apdus.len(), 3, "SELECT, AUTH0, EXCHANGE");
}

#[test]
fn what_the_device_holds_is_told_in_the_cryptogram() {
    let installation = without_documents();
    let memories = Memories::new();
    let mut disclosure = Disclosure::documents(Some(*b"2026-11-24T05:00:00Z"), None);
    disclosure.signaling = disclosure.signaling | Signaling::MAILBOX_READABLE;
    let mut first = memories.field(&installation);
    first.disclosure = disclosure;
    first.run(untouched);
    let second = memories.field(&installation).run(untouched);
    let who = &second.authenticated[0];
    assert_eq!(who.phase, Phase::Fast);
    assert_eq!(who.signaling, disclosure.signaling);
    assert_eq!(who.access_signed, disclosure.access_signed);
    assert_eq!(who.revocation_signed, None);
}

#[test]
fn a_miss_goes_on_to_auth1_in_the_same_transaction() {
    let installation = without_documents();
    let memories = Memories::new();
    memories.field(&installation).run(untouched);
    // Either side may have forgotten; either may remember something else.
    let forgetful = [
        (Memories::new().reader, memories.device.clone()),
        (memories.reader.clone(), Memories::new().device),
    ];
    for (reader, device) in forgetful {
        let half = Memories { reader, device };
        let seen = half.field(&installation).run(untouched);
        assert_eq!(phases(&seen), [Phase::Standard]);
        assert!(seen.finished);
        // That made a new key, which both remember.
        let again = half.field(&installation).run(untouched);
        assert_eq!(phases(&again), [Phase::Fast]);
    }
}

#[test]
fn a_reader_that_needs_documents_goes_on_after_a_hit() {
    let installation = Installation::new();
    let memories = Memories::new();
    memories.field(&installation).run(untouched);
    let mut second = memories.field(&installation);
    second.insist = true;
    let seen = second.run(untouched);
    assert_eq!(phases(&seen), [Phase::Fast, Phase::Standard]);
    assert_eq!(
        seen.documents,
        installation.documents.clone().map(|(_, d)| d)
    );
    assert!(seen.finished);
}

#[test]
fn whoever_did_not_open_the_cryptogram_hears_the_same_from_friends_and_strangers() {
    let installation = without_documents();
    let memories = Memories::new();
    over_messages(&installation, &memories, PRIVATE);
    let garbage: Vec<Vec<u8>> = [0, 1, 15, 16, 17, 40, 300]
        .iter()
        .flat_map(|length| {
            let message = |protocol: u8, id: u8| {
                let mut message = vec![protocol, id];
                message.extend(u16::try_from(*length).unwrap().to_be_bytes());
                message.extend(vec![0x5a; *length]);
                message
            };
            let exchange = [
                &[0x80, ins::EXCHANGE, 0, 0, *length as u8][..],
                &vec![0x5a; *length],
            ];
            let mut command = vec![0, 0];
            let apdu = exchange.concat();
            command.extend(u16::try_from(apdu.len()).unwrap().to_be_bytes());
            command.extend(apdu);
            [
                message(1, 1),
                message(1, 2),
                message(2, 0),
                message(4, 0),
                command,
            ]
        })
        .collect();
    for said in garbage {
        let heard = [memories.device.clone(), Memories::new().device].map(|memory| {
            let (mut reader, mut config) =
                (installation.reader_config(), installation.device_config());
            (reader.interface, config.interface) = (PRIVATE, PRIVATE);
            let stranger = Memories::new().reader;
            let mut reader = reader::Session::with_memory(reader, stranger, &RingEntropy).unwrap();
            let mut device = device::Session::with_memory(config, memory, &RingEntropy).unwrap();
            let sent = |events: &[device::Event]| match events {
                [device::Event::Send(message)] => message.clone(),
                other => panic!("{other:?}"),
            };
            let opening = sent(&device.start_rke().unwrap());
            let auth0 = reader.on_message(&opening);
            let [reader::Event::Send(auth0)] = &auth0[..] else {
                panic!("{auth0:?}");
            };
            let answer = sent(&device.on_message(auth0));
            assert_eq!(answer.len(), 4 + 67 + 66 + 2);
            device.on_message(&said)
        });
        let [friend, stranger] = heard.map(|events| shapes(&events));
        assert_eq!(friend, stranger, "{said:02x?}");
    }
}

/// What was said, less what is encrypted: that is under a key which whoever did
/// not open the cryptogram does not have, remembered or made up.
fn shapes(events: &[device::Event]) -> Vec<device::Event> {
    let without = events.iter().cloned().map(|event| match event {
        device::Event::Send(message) if message.len() >= 4 + TAG_LENGTH => {
            device::Event::Send(message[..4].to_vec())
        }
        other => other,
    });
    without.collect()
}

#[test]
fn forgetting_is_at_once_and_memories_are_bounded() {
    let installation = without_documents();
    let memories = Memories::new();
    memories.field(&installation).run(untouched);
    memories.reader.forget(&installation.credential.public());
    let seen = memories.field(&installation).run(untouched);
    assert_eq!(phases(&seen), [Phase::Standard]);
    for number in 0..16 {
        let other = Key::named(&format!("device {number}")).public();
        memories.reader.remember(&other, Secret::new([number; 32]));
    }
    let mut kept = 0;
    memories.reader.search(&mut |credential, _| {
        assert_ne!(credential, &installation.credential.public(), "made room");
        kept += 1;
        false
    });
    assert_eq!(kept, 16);
    // The 16th of 16 is still recognised.
    let fresh = Memories {
        reader: Arc::new(reader::BoundedMemory::new(16)),
        device: memories.device,
    };
    fresh.field(&installation).run(untouched);
    for number in 0..15 {
        let other = Key::named(&format!("device {number}")).public();
        fresh.reader.remember(&other, Secret::new([number; 32]));
    }
    assert_eq!(
        phases(&fresh.field(&installation).run(untouched)),
        [Phase::Fast]
    );
}

#[test]
fn a_policy_that_asks_the_user_is_never_fast() {
    let installation = without_documents();
    let memories = Memories::new();
    memories.field(&installation).run(untouched);
    let mut config = installation.reader_config();
    config.interface = Interface::NFC;
    config.policy = Policy::ForceUserAuthentication;
    let terminal =
        reader::Terminal::new(config, Some(memories.reader.clone()), &RingEntropy).unwrap();
    let card = installation.card(Some(memories.device.clone()));
    let seen = installation.field_of(terminal, card).run(untouched);
    assert_eq!(phases(&seen), [Phase::Standard]);
    assert_eq!(seen.apdus[1].1.len(), 69, "no cryptogram was asked for");
    let recalled = memories.device.recall(
        &installation.credential.public(),
        &installation.identifier,
        Policy::ForceUserAuthentication,
    );
    assert!(recalled.is_none());
}

fn over_messages(
    installation: &Installation,
    memories: &Memories,
    interface: Interface,
) -> common::Seen {
    let mut pair = installation.pair();
    let (mut reader, mut device) = (installation.reader_config(), installation.device_config());
    (reader.interface, device.interface) = (interface, interface);
    pair.reader =
        reader::Session::with_memory(reader, memories.reader.clone(), &RingEntropy).unwrap();
    pair.device =
        device::Session::with_memory(device, memories.device.clone(), &RingEntropy).unwrap();
    pair.run(faithful)
}

/// A private carrier's interface byte.
const PRIVATE: Interface = Interface(0xf0);

#[test]
fn private_carriers_have_it_and_the_keyless_flow_over_ble_has_not() {
    let installation = without_documents();
    for (interface, expected) in [(PRIVATE, Phase::Fast), (Interface::BLE, Phase::Standard)] {
        let memories = Memories::new();
        for visit in 0..10 {
            let seen = over_messages(&installation, &memories, interface);
            assert_eq!(seen.opened, 1, "{seen:?}");
            assert_eq!(seen.device_third_party, [b"result".to_vec()]);
            let phase = seen.authenticated.unwrap().phase;
            // AUTH0 follows the opening; its first value says what is asked.
            let asked = seen.wire[1].1[9..12] == [0x41, 1, 1];
            assert_eq!(asked, interface == PRIVATE);
            let expected = if visit == 0 {
                Phase::Standard
            } else {
                expected
            };
            assert_eq!(phase, expected);
        }
    }
}

/// A memory that says whether it was asked.
#[derive(Default)]
struct Asked(AtomicBool);

impl device::Memory for Asked {
    fn recall(&self, _: &PublicKey, _: &ReaderIdentifier, _: Policy) -> Option<device::Remembered> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn remember(&self, _: &PublicKey, _: &ReaderIdentifier, _: device::Remembered) {}
}

#[test]
fn a_reader_that_asks_for_it_in_the_keyless_flow_over_ble_all_the_same_is_a_stranger() {
    let installation = without_documents();
    for (interface, recalls) in [(PRIVATE, true), (Interface::BLE, false)] {
        let memory = Arc::new(Asked::default());
        let mut config = installation.device_config();
        config.interface = interface;
        let device = device::Session::with_memory(config, memory.clone(), &RingEntropy).unwrap();
        let mut tool = ToolReader::over_messages(&installation, device, interface);
        tool.select();
        let auth0 = tool.auth0_command(true);
        let data = auth0.encode();
        assert_eq!(tool.auth0_with(auth0, data).status, StatusWord::OK);
        assert_eq!(memory.0.load(Ordering::Relaxed), recalls, "{interface:?}");
    }
}

#[test]
fn over_messages_a_hit_saves_two_round_trips() {
    let installation = without_documents();
    let memories = Memories::new();
    let first = over_messages(&installation, &memories, PRIVATE);
    let second = over_messages(&installation, &memories, PRIVATE);
    // LOAD CERT and AUTH1, with their answers
    assert_eq!(second.wire.len(), first.wire.len() - 4);
}

#[test]
fn a_hit_that_needs_documents_goes_on_over_messages_too() {
    let installation = Installation::new();
    let memories = Memories::new();
    assert_eq!(over_messages(&installation, &memories, PRIVATE).opened, 1);
    let seen = over_messages(&installation, &memories, PRIVATE);
    assert_eq!(seen.opened, 1, "{seen:?}");
    assert_eq!(seen.authenticated.unwrap().phase, Phase::Standard);
    assert!(seen.documents.is_some());
}
