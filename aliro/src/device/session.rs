//! The device's transaction over messages.

use std::sync::Arc;
use std::time::Duration;

use super::steps::{Auth0Done, Established, MustSign, ReaderProved, Refusal, Selected};
use super::{DeviceConfig, Disclosure, Event, Failure, OutOfTurn};
use crate::apdu::{Assembler, Command, Received, Response};
use crate::channel::{Channel, SealError};
use crate::command::{ControlFlow, StatusWord, ins};
use crate::crypto::{CryptoError, Entropy, Signature};
use crate::message::{
    AP_REQUEST, AP_RESPONSE, Action, ErrorCode, Flow, Message, Notification, Protocol,
    RESPONSE_TIME, clear_message,
};

/// One transaction, from the device's opening to the end of the connection.
///
/// Begin with [`start_rke`](Self::start_rke); give it every whole message
/// ([`on_message`](Self::on_message)); carry out the events in their order;
/// after each call, arm a timer with [`deadline_after`](Self::deadline_after)
/// (replacing the one before) and call [`on_timeout`](Self::on_timeout) when it
/// runs out. While a signature or an approval takes more than a second, call
/// [`busy`](Self::busy) about every second. A watchdog over the whole
/// connection is the caller's.
pub struct Session {
    config: Arc<DeviceConfig>,
    state: State,
    assembler: Assembler,
    /// There from the answer to AUTH1 on.
    channel: Option<Channel>,
}

enum State {
    Idle(Selected),
    Selected(Selected),
    Auth0(Auth0Done),
    Approving(ReaderProved),
    Signing(MustSign),
    Established(Established),
    /// The caller owes documents.
    Documents(Established),
    Completed,
    Closed,
}

impl Session {
    /// A session that has not begun.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn new(config: DeviceConfig, entropy: &dyn Entropy) -> Result<Self, CryptoError> {
        let config = Arc::new(config);
        Ok(Self {
            state: State::Idle(Selected::new(Arc::clone(&config), entropy)?),
            assembler: Assembler::new(config.proprietary.extended_length()),
            config,
            channel: None,
        })
    }

    /// Opens the remote keyless flow.
    ///
    /// # Errors
    /// [`OutOfTurn`] when the session has begun.
    pub fn start_rke(&mut self) -> Result<Vec<Event>, OutOfTurn> {
        self.start(Flow::RemoteKeyless)
    }

    /// Opens the protocol in either flow.
    ///
    /// # Errors
    /// [`OutOfTurn`] when the session has begun.
    pub fn start(&mut self, flow: Flow) -> Result<Vec<Event>, OutOfTurn> {
        match self.take() {
            State::Idle(selected) => {
                self.state = State::Selected(selected);
                let proprietary = self.config.proprietary.as_bytes().to_vec();
                Ok(self.notify(&Notification::Initiate { flow, proprietary }))
            }
            other => self.out_of_turn(other),
        }
    }

    /// Takes one whole message. In a closed session nothing happens.
    pub fn on_message(&mut self, bytes: &[u8]) -> Vec<Event> {
        if self.is_closed() {
            return Vec::new();
        }
        let Ok(message) = Message::parse(bytes) else {
            return self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters));
        };
        if message.protocol == Protocol::AccessProtocol {
            return match message.id {
                AP_REQUEST => self.on_apdu(message.payload),
                _ => self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters)),
            };
        }
        let payload = match &mut self.channel {
            None => message.payload.to_vec(),
            Some(channel) => match channel.open_message(&message) {
                Ok(plain) => plain,
                Err(_) => return self.give_up(Failure::Channel, None),
            },
        };
        match message.protocol {
            Protocol::Notification => self.on_notification(message.id, &payload),
            Protocol::ThirdParty if self.channel.is_some() => vec![Event::ThirdParty(payload)],
            Protocol::Ranging => {
                self.give_up(Failure::Ranging, Some(ErrorCode::ResourceUnavailable))
            }
            _ => self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters)),
        }
    }

    /// The reader is the one that was meant; tell it this much. The answer to
    /// [`Event::ReaderAuthenticated`].
    ///
    /// # Errors
    /// [`OutOfTurn`] when no reader waits for approval.
    pub fn approve(&mut self, disclosure: Disclosure) -> Result<Vec<Event>, OutOfTurn> {
        match self.take() {
            State::Approving(step) => Ok(match step.approve(disclosure) {
                Ok(next) => {
                    let event = Event::Sign {
                        credential: *next.credential(),
                        message: next.to_sign(),
                    };
                    self.state = State::Signing(next);
                    vec![event]
                }
                Err(refusal) => self.refuse(refusal),
            }),
            other => self.out_of_turn(other),
        }
    }

    /// The reader is not the one that was meant, or the user does not want:
    /// tells the reader nothing and ends. Possible until the signature is given.
    ///
    /// # Errors
    /// [`OutOfTurn`] when no reader waits.
    pub fn abort(&mut self) -> Result<Vec<Event>, OutOfTurn> {
        match self.take() {
            State::Approving(_) | State::Signing(_) => Ok(self.refuse(Refusal {
                status: StatusWord::SECURITY,
                failure: Failure::Aborted,
            })),
            other => self.out_of_turn(other),
        }
    }

    /// The answer to [`Event::Sign`].
    ///
    /// # Errors
    /// [`OutOfTurn`] when no signature was asked for.
    pub fn signed(&mut self, signature: Signature) -> Result<Vec<Event>, OutOfTurn> {
        match self.take() {
            State::Signing(step) => Ok(match step.signed(signature) {
                Ok((response, established)) => {
                    self.channel = Some(established.message_channel(&self.config.ble_versions));
                    self.answer(response, State::Established(established))
                }
                Err(refusal) => self.refuse(refusal),
            }),
            other => self.out_of_turn(other),
        }
    }

    /// The answer to [`Event::DocumentsRequested`]: a plain DeviceResponse. With
    /// nothing to give it is still a response, with status 0.
    ///
    /// # Errors
    /// [`OutOfTurn`] when no documents were asked for.
    pub fn documents(&mut self, response: &[u8]) -> Result<Vec<Event>, OutOfTurn> {
        match self.take() {
            State::Documents(mut step) => Ok(match step.documents(response) {
                Ok(response) => self.answer(response, State::Established(step)),
                Err(refusal) => self.refuse(refusal),
            }),
            other => self.out_of_turn(other),
        }
    }

    /// Says what is to be done.
    ///
    /// # Errors
    /// [`OutOfTurn`] before [`Event::AccessCompleted`].
    pub fn rke_request(&mut self, action: Action) -> Result<Vec<Event>, OutOfTurn> {
        match self.state {
            State::Completed => Ok(self.notify(&Notification::RkeRequest(action))),
            _ => Err(OutOfTurn),
        }
    }

    /// Sends a message of an application's own, encrypted: at most 65519 bytes.
    ///
    /// # Errors
    /// [`OutOfTurn`] before AUTH1 is answered, and for a payload that is too
    /// long.
    pub fn send_third_party(&mut self, payload: &[u8]) -> Result<Vec<Event>, OutOfTurn> {
        let channel = match (&self.state, &mut self.channel) {
            (State::Closed, _) | (_, None) => return Err(OutOfTurn),
            (_, Some(channel)) => channel,
        };
        match channel.seal_message(Protocol::ThirdParty, 0, payload) {
            Ok(message) => Ok(vec![Event::Send(message)]),
            Err(SealError::Message(_)) => Err(OutOfTurn),
            Err(_) => Ok(self.give_up(Failure::Channel, None)),
        }
    }

    /// Asks the reader for more time.
    ///
    /// # Errors
    /// [`OutOfTurn`] in a closed session and before it has begun.
    pub fn busy(&mut self) -> Result<Vec<Event>, OutOfTurn> {
        match self.state {
            State::Idle(_) | State::Closed => Err(OutOfTurn),
            _ => Ok(self.notify(&Notification::Busy)),
        }
    }

    /// Gives up: tells the reader and ends. In a closed session nothing
    /// happens.
    pub fn fail(&mut self, code: ErrorCode) -> Vec<Event> {
        if self.is_closed() {
            return Vec::new();
        }
        self.give_up(Failure::Local, Some(code))
    }

    /// How long from now the reader may take, if something is expected of it.
    pub fn deadline_after(&self) -> Option<Duration> {
        match self.state {
            State::Selected(_) | State::Auth0(_) | State::Established(_) => Some(RESPONSE_TIME),
            _ => None,
        }
    }

    /// The time of [`deadline_after`](Self::deadline_after) ran out.
    pub fn on_timeout(&mut self) -> Vec<Event> {
        match self.deadline_after() {
            Some(_) => self.give_up(Failure::Timeout, None),
            None => Vec::new(),
        }
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn on_apdu(&mut self, apdu: &[u8]) -> Vec<Event> {
        match self.assembler.on_apdu(apdu) {
            Received::Reply(reply) => self.send_apdu(&reply),
            Received::Broken(status) => self.refuse(Refusal::protocol(status)),
            Received::Command(command) => self.on_command(&command),
        }
    }

    fn on_command(&mut self, command: &Command) -> Vec<Event> {
        if (command.cla, command.ins) == (0x80, ins::CONTROL_FLOW) {
            return self.on_control_flow(command);
        }
        let events = match self.take() {
            State::Selected(step) => step
                .auth0(command)
                .map(|(response, next)| self.answer(response, State::Auth0(next))),
            State::Auth0(mut step) if command.ins == ins::LOAD_CERT => step
                .load_certificate(command)
                .map(|response| self.answer(response, State::Auth0(step))),
            State::Auth0(step) => step.auth1(command).map(|proved| {
                let event = Event::ReaderAuthenticated(Box::new(proved.reader().clone()));
                self.state = State::Approving(proved);
                vec![event]
            }),
            State::Established(mut step) if command.ins == ins::ENVELOPE => {
                step.envelope(command).map(|request| {
                    self.state = State::Documents(step);
                    vec![Event::DocumentsRequested(request)]
                })
            }
            State::Established(mut step) => step.exchange(command).map(|(response, exchange)| {
                let refused = exchange.status.filter(|status| !status.is_success());
                let events = self.answer(response, State::Established(step));
                match refused {
                    Some(status) => self.close(events, Failure::ReaderRefused(status)),
                    None => events,
                }
            }),
            _ => Err(Refusal::protocol(StatusWord::WRONG_STATE)),
        };
        events.unwrap_or_else(|refusal| self.refuse(refusal))
    }

    fn on_control_flow(&mut self, command: &Command) -> Vec<Event> {
        let why = ControlFlow::parse(&command.data);
        let status = match (why, command.p1, command.p2) {
            (Ok(_), 0, 0) => StatusWord::OK,
            (Ok(_), ..) => StatusWord::BAD_PARAMETERS,
            (Err(_), ..) => StatusWord::MALFORMED,
        };
        let response = Response {
            data: Vec::new(),
            status,
        };
        let events = self.answer(response, State::Closed);
        self.close(
            events,
            why.map_or(Failure::Protocol(status), Failure::ReaderEnded),
        )
    }

    fn on_notification(&mut self, id: u8, payload: &[u8]) -> Vec<Event> {
        let Ok(notification) = Notification::parse(id, payload) else {
            return self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters));
        };
        let encrypted = self.channel.is_some();
        match (notification, &self.state) {
            (Notification::Busy, _) => vec![Event::Busy],
            (Notification::GeneralError(code), _) => self.give_up(Failure::ReaderError(code), None),
            (Notification::Ranging(_), _) => {
                self.give_up(Failure::Ranging, Some(ErrorCode::ResourceUnavailable))
            }
            (Notification::AccessCompleted { reporting, state }, State::Established(_)) => {
                self.state = State::Completed;
                vec![Event::AccessCompleted { reporting, state }]
            }
            (Notification::StatusChanged { source, state }, _) if encrypted => {
                vec![Event::StatusChanged { source, state }]
            }
            _ => self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters)),
        }
    }

    fn answer(&mut self, response: Response, next: State) -> Vec<Event> {
        self.state = next;
        let apdu = self.assembler.respond(response);
        self.send_apdu(&apdu)
    }

    fn send_apdu(&mut self, apdu: &[u8]) -> Vec<Event> {
        match clear_message(Protocol::AccessProtocol, AP_RESPONSE, apdu) {
            Ok(message) => vec![Event::Send(message)],
            Err(_) => self.give_up(Failure::Local, None),
        }
    }

    fn notify(&mut self, notification: &Notification) -> Vec<Event> {
        match notification.seal(self.channel.as_mut()) {
            Ok(message) => vec![Event::Send(message)],
            Err(_) => self.give_up(Failure::Channel, None),
        }
    }

    /// The failure process.
    fn refuse(&mut self, refusal: Refusal) -> Vec<Event> {
        let events = self.answer(refusal.response(), State::Closed);
        self.close(events, refusal.failure)
    }

    /// Ends outside the access protocol: with *general error*, if the reader is
    /// to be told and can be.
    fn give_up(&mut self, failure: Failure, tell: Option<ErrorCode>) -> Vec<Event> {
        let told = tell.map(|code| Notification::GeneralError(code).seal(self.channel.as_mut()));
        let events = told.into_iter().flatten().map(Event::Send).collect();
        self.close(events, failure)
    }

    fn close(&mut self, mut events: Vec<Event>, failure: Failure) -> Vec<Event> {
        self.state = State::Closed;
        self.channel = None;
        events.push(Event::Failed(failure));
        events.push(Event::Closed);
        events
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Closed)
    }

    fn out_of_turn<T>(&mut self, state: State) -> Result<T, OutOfTurn> {
        self.state = state;
        Err(OutOfTurn)
    }
}
