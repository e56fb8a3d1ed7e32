//! Over bare APDUs: every byte, and every command in every state.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use std::sync::Arc;

use aliro::apdu::Command;
use aliro::channel::Channel;
use aliro::command::{Policy, ReaderStatus, StatusWord, ins, session_data};
use aliro::device::{self, Memory as _};
use aliro::reader;
use aliro::select::{EXPEDITED, STEP_UP};
use common::tool::ToolReader;
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

/// The states of PROTOCOL section 12, and a way into each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unselected,
    Selected,
    Auth0Standard,
    Auth0Fast,
    FastExchange,
    Auth1,
    Exchange,
    StepUpSelected,
    Envelope,
    StepUpExchange,
    Complete,
    Failed,
}

const STATES: [State; 12] = [
    State::Unselected,
    State::Selected,
    State::Auth0Standard,
    State::Auth0Fast,
    State::FastExchange,
    State::Auth1,
    State::Exchange,
    State::StepUpSelected,
    State::Envelope,
    State::StepUpExchange,
    State::Complete,
    State::Failed,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    SelectExpedited,
    SelectStepUp,
    SelectUnknown,
    Auth0,
    LoadCert,
    Auth1,
    Exchange,
    Envelope,
    ControlFlow,
    GetResponse,
    Unknown,
}

const COMMANDS: [Sent; 11] = [
    Sent::SelectExpedited,
    Sent::SelectStepUp,
    Sent::SelectUnknown,
    Sent::Auth0,
    Sent::LoadCert,
    Sent::Auth1,
    Sent::Exchange,
    Sent::Envelope,
    Sent::ControlFlow,
    Sent::GetResponse,
    Sent::Unknown,
];

fn allowed(state: State, command: Sent) -> bool {
    use State::{
        Auth0Fast, Auth0Standard, Auth1, Envelope, Exchange, FastExchange, Selected,
        StepUpExchange, StepUpSelected,
    };
    let signed = matches!(
        state,
        Auth1 | Exchange | StepUpSelected | Envelope | StepUpExchange
    );
    match command {
        Sent::SelectExpedited | Sent::ControlFlow => true,
        Sent::SelectStepUp => matches!(state, Auth1 | Exchange),
        Sent::Envelope => signed && state != StepUpExchange,
        Sent::Auth0 => state == Selected,
        Sent::LoadCert | Sent::Auth1 => matches!(state, Auth0Standard | Auth0Fast),
        Sent::Exchange => signed || matches!(state, Auth0Fast | FastExchange),
        Sent::SelectUnknown | Sent::GetResponse | Sent::Unknown => false,
    }
}

fn exchange_nothing(tool: &mut ToolReader<'_>) {
    assert_eq!(tool.exchange_raw(&[]).unwrap(), [0, 2, 0, 0]);
}

fn fast_auth0(
    tool: &mut ToolReader<'_>,
    installation: &Installation,
    memory: &device::BoundedMemory,
) {
    tool.select();
    let auth0 = tool.auth0_command(true);
    let data = auth0.encode();
    assert_eq!(tool.auth0_with(auth0, data).status, StatusWord::OK);
    let credential = installation.credential.public();
    let remembered = memory.recall(&credential, &installation.identifier, Policy::DeviceSetting);
    let keys = tool.context().fast(&remembered.unwrap().key, &credential);
    tool.channel = Some(Channel::of_reader([
        keys.expedited_reader,
        keys.expedited_device,
    ]));
}

fn reach(
    tool: &mut ToolReader<'_>,
    state: State,
    installation: &Installation,
    memory: &device::BoundedMemory,
) {
    let asked = b"request";
    match state {
        State::Unselected => {}
        State::Selected => drop(tool.select()),
        State::Auth0Standard => {
            tool.select();
            tool.auth0();
        }
        State::Auth0Fast => fast_auth0(tool, installation, memory),
        State::FastExchange => {
            fast_auth0(tool, installation, memory);
            exchange_nothing(tool);
        }
        State::Auth1 => drop(tool.standard()),
        State::Exchange => {
            tool.standard();
            exchange_nothing(tool);
        }
        State::StepUpSelected => {
            tool.standard();
            assert_eq!(
                tool.command(Command::select(&STEP_UP)).status,
                StatusWord::OK
            );
        }
        State::Envelope => {
            tool.standard();
            tool.envelope(asked).unwrap();
        }
        State::StepUpExchange => {
            tool.standard();
            tool.envelope(asked).unwrap();
            exchange_nothing(tool);
        }
        State::Complete => {
            tool.standard();
            let end = aliro::command::ExchangeCommand::status(ReaderStatus::UNSECURED);
            tool.exchange(&end);
        }
        State::Failed => {
            tool.standard();
            let broken = Command::aliro(ins::EXCHANGE, vec![0; 16]);
            assert_eq!(tool.command(broken).status, StatusWord::SECURITY);
        }
    }
}

/// Sends the command, valid wherever it can be; whether it was taken.
fn send(tool: &mut ToolReader<'_>, command: Sent, installation: &Installation) -> bool {
    let response = match command {
        Sent::SelectExpedited => tool.command(Command::select(&EXPEDITED)),
        Sent::SelectStepUp => tool.command(Command::select(&STEP_UP)),
        Sent::SelectUnknown => tool.command(Command::select(&[0xa0; 9])),
        Sent::Auth0 => {
            let data = tool.auth0_command(false).encode();
            tool.command(Command::aliro(ins::AUTH0, data))
        }
        Sent::LoadCert => {
            let certificate = installation.certificate.as_bytes().to_vec();
            tool.command(Command::aliro(ins::LOAD_CERT, certificate))
        }
        Sent::Auth1 => {
            let data = match tool.auth0 {
                Some(_) => tool.auth1_command().encode(),
                None => vec![0; 80],
            };
            tool.command(Command::aliro(ins::AUTH1, data))
        }
        Sent::Exchange if tool.channel.is_some() => return tool.exchange_raw(&[]).is_ok(),
        Sent::Envelope if tool.channel.is_some() => return tool.envelope(b"request").is_ok(),
        Sent::Exchange => tool.command(Command::aliro(ins::EXCHANGE, vec![0; 20])),
        Sent::Envelope => tool.command(Command::envelope(session_data(&[0; 20]))),
        Sent::ControlFlow => tool.control_flow(),
        Sent::GetResponse => tool.command(Command {
            cla: 0,
            ..Command::aliro(ins::GET_RESPONSE, vec![])
        }),
        Sent::Unknown => tool.command(Command::aliro(0x55, vec![1, 2, 3])),
    };
    if response.status != StatusWord::OK {
        assert!(response.data.is_empty(), "an error has no data");
    }
    response.status == StatusWord::OK
}

#[test]
fn every_command_in_every_state_is_allowed_exactly_where_the_protocol_says() {
    let installation = Installation::new();
    let memory = Arc::new(device::BoundedMemory::new(16));
    let card = || installation.card(Some(memory.clone()));
    ToolReader::new(&installation, card()).standard();
    for state in STATES {
        for command in COMMANDS {
            let mut tool = ToolReader::new(&installation, card());
            reach(&mut tool, state, &installation, &memory);
            let taken = send(&mut tool, command, &installation);
            assert_eq!(taken, allowed(state, command), "{command:?} in {state:?}");
            if !taken {
                // The failure process: nothing goes on but CONTROL FLOW and a
                // new SELECT.
                for after in [Sent::Auth0, Sent::Auth1, Sent::Exchange, Sent::Envelope] {
                    assert!(!send(&mut tool, after, &installation), "{after:?} after it");
                }
                assert!(send(&mut tool, Sent::ControlFlow, &installation));
                tool.standard();
            }
        }
    }
}
