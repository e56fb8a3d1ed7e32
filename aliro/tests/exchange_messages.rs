//! EXCHANGE over messages: the mailbox, notifications, and where they have a
//! place.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use std::sync::Arc;

use aliro::command::{ExchangeCommand, ReaderStatus, ins};
use aliro::crypto::RingEntropy;
use aliro::device::{self, Event as DeviceEvent};
use aliro::identifier::Interface;
use aliro::mailbox::{Operation, Session};
use aliro::message::{ReaderState, Reporting};
use aliro::reader::{self, Event, Failure, Phase};
use common::mailbox::{OneMailbox, mailbox, read, request};
use common::{Installation, Pair, Seen, faithful};

fn without_documents() -> Installation {
    Installation {
        documents: None,
        ..Installation::new()
    }
}

fn write(offset: u16, data: &[u8]) -> Operation {
    Operation::Write {
        offset,
        data: data.to_vec(),
    }
}

fn notify() -> ExchangeCommand {
    ExchangeCommand {
        notify: Some(vec![0x82, 2, 0, 1]),
        ..ExchangeCommand::default()
    }
}

fn with_mailbox<'a>(installation: &'a Installation, mailbox: &Arc<OneMailbox>) -> Pair<'a> {
    let mut pair = installation.pair();
    let device = device::Session::new(installation.device_config(), &RingEntropy).unwrap();
    pair.device = device.with_mailboxes(mailbox.clone());
    pair
}

fn run(mut pair: Pair<'_>, exchanges: impl IntoIterator<Item = ExchangeCommand>) -> Seen {
    pair.exchanges = exchanges.into_iter().collect();
    pair.run(faithful)
}

#[test]
fn a_mailbox_session_is_atomic() {
    let (installation, mailbox) = (without_documents(), mailbox());
    let before = mailbox.0.lock().unwrap().bytes.clone();
    let seen = run(
        with_mailbox(&installation, &mailbox),
        [
            request(Session::GoesOn, vec![write(0, b"ab"), read(0, 2)]),
            request(Session::Ends, vec![write(2, b"cd"), read(0, 4)]),
            request(Session::Ends, vec![read(0, 5)]),
        ],
    );
    assert_eq!(seen.opened, 1, "{seen:?}");
    let after = [b"abcd", &before[4..5]].concat();
    assert_eq!(
        seen.exchanged,
        [
            [before[..2].to_vec()],
            [before[..4].to_vec()],
            [after.clone()]
        ]
    );
    assert!(mailbox.0.lock().unwrap().bytes.starts_with(&after));
}

#[test]
fn a_session_left_open_and_one_with_a_fault_leave_nothing() {
    let (installation, mailbox) = (without_documents(), mailbox());
    let before = mailbox.0.lock().unwrap().bytes.clone();
    let staged = || request(Session::GoesOn, vec![write(0, b"ab")]);
    let left = run(with_mailbox(&installation, &mailbox), [staged()]);
    assert_eq!(left.opened, 1);
    let beyond = request(Session::Ends, vec![write(0x3ff, b"ab")]);
    let faulty = run(with_mailbox(&installation, &mailbox), [staged(), beyond]);
    assert_eq!(faulty.opened, 0);
    assert_eq!(
        faulty.reader_failure,
        Some(Failure::ExchangeRefused(0xffff))
    );
    // Told inside the channel, which the device keeps for that.
    assert_eq!(
        faulty.device_failure,
        Some(device::Failure::ReaderRefused(
            ReaderStatus::INVALID_CONTENT
        ))
    );
    assert_eq!(mailbox.0.lock().unwrap().bytes, before);
}

#[test]
fn documents_come_before_and_the_step_up_keys_serve_the_mailbox() {
    let (installation, mailbox) = (Installation::new(), mailbox());
    let seen = run(
        with_mailbox(&installation, &mailbox),
        [request(Session::Ends, vec![write(0, b"ab"), read(0, 1)])],
    );
    assert!(seen.documents.is_some() && seen.opened == 1, "{seen:?}");
    assert!(mailbox.0.lock().unwrap().bytes.starts_with(b"ab"));
}

#[test]
fn a_notification_is_taken_where_it_is_offered_and_refused_elsewhere() {
    let installation = without_documents();
    let refused = run(installation.pair(), [notify()]);
    assert_eq!(refused.opened, 0);
    assert_eq!(
        refused.reader_failure,
        Some(Failure::ExchangeRefused(0xffff))
    );
    assert!(refused.notified.is_empty());
    let mut pair = installation.pair();
    let device = device::Session::new(installation.device_config(), &RingEntropy).unwrap();
    pair.device = device.with_notifications();
    let taken = run(pair, [notify()]);
    assert_eq!(taken.opened, 1);
    assert_eq!(taken.notified, [notify().notify.unwrap()]);
}

#[test]
fn an_exchange_before_completed_changes_nothing_in_the_remote_keyless_flow() {
    // Empty, and a ranging key, which nothing uses here.
    let ranging_key = ExchangeCommand {
        ranging_key: true,
        ..ExchangeCommand::default()
    };
    let installation = without_documents();
    let seen = run(
        installation.pair(),
        [ExchangeCommand::default(), ranging_key],
    );
    assert_eq!(seen.opened, 1, "{seen:?}");
    assert_eq!(seen.status, Some(ReaderState::Unsecured));
    assert_eq!(seen.exchanged, [Vec::<Vec<u8>>::new(), vec![]]);
}

/// Two sessions on a private carrier that remember each other, up to the
/// reader's *authenticated* of a second visit.
fn recognised(installation: &Installation) -> (reader::Session, device::Session) {
    let reader_memory = Arc::new(reader::BoundedMemory::new(1));
    let device_memory = Arc::new(device::BoundedMemory::new(1));
    let sessions = || {
        let (mut reader, mut device) = (installation.reader_config(), installation.device_config());
        (reader.interface, device.interface) = (Interface(0xf0), Interface(0xf0));
        (
            reader::Session::with_memory(reader, reader_memory.clone(), &RingEntropy).unwrap(),
            device::Session::with_memory(device, device_memory.clone(), &RingEntropy).unwrap(),
        )
    };
    let mut pair = installation.pair();
    (pair.reader, pair.device) = sessions();
    assert_eq!(pair.run(faithful).opened, 1);
    let (mut reader, mut device) = sessions();
    let initiate = sent_by_device(&device.start_rke().unwrap());
    let auth0 = sent(&reader.on_message(&initiate));
    let answer = sent_by_device(&device.on_message(&auth0));
    match &reader.on_message(&answer)[..] {
        [Event::Authenticated(who)] => assert_eq!(who.phase, Phase::Fast),
        other => panic!("{other:?}"),
    }
    (reader, device)
}

fn sent(events: &[Event]) -> Vec<u8> {
    match events {
        [Event::Send(message), ..] => message.clone(),
        other => panic!("{other:?}"),
    }
}

fn sent_by_device(events: &[DeviceEvent]) -> Vec<u8> {
    match events {
        [DeviceEvent::Send(message), ..] => message.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn after_an_exchange_in_the_fast_phase_auth1_has_no_place() {
    let installation = without_documents();
    let (mut reader, mut device) = recognised(&installation);
    let command = sent(&reader.exchange(&ExchangeCommand::default()).unwrap());
    assert!(reader.prove().is_err(), "while the answer is due");
    assert!(reader.exchange(&ExchangeCommand::default()).is_err());
    let answer = sent_by_device(&device.on_message(&command));
    assert_eq!(reader.on_message(&answer), [Event::Exchanged(vec![])]);
    // Nothing has changed by asking: the reader goes on.
    assert!(reader.prove().is_err());
    let end = reader
        .complete(ReaderState::Secured, Reporting::None)
        .unwrap();
    assert!(end.contains(&Event::Completed));
    assert!(matches!(
        device.on_message(&sent(&end))[..],
        [DeviceEvent::AccessCompleted { .. }]
    ));
    // Before an exchange it has one.
    let (mut reader, _) = recognised(&installation);
    assert_eq!(sent(&reader.prove().unwrap())[5], ins::LOAD_CERT);
}

#[test]
fn nothing_is_exchanged_before_the_device_is_known_or_after_the_end() {
    let installation = without_documents();
    let mut reader = reader::Session::new(installation.reader_config(), &RingEntropy).unwrap();
    assert!(reader.exchange(&notify()).is_err());
    let (mut reader, _) = recognised(&installation);
    reader
        .complete(ReaderState::Secured, Reporting::None)
        .unwrap();
    assert!(reader.exchange(&notify()).is_err());
}
