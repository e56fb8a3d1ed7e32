//! The reader: every message and every call in every state.

use aliro::command::{ExchangeCommand, ReaderStatus};
use aliro::crypto::{RingEntropy, Signature};
use aliro::device;
use aliro::message::{Action, Flow, Message, Notification, OperationSource, Protocol};
use aliro::message::{ReaderState, Reporting};
use aliro::reader::{Event, Failure, OutOfTurn, Session};

use super::common::Installation;

/// Where a reader can be. (A fresh session waits; the last four need a known
/// device.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Waiting,
    Auth0,
    LoadCert,
    Signing,
    Auth1,
    Undecided,
    Documents,
    Exchange,
    /// EXCHANGE is out by which the device releases its ranging key.
    Completing,
    Completed,
    Closed,
}

const STATES: [State; 11] = [
    State::Waiting,
    State::Auth0,
    State::LoadCert,
    State::Signing,
    State::Auth1,
    State::Undecided,
    State::Documents,
    State::Exchange,
    State::Completing,
    State::Completed,
    State::Closed,
];

/// A reader, with a device that answers it, which may be asked to speak.
struct Both {
    installation: Installation,
    flow: Flow,
    reader: Session,
    device: device::Session,
    /// What the reader sent and the device has not been given.
    pending: Vec<Vec<u8>>,
}

impl Both {
    fn reach(state: State) -> Self {
        // Only the flow that leads to ranging has a key to release.
        let flow = match state {
            State::Completing => Flow::Ranging,
            _ => Flow::RemoteKeyless,
        };
        let installation = Installation::new();
        let mut config = installation.reader_config();
        config.ranging = flow == Flow::Ranging;
        let mut both = Self {
            flow,
            reader: Session::new(config, &RingEntropy).unwrap(),
            device: device::Session::new(installation.device_config(), &RingEntropy).unwrap(),
            installation,
            pending: Vec::new(),
        };
        both.go_to(state);
        both
    }

    fn go_to(&mut self, state: State) {
        if state == State::Waiting {
            return;
        }
        let initiate = self.device.start(self.flow).unwrap();
        self.on_device(initiate);
        if state == State::Auth0 {
            return;
        }
        self.answer();
        if state == State::LoadCert {
            return;
        }
        self.answer();
        if state == State::Signing {
            return;
        }
        self.sign();
        if state == State::Auth1 {
            return;
        }
        self.answer();
        let sent = match state {
            State::Documents => self.reader.request_documents(b"request"),
            State::Exchange => self.reader.exchange(&ExchangeCommand::default()),
            State::Completing | State::Completed => self.complete(),
            State::Closed => Ok(self.reader.fail(aliro::message::ErrorCode::Unknown)),
            _ => return,
        };
        self.keep(&sent.unwrap());
    }

    fn complete(&mut self) -> Result<Vec<Event>, OutOfTurn> {
        self.reader.complete(ReaderState::Secured, Reporting::None)
    }

    fn sign(&mut self) {
        // The input was given by the event before; it is made again here.
        let message = self.pending.pop().unwrap();
        let signed = self
            .reader
            .signed(self.installation.reader.sign(&message))
            .unwrap();
        self.keep(&signed);
    }

    /// The device answers what is pending.
    fn answer(&mut self) {
        let command = self.pending.pop().unwrap();
        let mut events = self.device.on_message(&command);
        while let Some(event) = events.pop() {
            match event {
                device::Event::ReaderAuthenticated(_) => {
                    let disclosure = device::Disclosure::default();
                    events.extend(self.device.approve(disclosure).unwrap());
                }
                device::Event::Sign { message, .. } => {
                    let signature = self.installation.credential.sign(&message);
                    events.extend(self.device.signed(signature).unwrap());
                }
                event => self.on_device(vec![event]),
            }
        }
    }

    fn on_device(&mut self, events: Vec<device::Event>) {
        let [device::Event::Send(message)] = &events[..] else {
            panic!("{events:?}");
        };
        let events = self.reader.on_message(message);
        self.keep(&events);
    }

    fn keep(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Send(bytes) | Event::Sign(bytes) => self.pending.push(bytes.clone()),
                _ => {}
            }
        }
    }
}

/// A message of a device, as valid as it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Busy,
    GeneralError,
    Initiate,
    RkeRequest,
    RangingEvent,
    ThirdParty,
    Command,
    RangingService,
}

const MESSAGES: [Sent; 8] = [
    Sent::Busy,
    Sent::GeneralError,
    Sent::Initiate,
    Sent::RkeRequest,
    Sent::RangingEvent,
    Sent::ThirdParty,
    Sent::Command,
    Sent::RangingService,
];

/// What becomes of it: `None` where it is taken.
fn expected(state: State, sent: Sent) -> Option<Failure> {
    // Over messages everything but commands is encrypted once the device is
    // known, and nothing is taken from a stranger but its opening.
    let known = (State::Undecided..State::Closed).contains(&state);
    match (sent, state) {
        (Sent::Busy, _) => None,
        (Sent::GeneralError, _) => Some(Failure::DeviceError(
            aliro::message::ErrorCode::WrongParameters,
        )),
        (Sent::Initiate, State::Waiting) => None,
        (Sent::RkeRequest, State::Completed) => None,
        (Sent::ThirdParty, _) if known => None,
        // Type 1 is encrypted as well: what comes in clear does not open.
        (Sent::RangingService, _) if known => Some(Failure::Channel),
        (Sent::RangingEvent | Sent::RangingService, _) => Some(Failure::Ranging),
        _ => Some(Failure::OutOfOrder),
    }
}

impl Both {
    fn send(&mut self, state: State, sent: Sent) -> Vec<Event> {
        let notification = |notification: Notification| {
            let (id, payload) = notification.encode().unwrap();
            (Protocol::Notification, id, payload)
        };
        let (protocol, id, payload) = match sent {
            Sent::Busy => notification(Notification::Busy),
            Sent::GeneralError => notification(Notification::GeneralError(
                aliro::message::ErrorCode::WrongParameters,
            )),
            Sent::Initiate => notification(Notification::Initiate {
                flow: self.flow,
                proprietary: self
                    .installation
                    .device_config()
                    .proprietary
                    .as_bytes()
                    .to_vec(),
            }),
            Sent::RkeRequest => notification(Notification::RkeRequest(Action::Unsecure)),
            Sent::RangingEvent => notification(Notification::Ranging(0)),
            Sent::ThirdParty => (Protocol::ThirdParty, 0, b"hello".to_vec()),
            Sent::Command => (Protocol::AccessProtocol, 0, vec![0x80, 0x80, 0, 0]),
            Sent::RangingService => (Protocol::Ranging, 0, vec![0, 0]),
        };
        // What the engine can seal it seals; a device that is spoken to in clear
        // speaks in clear.
        let known = (State::Undecided..State::Closed).contains(&state);
        let sealed = match sent {
            Sent::Busy if known => self.device.busy(),
            Sent::GeneralError if known => {
                Ok(self.device.fail(aliro::message::ErrorCode::WrongParameters))
            }
            Sent::ThirdParty if known => self.device.send_third_party(&payload),
            Sent::RkeRequest if state == State::Completed => {
                let completed = self.pending.pop().unwrap();
                self.device.on_message(&completed);
                self.device.rke_request(Action::Unsecure)
            }
            _ => Err(device::OutOfTurn),
        };
        let message = match sealed {
            Ok(events) => match events.into_iter().next() {
                Some(device::Event::Send(message)) => message,
                other => panic!("{other:?}"),
            },
            Err(_) => Message {
                protocol,
                id,
                payload: &payload,
            }
            .encode()
            .unwrap(),
        };
        self.reader.on_message(&message)
    }
}

#[test]
fn every_message_in_every_state() {
    for state in STATES {
        for sent in MESSAGES {
            // In clear where the device cannot be made to seal it: then it does
            // not open, whatever it is.
            let known = (State::Undecided..State::Closed).contains(&state);
            let unsealable = match sent {
                Sent::Initiate | Sent::RangingEvent => known,
                Sent::RkeRequest => known && state != State::Completed,
                _ => false,
            };
            let mut both = Both::reach(state);
            let events = both.send(state, sent);
            if state == State::Closed {
                assert_eq!(events, [], "{sent:?}");
                continue;
            }
            let failure = events.iter().find_map(|event| match event {
                Event::Failed(failure) => Some(*failure),
                _ => None,
            });
            let expected = match unsealable {
                true => Some(Failure::Channel),
                false => expected(state, sent),
            };
            assert_eq!(failure, expected, "{sent:?} in {state:?}: {events:?}");
            assert_eq!(both.reader.is_closed(), failure.is_some());
            // Whoever ends it is told of nothing, everybody else is.
            let told = matches!(events.first(), Some(Event::Send(_)));
            let ended = failure.is_some() && sent != Sent::GeneralError;
            assert!(!ended || told, "{sent:?} in {state:?}: {events:?}");
        }
    }
}

/// What a caller may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Signed,
    Prove,
    RequestDocuments,
    Exchange,
    Complete,
    Refuse,
    StatusChanged,
    ThirdParty,
    Busy,
}

const CALLS: [Call; 9] = [
    Call::Signed,
    Call::Prove,
    Call::RequestDocuments,
    Call::Exchange,
    Call::Complete,
    Call::Refuse,
    Call::StatusChanged,
    Call::ThirdParty,
    Call::Busy,
];

#[test]
fn every_call_in_every_state() {
    for state in STATES {
        for call in CALLS {
            let known = (State::Undecided..State::Closed).contains(&state);
            let allowed = match call {
                Call::Signed => state == State::Signing,
                // After the standard phase there is nothing more to prove.
                Call::Prove => false,
                Call::RequestDocuments | Call::Exchange | Call::Complete | Call::Refuse => {
                    state == State::Undecided
                }
                Call::StatusChanged => state == State::Completed,
                Call::ThirdParty => known,
                Call::Busy => state != State::Closed,
            };
            let mut both = Both::reach(state);
            let deadline = both.reader.deadline_after();
            let reader = &mut both.reader;
            let said = match call {
                Call::Signed => reader.signed(Signature([7; 64])),
                Call::Prove => reader.prove(),
                Call::RequestDocuments => reader.request_documents(b"request"),
                Call::Exchange => reader.exchange(&ExchangeCommand::default()),
                Call::Complete => reader.complete(ReaderState::Secured, Reporting::None),
                Call::Refuse => reader.refuse(ReaderStatus::EXPIRED),
                Call::StatusChanged => reader
                    .send_status_changed(OperationSource::ThisDeviceRke, ReaderState::Unsecured),
                Call::ThirdParty => reader.send_third_party(b"hello"),
                Call::Busy => reader.busy(),
            };
            assert_eq!(said.is_ok(), allowed, "{call:?} in {state:?}: {said:?}");
            if !allowed {
                assert_eq!(both.reader.deadline_after(), deadline, "nothing changed");
            }
        }
    }
}

#[test]
fn a_deadline_runs_exactly_while_an_answer_is_due() {
    for state in STATES {
        let due = matches!(
            state,
            State::Auth0
                | State::LoadCert
                | State::Auth1
                | State::Documents
                | State::Exchange
                | State::Completing
        );
        let mut both = Both::reach(state);
        assert_eq!(both.reader.deadline_after().is_some(), due, "{state:?}");
        let late = both.reader.on_timeout();
        assert_eq!(late.contains(&Event::Failed(Failure::Timeout)), due);
        assert_eq!(late.is_empty(), !due, "{state:?}");
    }
}
