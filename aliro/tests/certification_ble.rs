//! The certification tool's cases over BLE that logic can prove (of groups D
//! and E), each as a test of its name. The other side is the crate's own, with
//! the caller playing the tool.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use std::time::Duration;

use aliro::command::ins;
use aliro::crypto::RingEntropy;
use aliro::device;
use aliro::message::{Action, ErrorCode, Flow, OperationSource, ReaderState, Reporting};
use aliro::reader;
use common::{Installation, Pair, Seen, Way, faithful};

/// The certification's pauses: one of 1 s must be survived, one of 3 s not.
const SURVIVED: Duration = Duration::from_secs(1);
const TOO_LONG: Duration = Duration::from_secs(3);

fn without_documents() -> Installation {
    Installation {
        documents: None,
        ..Installation::new()
    }
}

/// Whether the reader sent this instruction.
fn asked(seen: &Seen, instruction: u8) -> bool {
    seen.wire.iter().any(|(way, message)| {
        *way == Way::ToDevice && message[..2] == [0, 0] && message[5] == instruction
    })
}

/// Two sessions, up to *access protocol completed*.
fn completed(installation: &Installation) -> (reader::Session, device::Session) {
    let Pair {
        mut reader,
        mut device,
        ..
    } = installation.pair();
    let mut events = device.start_rke().unwrap();
    while let Some(event) = events.pop() {
        let mut answers = match event {
            device::Event::Send(message) => reader.on_message(&message),
            device::Event::ReaderAuthenticated(_) => {
                events.extend(device.approve(device::Disclosure::default()).unwrap());
                continue;
            }
            device::Event::Sign { message, .. } => {
                events.extend(
                    device
                        .signed(installation.credential.sign(&message))
                        .unwrap(),
                );
                continue;
            }
            device::Event::AccessCompleted { state, reporting } => {
                assert_eq!((state, reporting), (ReaderState::Secured, Reporting::None));
                return (reader, device);
            }
            other => panic!("{other:?}"),
        };
        while let Some(answer) = answers.pop() {
            match answer {
                reader::Event::Send(message) => events.extend(device.on_message(&message)),
                reader::Event::Sign(message) => {
                    answers.extend(reader.signed(installation.reader.sign(&message)).unwrap());
                }
                reader::Event::Authenticated(_) => {
                    let state = ReaderState::Secured;
                    answers.extend(reader.complete(state, Reporting::None).unwrap());
                }
                reader::Event::Completed => {}
                other => panic!("{other:?}"),
            }
        }
    }
    panic!("not completed");
}

fn sent(events: &[reader::Event]) -> Vec<u8> {
    match events {
        [reader::Event::Send(message), ..] => message.clone(),
        other => panic!("{other:?}"),
    }
}

fn sent_by_device(events: &[device::Event]) -> Vec<u8> {
    match events {
        [device::Event::Send(message), ..] => message.clone(),
        other => panic!("{other:?}"),
    }
}

/// A request, and what the phone learns of each state that follows.
fn request(action: Action, states: &[ReaderState]) {
    let installation = without_documents();
    let (mut reader, mut device) = completed(&installation);
    let asked = sent_by_device(&device.rke_request(action).unwrap());
    assert_eq!(
        reader.on_message(&asked),
        [reader::Event::RkeRequest { action }]
    );
    for &state in states {
        let source = OperationSource::ThisDeviceRke;
        let told = sent(&reader.send_status_changed(source, state).unwrap());
        assert_eq!(
            device.on_message(&told),
            [device::Event::StatusChanged { source, state }]
        );
    }
    // More requests may follow on the same connection.
    let again = sent_by_device(&device.rke_request(action).unwrap());
    assert_eq!(reader.on_message(&again).len(), 1);
}

#[test]
fn blerke_rdr_unsecure() {
    request(
        Action::Unsecure,
        &[ReaderState::EnteringUnsecured, ReaderState::Unsecured],
    );
}

#[test]
fn blerke_rdr_secure() {
    for state in [
        ReaderState::EnteringSecured,
        ReaderState::Jammed,
        ReaderState::Unknown,
    ] {
        request(Action::Secure, &[state]);
    }
}

#[test]
fn blerke_rdr_stepup_phase() {
    let seen = Installation::new().pair().run(faithful);
    assert!(asked(&seen, ins::ENVELOPE));
    assert_eq!(
        (seen.opened, seen.status),
        (1, Some(ReaderState::Unsecured))
    );
}

#[test]
fn blerke_rdr_neg_fast() {
    let installation = without_documents();
    let memory = std::sync::Arc::new(reader::BoundedMemory::new(16));
    let device = std::sync::Arc::new(device::BoundedMemory::new(16));
    for _ in 0..10 {
        let mut pair = installation.pair();
        pair.reader = reader::Session::with_memory(
            installation.reader_config(),
            memory.clone(),
            &RingEntropy,
        )
        .unwrap();
        pair.device = device::Session::with_memory(
            installation.device_config(),
            device.clone(),
            &RingEntropy,
        )
        .unwrap();
        let seen = pair.run(faithful);
        assert!(asked(&seen, ins::AUTH1));
        assert_eq!(seen.status, Some(ReaderState::Unsecured));
    }
}

/// A wrong answer to AUTH0 ends by CONTROL FLOW, over messages too.
fn control_flow() {
    let installation = without_documents();
    let seen = installation.pair().run(|number, _, mut message| {
        if number == 2 {
            message[4] = 0x88;
        }
        vec![message]
    });
    assert_eq!(seen.opened, 0);
    assert!(asked(&seen, ins::CONTROL_FLOW));
    assert!(matches!(
        seen.device_failure,
        Some(device::Failure::ReaderEnded(aliro::command::ControlFlow {
            s1: 0,
            s2: 0
        }))
    ));
}

#[test]
fn bleuwb_rdr_control_flow_rdr_descriptor_tag() {
    control_flow();
}

#[test]
fn bleuwb_rdr_control_flow_rdr_info_tag() {
    control_flow();
}

/// A ranging reader that has sent AUTH0, the device, and AUTH0.
fn after_auth0(installation: &Installation) -> (reader::Session, device::Session, Vec<u8>) {
    let mut config = installation.reader_config();
    config.ranging = true;
    let mut reader = reader::Session::new(config, &RingEntropy).unwrap();
    let mut device = device::Session::new(installation.device_config(), &RingEntropy).unwrap();
    let initiate = sent_by_device(&device.start(Flow::Ranging).unwrap());
    let auth0 = sent(&reader.on_message(&initiate));
    (reader, device, auth0)
}

#[test]
fn bleuwb_rdr_timeout_extension() {
    let installation = without_documents();
    let (mut reader, mut device, auth0) = after_auth0(&installation);
    assert!(SURVIVED < reader.deadline_after().unwrap());
    let busy = sent_by_device(&device.busy().unwrap());
    assert_eq!(reader.on_message(&busy), []);
    assert!(
        SURVIVED < reader.deadline_after().unwrap(),
        "started afresh"
    );
    let answer = sent_by_device(&device.on_message(&auth0));
    // LOAD CERT is next: the transaction goes on.
    assert_eq!(sent(&reader.on_message(&answer))[5], ins::LOAD_CERT);
}

#[test]
fn bleuwb_rdr_neg_timeout_before_auth0() {
    let installation = without_documents();
    let (mut reader, mut device, _) = after_auth0(&installation);
    assert!(reader.deadline_after().unwrap() < TOO_LONG);
    let error = sent(&reader.on_timeout());
    assert_eq!(
        device.on_message(&error),
        [
            device::Event::Failed(device::Failure::ReaderError(ErrorCode::Unknown)),
            device::Event::Closed
        ]
    );
}

#[test]
fn blerke_ud_expedited_standard_phase() {
    let seen = without_documents().pair().run(faithful);
    assert_eq!(
        (seen.opened, seen.status),
        (1, Some(ReaderState::Unsecured))
    );
    assert_eq!(seen.wire[0].1[..2], [2, 6], "initiate, remote keyless");
}

#[test]
fn blerke_ud_stepup_phase() {
    let seen = Installation::new().pair().run(faithful);
    assert!(seen.documents.is_some() && seen.opened == 1);
}

/// A device that says more than it must in its opening.
fn with_more(flow: Flow, more: &[u8], attribute: bool) {
    let installation = without_documents();
    let mut config = installation.reader_config();
    config.ranging = true;
    let mut reader = reader::Session::new(config, &RingEntropy).unwrap();
    let mut device = device::Session::new(installation.device_config(), &RingEntropy).unwrap();
    let mut initiate = sent_by_device(&device.start(flow).unwrap());
    if !attribute {
        initiate[5] += more.len() as u8;
    }
    initiate.extend(more);
    initiate[3] = (initiate.len() - 4) as u8;
    let auth0 = sent(&reader.on_message(&initiate));
    assert_eq!(auth0[5], ins::AUTH0);
    // Both keys are made from the same A5 object: AUTH1's answer opens.
    let mut to_device = vec![auth0];
    while let Some(message) = to_device.pop() {
        let mut events = device.on_message(&message);
        while let Some(event) = events.pop() {
            let answers = match event {
                device::Event::Send(message) => reader.on_message(&message),
                device::Event::ReaderAuthenticated(_) => {
                    events.extend(device.approve(device::Disclosure::default()).unwrap());
                    continue;
                }
                device::Event::Sign { message, .. } => {
                    events.extend(
                        device
                            .signed(installation.credential.sign(&message))
                            .unwrap(),
                    );
                    continue;
                }
                other => panic!("{other:?}"),
            };
            for answer in answers {
                match answer {
                    reader::Event::Send(message) => to_device.push(message),
                    reader::Event::Sign(message) => {
                        let signature = installation.reader.sign(&message);
                        to_device.push(sent(&reader.signed(signature).unwrap()));
                    }
                    reader::Event::Authenticated(_) => return,
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    panic!("the device was not authenticated");
}

#[test]
fn blerke_ud_info_tag() {
    with_more(Flow::RemoteKeyless, &[0x07, 2, 1, 2], true);
}

#[test]
fn blerke_ud_ud_descriptor_tag() {
    with_more(Flow::RemoteKeyless, &[0xb7, 5, 4, 3, 1, 2, 3], false);
}

#[test]
fn bleuwb_ud_timeout_extension() {
    let installation = without_documents();
    let (mut reader, mut device, auth0) = after_auth0(&installation);
    assert!(SURVIVED < device.deadline_after().unwrap());
    let busy = sent(&reader.busy().unwrap());
    assert_eq!(device.on_message(&busy), [device::Event::Busy]);
    assert!(
        SURVIVED < device.deadline_after().unwrap(),
        "started afresh"
    );
    assert_eq!(device.on_message(&auth0).len(), 1);
    assert!(!device.is_closed());
}

#[test]
fn bleuwb_ud_neg_timeout_before_auth0() {
    let Pair { mut device, .. } = without_documents().pair();
    device.start(Flow::Ranging).unwrap();
    assert!(device.deadline_after().unwrap() < TOO_LONG);
    assert_eq!(
        device.on_timeout(),
        [
            device::Event::Failed(device::Failure::Timeout),
            device::Event::Closed
        ]
    );
}

#[test]
fn bleuwb_ud_ud_descriptor_tag() {
    with_more(Flow::Ranging, &[0xb7, 5, 4, 3, 1, 2, 3], false);
}

#[test]
fn bleuwb_ud_ud_info_tag() {
    with_more(Flow::Ranging, &[0x07, 2, 1, 2], true);
}
