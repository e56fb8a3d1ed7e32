//! Both ends over messages: refusals, time-outs, ranging, and calls and messages
//! that come out of turn.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use std::time::Duration;

use aliro::apdu::Exchange;
use aliro::command::{ExchangeCommand, ReaderStatus};
use aliro::crypto::RingEntropy;
use aliro::device;
use aliro::identifier::Interface;
use aliro::message::{Action, ErrorCode, Message, Protocol, ReaderState, Reporting};
use aliro::reader;
use common::tool::{Device, ToolReader};
use common::{Installation, faithful, holds};

#[test]
fn a_refused_device_is_told_why_inside_the_channel() {
    let installation = Installation::new();
    let seen = refuse_after_documents(&installation);
    assert_eq!(
        seen.1,
        Some(device::Failure::ReaderRefused(
            ReaderStatus::INVALID_ACCESS_RIGHTS
        ))
    );
    assert!(!holds(
        &seen.0,
        &ReaderStatus::INVALID_ACCESS_RIGHTS.0.to_be_bytes()
    ));
}

/// The last message to the device, and what the device makes of it.
fn refuse_after_documents(installation: &Installation) -> (Vec<u8>, Option<device::Failure>) {
    let (mut reader, mut device) = up_to(installation, |event| {
        matches!(event, reader::Event::Authenticated(_))
    });
    let events = reader.refuse(ReaderStatus::INVALID_ACCESS_RIGHTS).unwrap();
    assert!(reader.is_closed());
    let reader::Event::Send(message) = &events[0] else {
        panic!("{events:?}");
    };
    let failure = device
        .on_message(message)
        .into_iter()
        .find_map(|event| match event {
            device::Event::Failed(failure) => Some(failure),
            _ => None,
        });
    (message.clone(), failure)
}

/// Two sessions, run until the reader says what is waited for.
fn up_to(
    installation: &Installation,
    until: impl Fn(&reader::Event) -> bool,
) -> (reader::Session, device::Session) {
    let common::Pair {
        mut reader,
        mut device,
        ..
    } = installation.pair();
    let mut to_reader = device.start_rke().unwrap();
    loop {
        assert!(!to_reader.is_empty(), "what is waited for does not come");
        let mut to_device = Vec::new();
        for event in std::mem::take(&mut to_reader) {
            match event {
                device::Event::Send(message) => to_device.extend(reader.on_message(&message)),
                device::Event::ReaderAuthenticated(_) => {
                    to_reader.extend(device.approve(device::Disclosure::default()).unwrap());
                }
                device::Event::Sign { message, .. } => {
                    let signature = installation.credential.sign(&message);
                    to_reader.extend(device.signed(signature).unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = to_device.pop() {
            if until(&event) {
                return (reader, device);
            }
            match event {
                reader::Event::Send(message) => to_reader.extend(device.on_message(&message)),
                reader::Event::Sign(message) => {
                    to_device.extend(reader.signed(installation.reader.sign(&message)).unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn silence_ends_a_session_and_busy_does_not() {
    let installation = Installation::new();
    let common::Pair {
        mut reader,
        mut device,
        ..
    } = installation.pair();
    assert_eq!(reader.deadline_after(), None, "nothing is expected yet");
    assert_eq!(
        reader.on_timeout(),
        [],
        "a timer that fires late is ignored"
    );
    let start = device.start_rke().unwrap();
    assert_eq!(device.deadline_after(), Some(Duration::from_secs(2)));
    let device::Event::Send(initiate) = &start[0] else {
        panic!("{start:?}");
    };
    reader.on_message(initiate);
    assert_eq!(reader.deadline_after(), Some(Duration::from_secs(2)));

    let busy = device.busy().unwrap();
    let device::Event::Send(busy) = &busy[0] else {
        panic!("{busy:?}");
    };
    assert_eq!(busy, &[2, 0, 0, 2, 0, 0]);
    assert_eq!(reader.on_message(busy), []);
    assert_eq!(reader.deadline_after(), Some(Duration::from_secs(2)));

    // The reader says so and ends; the device just ends.
    let ended = reader.on_timeout();
    assert_eq!(
        ended,
        [
            reader::Event::Send(vec![2, 0, 0, 3, 1, 1, 0]),
            reader::Event::Failed(reader::Failure::Timeout),
            reader::Event::Closed
        ]
    );
    assert_eq!(
        device.on_timeout(),
        [
            device::Event::Failed(device::Failure::Timeout),
            device::Event::Closed
        ]
    );
}

#[test]
fn while_the_devices_caller_looks_for_documents_no_time_runs_and_nothing_is_completed() {
    let installation = Installation::new();
    let session = installation.pair().device;
    let mut tool = ToolReader::over_messages(&installation, session, Interface::BLE);
    tool.standard();
    let (_, envelope) = Exchange::begin(tool.envelope_command(b"request"), tool.limits);
    let completed =
        tool.messages
            .as_mut()
            .unwrap()
            .seal_message(Protocol::Notification, 3, &[0, 2, 0x40, 0]);
    let Device::Session(device) = &mut tool.device else {
        panic!("over messages");
    };
    assert_eq!(device.deadline_after(), Some(Duration::from_secs(2)));
    let envelope = Message {
        protocol: Protocol::AccessProtocol,
        id: 0,
        payload: &envelope,
    };
    assert_eq!(
        device.on_message(&envelope.encode().unwrap()),
        [device::Event::DocumentsRequested(b"request".to_vec())]
    );
    assert_eq!(device.deadline_after(), None);
    assert_eq!(device.on_timeout(), []);
    assert!(!device.is_closed());
    let malformed = device::Event::Failed(device::Failure::Malformed);
    assert!(device.on_message(&completed.unwrap()).contains(&malformed));
}

#[test]
fn whoever_gives_up_says_so_once() {
    let installation = Installation::new();
    let common::Pair {
        mut reader,
        mut device,
        ..
    } = installation.pair();
    device.start_rke().unwrap();
    let told = vec![2, 0, 0, 3, 1, 1, 1];
    assert_eq!(
        reader.fail(ErrorCode::ResourceUnavailable),
        [
            reader::Event::Send(told.clone()),
            reader::Event::Failed(reader::Failure::Local),
            reader::Event::Closed
        ]
    );
    assert_eq!(
        device.fail(ErrorCode::ResourceUnavailable),
        [
            device::Event::Send(told),
            device::Event::Failed(device::Failure::Local),
            device::Event::Closed
        ]
    );
    assert_eq!(reader.fail(ErrorCode::ResourceUnavailable), []);
    assert_eq!(device.fail(ErrorCode::ResourceUnavailable), []);
}

#[test]
fn ranging_is_recognised_and_declined() {
    let installation = Installation::new();
    let common::Pair {
        mut reader,
        mut device,
        ..
    } = installation.pair();
    let start = device.start(aliro::message::Flow::Ranging).unwrap();
    let device::Event::Send(initiate) = &start[0] else {
        panic!("{start:?}");
    };
    let declined = vec![2, 0, 0, 3, 1, 1, 1];
    assert_eq!(
        reader.on_message(initiate),
        [
            reader::Event::Send(declined.clone()),
            reader::Event::Failed(reader::Failure::Ranging),
            reader::Event::Closed
        ]
    );
    assert_eq!(
        device.on_message(&declined),
        [
            device::Event::Failed(device::Failure::ReaderError(ErrorCode::ResourceUnavailable)),
            device::Event::Closed
        ]
    );
}

#[test]
fn a_reader_with_ranging_has_the_ranging_key_released_first() {
    let installation = Installation::new();
    let mut config = installation.reader_config();
    config.ranging = true;
    let mut reader = reader::Session::new(config, &RingEntropy::new()).unwrap();
    let mut device =
        device::Session::new(installation.device_config(), &RingEntropy::new()).unwrap();
    let mut events = device.start(aliro::message::Flow::Ranging).unwrap();
    let mut completed = 0;
    while !events.is_empty() {
        let mut answers = Vec::new();
        for event in std::mem::take(&mut events) {
            match event {
                device::Event::Send(message) => answers.extend(reader.on_message(&message)),
                device::Event::ReaderAuthenticated(_) => {
                    events.extend(device.approve(device::Disclosure::default()).unwrap());
                }
                device::Event::Sign { message, .. } => {
                    events.extend(
                        device
                            .signed(installation.credential.sign(&message))
                            .unwrap(),
                    );
                }
                device::Event::AccessCompleted { .. } => completed += 1,
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = answers.pop() {
            match event {
                reader::Event::Send(message) => events.extend(device.on_message(&message)),
                reader::Event::Sign(message) => {
                    answers.extend(reader.signed(installation.reader.sign(&message)).unwrap());
                }
                reader::Event::Authenticated(_) => {
                    let state = ReaderState::Secured;
                    let asked = reader.complete(state, Reporting::None).unwrap();
                    let [reader::Event::Send(exchange)] = &asked[..] else {
                        panic!("EXCHANGE comes first: {asked:?}");
                    };
                    let asks = ExchangeCommand {
                        ranging_key: true,
                        ..ExchangeCommand::default()
                    };
                    // Message and APDU around it, and the tag behind it.
                    assert_eq!(exchange.len(), 4 + 5 + asks.encode().len() + 16 + 1);
                    answers.extend(asked);
                }
                reader::Event::Completed => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(completed, 1);
    // In this flow nothing is opened by request.
    let request = device.rke_request(Action::Unsecure).unwrap();
    let device::Event::Send(request) = &request[0] else {
        panic!("{request:?}");
    };
    let answer = reader.on_message(request);
    assert!(answer.contains(&reader::Event::Failed(reader::Failure::OutOfOrder)));
}

#[test]
fn calls_out_of_turn_change_nothing() {
    let installation = Installation::new();
    let common::Pair {
        mut reader,
        mut device,
        ..
    } = installation.pair();
    let signature = installation.reader.sign(b"");
    assert!(reader.signed(signature).is_err());
    assert!(reader.request_documents(b"").is_err());
    assert!(
        reader
            .complete(ReaderState::Secured, Reporting::None)
            .is_err()
    );
    assert!(reader.refuse(ReaderStatus::EXPIRED).is_err());
    assert!(reader.send_third_party(b"").is_err());
    assert!(device.approve(device::Disclosure::default()).is_err());
    assert!(device.abort().is_err());
    assert!(device.signed(signature).is_err());
    assert!(device.documents(b"").is_err());
    assert!(device.rke_request(Action::Secure).is_err());
    assert!(device.send_third_party(b"").is_err());
    assert!(device.busy().is_err());
    let mut pair = installation.pair();
    (pair.reader, pair.device) = (reader, device);
    assert_eq!(pair.run(faithful).opened, 1);
}

#[test]
fn in_clear_nothing_is_believed_but_busy_and_error() {
    let installation = Installation::new();
    // Completed, status changed, third-party: of a reader that proved nothing.
    for clear in [
        vec![2, 3, 0, 4, 0, 2, 0x40, 0],
        vec![2, 2, 0, 4, 0, 2, 6, 1],
        vec![4, 0, 0, 2, b'h', b'i'],
    ] {
        let common::Pair { mut device, .. } = installation.pair();
        device.start_rke().unwrap();
        let events = device.on_message(&clear);
        let malformed = device::Event::Failed(device::Failure::Malformed);
        assert!(events.contains(&malformed), "{events:?}");
        assert!(device.rke_request(Action::Unsecure).is_err());
    }
    // A request, third-party: of a device that proved nothing, before and
    // after it opened.
    for clear in [vec![2, 4, 0, 3, 0, 1, 1], vec![4, 0, 0, 2, b'h', b'i']] {
        for opened in [false, true] {
            let common::Pair {
                mut reader,
                mut device,
                ..
            } = installation.pair();
            if opened {
                let device::Event::Send(initiate) = &device.start_rke().unwrap()[0] else {
                    panic!("no opening");
                };
                reader.on_message(initiate);
            }
            let events = reader.on_message(&clear);
            let out_of_order = reader::Event::Failed(reader::Failure::OutOfOrder);
            assert!(events.contains(&out_of_order), "{events:?}");
        }
    }
}

#[test]
fn while_documents_are_due_nothing_is_decided() {
    let installation = Installation::new();
    let (mut reader, device) = up_to(&installation, |event| {
        matches!(event, reader::Event::Authenticated(_))
    });
    assert_eq!(reader.request_documents(b"request").unwrap().len(), 1);
    assert!(reader.request_documents(b"request").is_err());
    let state = ReaderState::Secured;
    assert!(reader.complete(state, Reporting::None).is_err());
    assert!(reader.refuse(ReaderStatus::EXPIRED).is_err());
    assert!(reader.prove().is_err());
    assert!(!reader.is_closed() && !device.is_closed());
}
