//! Over bare APDUs: how failure is reported, and one card at many terminals.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use aliro::apdu::{Command, Exchange, Progress};
use aliro::command::{ExchangeCommand, ReaderStatus, Signaling, StatusWord, ins, session_data};
use aliro::device::CardEvent;
use aliro::reader::{self, TerminalEvent};
use common::tool::{Device, ToolReader};
use common::{Installation, Way, untouched};

#[test]
fn failures_are_reported_once_and_with_the_right_word() {
    let installation = Installation::new();
    // A refused credential: EXCHANGE with the status, and nothing after it.
    let mut field = installation.field();
    field.verdict = ReaderStatus::NOT_TRUSTED;
    let seen = field.run(untouched);
    assert_eq!(seen.status, Some(ReaderStatus::NOT_TRUSTED));
    assert_eq!(
        seen.reader_failure,
        Some(reader::Failure::Refused(ReaderStatus::NOT_TRUSTED))
    );
    assert!(!seen.sent(ins::CONTROL_FLOW) && !seen.finished);
    // A refused AUTH1: CONTROL FLOW, which is answered.
    let seen = installation.field().run(|_, way, apdu| {
        if way == Way::ToDevice && apdu[1] == ins::AUTH1 {
            apdu[20] ^= 1;
        }
    });
    assert_eq!(
        seen.reader_failure,
        Some(reader::Failure::DeviceStatus(StatusWord::SECURITY.0))
    );
    let (last, answer) = seen.apdus.last().unwrap();
    assert_eq!(
        last[..],
        [0x80, ins::CONTROL_FLOW, 0, 0, 6, 0x41, 1, 0, 0x42, 1, 0]
    );
    assert_eq!(answer[..], [0x90, 0x00]);
}

#[test]
fn one_card_serves_one_terminal_after_another() {
    let installation = Installation::new();
    let mut card = installation.card(None);
    for _ in 0..3 {
        let field = installation.field_of(installation.terminal(None), card);
        let (seen, back) = field.run_and_keep(untouched);
        assert!(seen.finished);
        card = back;
    }
    // Interrupted anywhere, the next SELECT begins afresh.
    for stop in 1..8 {
        let field = installation.field_of(installation.terminal(None), card);
        let (seen, mut back) = field.run_and_keep(|number, way, apdu| {
            if (number, way) == (stop, Way::ToReader) {
                *apdu = vec![0x6f, 0x00];
            }
        });
        assert!(!seen.finished);
        back.field_lost();
        card = back;
    }
    let field = installation.field_of(installation.terminal(None), card);
    assert!(field.run(untouched).finished);
}

#[test]
fn without_select_it_begins_with_auth0() {
    let installation = Installation::new();
    let announced = installation.device_config().proprietary;
    let mut terminal = installation.terminal(None);
    let start = terminal.start_selected(announced).unwrap();
    let card = installation.card(None).selected().unwrap();
    let (seen, _) = installation
        .field_of(terminal, card)
        .go_on(start, untouched);
    assert!(seen.finished && !seen.sent(ins::SELECT));
    assert_eq!(seen.apdus[0].0[1], ins::AUTH0);
}

#[test]
fn documents_fit_into_one_answer_or_are_refused() {
    for (length, fits) in [(65_000, true), (65_001, false)] {
        let mut installation = Installation::new();
        installation.documents = Some((b"request".to_vec(), vec![0xd0; length]));
        let seen = installation.field().run(untouched);
        let documents = seen.documents.map(|documents| documents.len());
        assert_eq!(documents, fits.then_some(length));
        assert_eq!(seen.finished, fits);
    }
}

#[test]
fn with_the_field_everything_of_the_transaction_is_gone() {
    let installation = Installation::new();
    let lost = |tool: &mut ToolReader<'_>| {
        let Device::Card(card) = &mut tool.device else {
            panic!("over APDUs");
        };
        card.field_lost();
    };
    // The keys.
    let mut tool = ToolReader::new(&installation, installation.card(None));
    tool.standard();
    lost(&mut tool);
    assert_eq!(tool.exchange_raw(&[]), Err(StatusWord::WRONG_STATE));
    // The first part of a command.
    tool.standard();
    let short = [0x90, ins::LOAD_CERT, 0, 0, 1, 0x30];
    assert_eq!(tool.apdu(&short), [0x90, 0x00]);
    lost(&mut tool);
    assert_eq!(tool.select().status, StatusWord::OK);
    // A failure that the caller hears of happened in a transaction.
    lost(&mut tool);
    tool.seen.clear();
    let alone = Command::envelope(session_data(&[0; 20]));
    assert_eq!(tool.command(alone).status, StatusWord::WRONG_STATE);
    assert!(matches!(tool.seen[..], [CardEvent::Send(_)]));
}

#[test]
fn a_card_whose_caller_does_not_know_the_door_refuses() {
    let installation = Installation::new();
    let mut tool = ToolReader::new(&installation, installation.card(None));
    assert_eq!(tool.select().status, StatusWord::OK);
    assert_eq!(tool.auth0().status, StatusWord::OK);
    let auth1 = Command::aliro(ins::AUTH1, tool.auth1_command().encode());
    let (mut exchange, mut part) = Exchange::begin(auth1, tool.limits);
    let Device::Card(card) = &mut tool.device else {
        panic!("over APDUs");
    };
    while let [CardEvent::Send(taken)] = &card.on_apdu(&part)[..] {
        let Progress::Send(next) = exchange.on_response(taken).unwrap() else {
            panic!("the caller is not asked");
        };
        part = next;
    }
    let refused = CardEvent::Send(StatusWord::SECURITY.0.to_be_bytes().to_vec());
    assert!(card.abort().unwrap().contains(&refused));
    assert!(card.abort().is_err(), "once");
    tool.ended();
}

/// A terminal that knows a card which wants SELECT before documents.
fn acquainted(installation: &Installation) -> reader::Terminal {
    let mut tool = ToolReader::new(installation, installation.card(None));
    tool.disclosure.signaling = Signaling::SELECT_STEP_UP;
    let mut terminal = installation.terminal(None);
    let mut events = terminal.start().unwrap();
    loop {
        events = match events.pop().unwrap() {
            TerminalEvent::Send(apdu) => terminal.on_apdu(&tool.apdu(&apdu)),
            TerminalEvent::Sign(message) => {
                terminal.signed(installation.reader.sign(&message)).unwrap()
            }
            TerminalEvent::Authenticated(_) => return terminal,
            other => panic!("{other:?}"),
        };
    }
}

#[test]
fn while_a_command_is_out_a_terminal_begins_no_other() {
    let installation = Installation::new();
    let exchange = ExchangeCommand::default();
    let mut terminal = acquainted(&installation);
    assert_eq!(terminal.request_documents(b"request").unwrap().len(), 1);
    assert!(terminal.exchange(&exchange).is_err());
    assert!(terminal.finish(ReaderStatus::UNSECURED).is_err());
    let mut terminal = acquainted(&installation);
    assert_eq!(terminal.exchange(&exchange).unwrap().len(), 1);
    assert!(terminal.request_documents(b"request").is_err());
}
