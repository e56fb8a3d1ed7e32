//! Both ends over messages: what an honest run does, and what no dishonest one
//! may do.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use aliro::crypto::RingEntropy;
use aliro::device;
use aliro::identifier::ReaderIdentifier;
use aliro::message::{MessageBuffer, ReaderState};
use aliro::proprietary::ExtendedLength;
use aliro::reader::{self, CertificateDelivery};
use common::{Installation, Key, Seen, Way, faithful, holds};
use proptest::prelude::*;

const LARGE: Option<ExtendedLength> = Some(ExtendedLength {
    max_command: 0x0e00,
    max_response: 0x0e00,
});

fn honest(installation: &Installation) -> Seen {
    installation.pair().run(faithful)
}

#[test]
fn an_honest_run_opens_once_in_every_shape() {
    for delivery in [CertificateDelivery::LoadCert, CertificateDelivery::InAuth1] {
        for extended in [None, LARGE] {
            for documents in [None, Installation::new().documents] {
                let installation = Installation {
                    delivery,
                    extended,
                    documents,
                    ..Installation::new()
                };
                let seen = honest(&installation);
                assert_eq!(seen.opened, 1, "{seen:?}");
                assert_eq!(seen.status, Some(ReaderState::Unsecured));
                let authenticated = seen.authenticated.unwrap();
                assert_eq!(authenticated.credential, installation.credential.public());
                assert_eq!(authenticated.access_signed, Some(*b"2026-11-24T05:00:00Z"));
                assert_eq!(authenticated.revocation_signed, None);
                let expected = installation.documents.map(|(_, answer)| answer);
                assert_eq!(seen.documents, expected);
                assert_eq!(seen.reader_third_party, [b"attempt".to_vec()]);
                assert_eq!(seen.device_third_party, [b"result".to_vec()]);
                assert_eq!((seen.reader_failure, seen.device_failure), (None, None));
            }
        }
    }
}

#[test]
fn extended_length_and_a_certificate_in_auth1_take_the_fewest_messages() {
    let count = |delivery, extended| {
        let installation = Installation {
            delivery,
            extended,
            ..Installation::new()
        };
        honest(&installation).wire.len()
    };
    // initiate; AUTH0, AUTH1, ENVELOPE, each with its answer; completed; the
    // application's attempt and result; request, status changed
    assert_eq!(
        count(CertificateDelivery::InAuth1, LARGE),
        1 + 6 + 1 + 2 + 2
    );
    assert_eq!(
        count(CertificateDelivery::LoadCert, LARGE),
        1 + 8 + 1 + 2 + 2
    );
    // AUTH1 goes in two parts, the documents' 728 bytes come in three.
    assert_eq!(
        count(CertificateDelivery::InAuth1, None),
        1 + 6 + 2 + 4 + 1 + 2 + 2
    );
}

#[test]
fn messages_glued_into_a_stream_and_cut_anywhere_come_out_whole() {
    let seen = honest(&Installation::new());
    let stream: Vec<u8> = seen
        .wire
        .iter()
        .flat_map(|(_, message)| message.clone())
        .collect();
    let mut buffer = MessageBuffer::new(1024);
    let mut out = Vec::new();
    for piece in stream.chunks(7) {
        buffer.push(piece);
        while let Some(message) = buffer.next_message().unwrap() {
            out.push(message);
        }
    }
    let messages: Vec<_> = seen.wire.into_iter().map(|(_, message)| message).collect();
    assert_eq!(out, messages);
}

#[test]
fn a_recorded_run_replayed_to_the_door_opens_nothing() {
    let installation = Installation::new();
    let recorded = honest(&installation);
    let mut reader =
        reader::Session::new(installation.reader_config(), &RingEntropy::new()).unwrap();
    let mut pending = Vec::new();
    for (way, message) in recorded.wire {
        if way == Way::ToReader {
            pending.extend(reader.on_message(&message));
        }
        while let Some(event) = pending.pop() {
            match event {
                reader::Event::Sign(message) => {
                    let signature = installation.reader.sign(&message);
                    pending.extend(reader.signed(signature).unwrap());
                }
                reader::Event::Authenticated(_)
                | reader::Event::Documents(_)
                | reader::Event::Completed
                | reader::Event::RkeRequest { .. } => panic!("replayed: {event:?}"),
                _ => {}
            }
        }
    }
    assert!(reader.is_closed());
}

/// Everything that the device sent, as one string of bytes.
fn sent_by_device(seen: &Seen) -> Vec<u8> {
    let sent = seen.wire.iter().filter(|(way, _)| *way == Way::ToReader);
    sent.flat_map(|(_, message)| message.clone()).collect()
}

#[test]
fn another_door_with_a_valid_certificate_learns_nothing() {
    let installation = Installation::new();
    let mut pair = installation.pair();
    pair.chosen = "00112233445566778899aabbccddeeff".to_owned();
    let seen = pair.run(faithful);
    assert_eq!(seen.device_failure, Some(device::Failure::Aborted));
    assert_eq!(
        seen.reader_failure,
        Some(reader::Failure::DeviceStatus(0x6982))
    );
    assert!(seen.authenticated.is_none());
    let sent = sent_by_device(&seen);
    let key = installation.credential.public();
    for secret in [&key.x()[..], key.y(), &key.key_slot()] {
        assert!(!holds(&sent, secret));
    }
    // Its constant, a fresh point, two status words: what any stranger gets.
    assert_eq!(sent.len(), (4 + 12) + (4 + 67 + 2) + (4 + 2) + (4 + 2));
}

#[test]
fn a_door_cannot_take_another_doors_name() {
    // Its own certificate, the chosen door's identifier.
    let installation = Installation::new();
    let chosen = ReaderIdentifier::new(installation.identifier.group, [0xcc; 16]);
    let mut pair = installation.pair();
    let mut config = installation.reader_config();
    config.identifier = chosen;
    pair.reader = reader::Session::new(config, &RingEntropy::new()).unwrap();
    pair.chosen = hex::encode(chosen.sub);
    let seen = pair.run(faithful);
    assert_eq!(seen.device_failure, Some(device::Failure::Aborted));
    assert!(!holds(
        &sent_by_device(&seen),
        installation.credential.public().x()
    ));
}

#[test]
fn an_unknown_group_and_a_reader_that_cannot_prove_itself_look_alike() {
    let installation = Installation::new();
    let run = |device: device::DeviceConfig, reader: Key| {
        let other = Installation {
            reader,
            ..Installation::new()
        };
        let mut pair = other.pair();
        pair.reader =
            reader::Session::new(installation.reader_config(), &RingEntropy::new()).unwrap();
        pair.device = device::Session::new(device, &RingEntropy::new()).unwrap();
        pair.run(faithful)
    };
    let known = installation.device_config();
    let mut unknown = known.clone();
    unknown.credentials[0].groups[0].group = [0; 16];
    let mut other_issuer = known.clone();
    other_issuer.credentials[0].groups[0].trust =
        device::Trust::IssuerCa(Key::named("other issuer").public());
    let mut direct = known.clone();
    direct.credentials[0].groups[0].trust = device::Trust::DirectKey(installation.reader.public());
    let runs = [
        run(unknown, installation.reader.clone()),
        run(known, Key::named("thief")),
        run(other_issuer, installation.reader.clone()),
        run(direct, installation.reader.clone()),
    ];
    let shape = |seen: &Seen| -> Vec<_> {
        let lengths = seen.wire.iter().map(|(way, message)| (*way, message.len()));
        lengths.collect()
    };
    for seen in &runs {
        assert_eq!(shape(seen), shape(&runs[0]));
        assert_eq!(
            seen.reader_failure,
            Some(reader::Failure::DeviceStatus(0x6982))
        );
    }
    let failures: Vec<_> = runs
        .iter()
        .map(|seen| seen.device_failure.unwrap())
        .collect();
    assert_eq!(failures[0], device::Failure::UnknownReader);
    assert!(
        failures[1..]
            .iter()
            .all(|f| *f == device::Failure::ReaderNotProved)
    );
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..80);
    let command = (0u8..5, any::<u8>(), payload).prop_map(|(which, byte, data)| {
        let (cla, ins) = [
            (0x80, 0x80),
            (0x80, 0x81),
            (0x80, 0xc9),
            (0x00, 0xc3),
            (0x80, 0xd1),
        ][usize::from(which)];
        let mut apdu = vec![cla, ins, 0, byte & 1, data.len() as u8];
        apdu.extend(data);
        apdu
    });
    let answer = prop::collection::vec(any::<u8>(), 0..90).prop_map(|mut data| {
        data.extend([0x90, 0]);
        data
    });
    let anything = prop::collection::vec(any::<u8>(), 0..60);
    (0u8..5, 0u8..8, prop_oneof![command, answer, anything]).prop_map(|(kind, id, payload)| {
        let mut message = vec![kind, id, 0, payload.len() as u8];
        message.extend(payload);
        message
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_messages_at_any_point_neither_open_nor_panic(
        at in 0usize..17, message in any_message(), instead in any::<bool>(),
    ) {
        let installation = Installation::new();
        let seen = installation.pair().run(|number, _, honest| {
            if number != at {
                vec![honest]
            } else if instead {
                vec![message.clone()]
            } else {
                vec![message.clone(), honest]
            }
        });
        // A busy in clear, before there are keys, is harmless wherever it
        // stands; so is anything once the request is in.
        let busy = message.starts_with(&[2, 0]);
        prop_assert!(seen.opened <= 1);
        let request = 15;
        if !busy && at < request {
            prop_assert_eq!(seen.opened, 0, "{:x?} at {}", message, at);
        }
    }

    #[test]
    fn a_changed_byte_of_any_value_never_opens(
        at in 0usize..16, byte in 0usize..200, change in 1u8..,
    ) {
        let installation = Installation::new();
        let mut changed = false;
        let seen = installation.pair().run(|number, _, mut message| {
            if number == at && let Some(byte) = message.get_mut(byte) {
                *byte ^= change;
                changed = true;
            }
            vec![message]
        });
        prop_assert!(!changed || seen.opened == 0, "byte {} of message {}", byte, at);
    }
}
