//! The device: every command in every state, over APDUs and over messages.

use std::sync::Arc;

use aliro::apdu::{Command, Response};
use aliro::channel::Channel;
use aliro::command::{ExchangeCommand, Policy, ReaderStatus, StatusWord, ins, session_data};
use aliro::crypto::RingEntropy;
use aliro::device::{self, Memory as _};
use aliro::identifier::Interface;
use aliro::keys::{self, BleVersions};
use aliro::select::{EXPEDITED, STEP_UP};

use super::common::Installation;
use super::common::tool::{Device, ToolReader};

/// The states of section 12. (`Auth0Fast` comes twice: whether the device gave a
/// cryptogram that the reader can open.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Unselected,
    Selected,
    Auth0Standard,
    Auth0Missed,
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

pub(super) const STATES: [State; 13] = [
    State::Unselected,
    State::Selected,
    State::Auth0Standard,
    State::Auth0Missed,
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

/// What the device answers.
fn expected(state: State, command: Sent) -> StatusWord {
    use State::{
        Auth0Fast, Auth0Missed, Auth0Standard, Auth1, Envelope, Exchange, FastExchange, Selected,
        StepUpExchange, StepUpSelected,
    };
    let signed = matches!(
        state,
        Auth1 | Exchange | StepUpSelected | Envelope | StepUpExchange
    );
    let allowed = match command {
        Sent::SelectExpedited | Sent::ControlFlow => true,
        Sent::SelectStepUp => matches!(state, Auth1 | Exchange),
        Sent::Envelope => signed && state != StepUpExchange,
        Sent::Auth0 => state == Selected,
        Sent::LoadCert | Sent::Auth1 => matches!(state, Auth0Standard | Auth0Missed | Auth0Fast),
        Sent::Exchange => signed || matches!(state, Auth0Fast | FastExchange),
        Sent::SelectUnknown | Sent::GetResponse | Sent::Unknown => false,
    };
    match (command, state) {
        _ if allowed => StatusWord::OK,
        (Sent::SelectUnknown, _) => StatusWord::UNKNOWN_APPLICATION,
        // As if it were sealed under the wrong key: whether there was a right
        // one is nobody's business.
        (Sent::Exchange, Auth0Missed) => StatusWord::SECURITY,
        _ => StatusWord::WRONG_STATE,
    }
}

/// What both remember of an earlier visit.
pub(super) struct Visited {
    pub(super) installation: Installation,
    memory: Arc<device::BoundedMemory>,
    interface: Interface,
}

impl Visited {
    pub(super) fn over_apdus() -> Self {
        Self::over(Interface::NFC)
    }

    /// Over messages, on a private carrier: in the remote keyless flow over BLE
    /// there is no fast phase.
    pub(super) fn over_messages() -> Self {
        Self::over(Interface(0xf0))
    }

    fn over(interface: Interface) -> Self {
        let visited = Self {
            installation: Installation::new(),
            memory: Arc::new(device::BoundedMemory::new(16)),
            interface,
        };
        visited.tool().standard();
        visited
    }

    /// A device that has not begun.
    pub(super) fn tool(&self) -> ToolReader<'_> {
        if self.interface == Interface::NFC {
            let card = self.installation.card(Some(self.memory.clone()));
            return ToolReader::new(&self.installation, card);
        }
        let mut config = self.installation.device_config();
        config.interface = self.interface;
        let session =
            device::Session::with_memory(config, self.memory.clone(), &RingEntropy).unwrap();
        ToolReader::over_messages(&self.installation, session, self.interface)
    }

    pub(super) fn tool_in(&self, state: State) -> ToolReader<'_> {
        let mut tool = self.tool();
        self.reach(&mut tool, state);
        tool
    }

    fn reach(&self, tool: &mut ToolReader<'_>, state: State) {
        match state {
            State::Unselected => {}
            State::Selected => drop(tool.select()),
            State::Auth0Standard => {
                tool.select();
                tool.auth0();
            }
            State::Auth0Missed => {
                tool.select();
                let mut auth0 = tool.auth0_command(true);
                auth0.reader.sub = [0xee; 16];
                let data = auth0.encode();
                assert_eq!(tool.auth0_with(auth0, data).status, StatusWord::OK);
            }
            State::Auth0Fast => self.fast_auth0(tool),
            State::FastExchange => {
                self.fast_auth0(tool);
                exchange_nothing(tool);
            }
            State::Auth1 => drop(tool.standard()),
            State::Exchange => {
                tool.standard();
                exchange_nothing(tool);
            }
            State::StepUpSelected => {
                tool.standard();
                let selected = tool.command(Command::select(&STEP_UP));
                assert_eq!(selected.status, StatusWord::OK);
            }
            State::Envelope => {
                tool.standard();
                tool.envelope(b"request").unwrap();
            }
            State::StepUpExchange => {
                tool.standard();
                tool.envelope(b"request").unwrap();
                exchange_nothing(tool);
            }
            State::Complete => {
                tool.standard();
                tool.exchange(&ExchangeCommand::status(ReaderStatus::UNSECURED));
            }
            State::Failed => {
                tool.standard();
                let broken = Command::aliro(ins::EXCHANGE, vec![0; 16]);
                assert_eq!(tool.command(broken).status, StatusWord::SECURITY);
            }
        }
    }

    fn fast_auth0(&self, tool: &mut ToolReader<'_>) {
        tool.select();
        let auth0 = tool.auth0_command(true);
        let data = auth0.encode();
        assert_eq!(tool.auth0_with(auth0, data).status, StatusWord::OK);
        let credential = self.installation.credential.public();
        let reader = &self.installation.identifier;
        let remembered = self
            .memory
            .recall(&credential, reader, Policy::DeviceSetting);
        let keys = tool.context().fast(&remembered.unwrap().key, &credential);
        tool.channel = Some(Channel::of_reader([
            keys.expedited_reader,
            keys.expedited_device,
        ]));
        tool.messages = Some(Channel::of_reader(keys::ble(
            &keys.ble,
            &BleVersions::default(),
        )));
    }

    /// Sends the command, as valid as it can be; the status of the answer.
    fn send(&self, tool: &mut ToolReader<'_>, command: Sent) -> StatusWord {
        let response = match command {
            Sent::SelectExpedited => tool.command(Command::select(&EXPEDITED)),
            Sent::SelectStepUp => tool.command(Command::select(&STEP_UP)),
            Sent::SelectUnknown => tool.command(Command::select(&[0xa0; 9])),
            Sent::Auth0 => {
                let data = tool.auth0_command(false).encode();
                tool.command(Command::aliro(ins::AUTH0, data))
            }
            Sent::LoadCert => {
                let certificate = self.installation.certificate.as_bytes().to_vec();
                tool.command(Command::aliro(ins::LOAD_CERT, certificate))
            }
            Sent::Auth1 => self.auth1(tool),
            Sent::Exchange if tool.channel.is_some() => {
                return tool.exchange_raw(&[]).err().unwrap_or(StatusWord::OK);
            }
            Sent::Envelope if tool.channel.is_some() => {
                return tool.envelope(b"request").err().unwrap_or(StatusWord::OK);
            }
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
        response.status
    }

    fn auth1(&self, tool: &mut ToolReader<'_>) -> Response {
        let data = match &tool.auth0 {
            Some(auth0) => {
                let mut auth1 = tool.auth1_command();
                auth1.signature = tool.signature(auth0.reader);
                auth1.encode()
            }
            None => vec![0; 80],
        };
        tool.command(Command::aliro(ins::AUTH1, data))
    }
}

fn exchange_nothing(tool: &mut ToolReader<'_>) {
    assert_eq!(tool.exchange_raw(&[]).unwrap(), [0, 2, 0, 0]);
}

#[test]
fn every_command_in_every_state_over_apdus() {
    let visited = Visited::over_apdus();
    for state in STATES {
        for command in COMMANDS {
            let mut tool = visited.tool_in(state);
            let status = visited.send(&mut tool, command);
            assert_eq!(status, expected(state, command), "{command:?} in {state:?}");
            if status != StatusWord::OK {
                // The failure process: nothing goes on but CONTROL FLOW and a
                // new SELECT.
                for after in [Sent::Auth0, Sent::Auth1, Sent::Exchange, Sent::Envelope] {
                    let status = visited.send(&mut tool, after);
                    assert_eq!(status, StatusWord::WRONG_STATE, "{after:?} after it");
                }
                assert_eq!(visited.send(&mut tool, Sent::ControlFlow), StatusWord::OK);
                tool.standard();
            }
        }
    }
}

/// Over messages there is no SELECT, of which `Unselected`, `StepUpSelected` and
/// `Complete` (an end of NFC's) come; nothing is answered after an end.
#[test]
fn every_command_in_every_state_over_messages() {
    let visited = Visited::over_messages();
    for state in STATES {
        if matches!(
            state,
            State::Unselected | State::StepUpSelected | State::Complete | State::Failed
        ) {
            continue;
        }
        for command in COMMANDS {
            let mut tool = visited.tool_in(state);
            let status = visited.send(&mut tool, command);
            let expected = match command {
                Sent::SelectExpedited | Sent::SelectStepUp | Sent::SelectUnknown => {
                    StatusWord::WRONG_STATE
                }
                _ => expected(state, command),
            };
            assert_eq!(status, expected, "{command:?} in {state:?}");
            let Device::Session(session) = &tool.device else {
                panic!("over messages");
            };
            let ends = status != StatusWord::OK || command == Sent::ControlFlow;
            assert_eq!(session.is_closed(), ends, "{command:?} in {state:?}");
            if ends {
                assert_eq!(tool.raw(&[0, 0, 0, 4, 0x80, ins::AUTH1, 0, 0]), []);
            }
        }
    }
}
