//! The reader's transaction over messages.

use std::sync::Arc;
use std::time::Duration;

use super::steps::{
    AfterAuth0, AwaitingAuth0, AwaitingAuth1, AwaitingDocuments, AwaitingExchange,
    AwaitingLoadCert, Established, MustSign, Opening, StepFailure,
};
use super::{Event, Failure, OutOfTurn, ReaderConfig};
use crate::apdu::{Command, Exchange, Limits, Progress, Response};
use crate::channel::Channel;
use crate::command::{ExchangeCommand, ReaderStatus};
use crate::crypto::{CryptoError, Entropy, Signature};
use crate::message::{
    AP_REQUEST, AP_RESPONSE, ErrorCode, Flow, Message, Notification, OperationSource, Protocol,
    RESPONSE_TIME, ReaderState, Reporting, clear_message,
};
use crate::proprietary::ProprietaryInformation;

/// One transaction, from the device's first message to the end of the
/// connection.
///
/// Give it every whole message ([`on_message`](Self::on_message)); carry out
/// the events in their order; after each call, arm a timer with
/// [`deadline_after`](Self::deadline_after) (replacing the one before) and call
/// [`on_timeout`](Self::on_timeout) when it runs out. A watchdog over the whole
/// connection is the caller's.
pub struct Session {
    config: Arc<ReaderConfig>,
    state: State,
    flow: Flow,
    limits: Limits,
    /// The command that is out.
    exchange: Option<Exchange>,
    /// There from the device's proof on.
    channel: Option<Channel>,
}

enum State {
    Opening(Opening),
    Auth0(AwaitingAuth0),
    LoadCert(AwaitingLoadCert),
    Sign(MustSign),
    Auth1(AwaitingAuth1),
    Deciding(Established),
    Documents(AwaitingDocuments),
    RangingKey(AwaitingExchange, Notification),
    Completed,
    Closed,
}

impl Session {
    /// A session that waits for the device's opening.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn new(config: ReaderConfig, entropy: &dyn Entropy) -> Result<Self, CryptoError> {
        let config = Arc::new(config);
        Ok(Self {
            state: State::Opening(Opening::new(Arc::clone(&config), entropy)?),
            config,
            flow: Flow::RemoteKeyless,
            limits: Limits::announced(None),
            exchange: None,
            channel: None,
        })
    }

    /// Takes one whole message. In a closed session nothing happens.
    pub fn on_message(&mut self, bytes: &[u8]) -> Vec<Event> {
        if matches!(self.state, State::Closed) {
            return Vec::new();
        }
        let Ok(message) = Message::parse(bytes) else {
            return self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters));
        };
        if message.protocol == Protocol::AccessProtocol {
            return self.on_access_protocol(&message);
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
            Protocol::Supplementary if self.channel.is_some() => Vec::new(),
            Protocol::Ranging => {
                self.give_up(Failure::Ranging, Some(ErrorCode::ResourceUnavailable))
            }
            _ => self.give_up(Failure::OutOfOrder, Some(ErrorCode::WrongParameters)),
        }
    }

    /// The answer to [`Event::Sign`].
    ///
    /// # Errors
    /// [`OutOfTurn`] when no signature was asked for.
    pub fn signed(&mut self, signature: Signature) -> Result<Vec<Event>, OutOfTurn> {
        match self.take() {
            State::Sign(step) => {
                let (command, next) = step.signed(signature);
                Ok(self.send_command(command, State::Auth1(next)))
            }
            other => self.out_of_turn(other),
        }
    }

    /// Asks for documents with a plain DeviceRequest; [`Event::Documents`] is
    /// the answer.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is authenticated and undecided.
    pub fn request_documents(&mut self, request: &[u8]) -> Result<Vec<Event>, OutOfTurn> {
        match self.take() {
            State::Deciding(step) => Ok(match step.request_documents(request) {
                Ok((command, next)) => self.send_command(command, State::Documents(next)),
                Err(failure) => self.report(failure),
            }),
            other => self.out_of_turn(other),
        }
    }

    /// Lets the device in as far as the protocol goes and tells it the lock's
    /// state; [`Event::Completed`] says when that is out.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is authenticated and undecided.
    pub fn complete(
        &mut self,
        state: ReaderState,
        reporting: Reporting,
    ) -> Result<Vec<Event>, OutOfTurn> {
        let completed = Notification::AccessCompleted { reporting, state };
        let step = match self.take() {
            State::Deciding(step) => step,
            other => return self.out_of_turn(other),
        };
        if self.flow == Flow::RemoteKeyless {
            return Ok(self.completed(&completed));
        }
        let exchange = ExchangeCommand {
            ranging_key: true,
            ..ExchangeCommand::default()
        };
        Ok(match step.exchange(&exchange) {
            Ok((command, next)) => self.send_command(command, State::RangingKey(next, completed)),
            Err(failure) => self.report(failure),
        })
    }

    /// Refuses the device (EXCHANGE with a failure status) and ends.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is authenticated and undecided.
    pub fn refuse(&mut self, status: ReaderStatus) -> Result<Vec<Event>, OutOfTurn> {
        let failure = Failure::Refused(status);
        match self.take() {
            State::Deciding(step) => {
                let report = match step.exchange(&ExchangeCommand::status(status)) {
                    Ok((command, _)) => Some(command),
                    Err(failure) => failure.report,
                };
                Ok(self.report(StepFailure { failure, report }))
            }
            other => self.out_of_turn(other),
        }
    }

    /// Tells the device that the lock moved.
    ///
    /// # Errors
    /// [`OutOfTurn`] before the session is completed.
    pub fn send_status_changed(
        &mut self,
        source: OperationSource,
        state: ReaderState,
    ) -> Result<Vec<Event>, OutOfTurn> {
        if !matches!(self.state, State::Completed) {
            return Err(OutOfTurn);
        }
        Ok(self.notify(&Notification::StatusChanged { source, state }))
    }

    /// Sends a message of an application's own, encrypted: at most 65519 bytes.
    ///
    /// # Errors
    /// [`OutOfTurn`] before the device is authenticated, and for a payload that
    /// is too long.
    pub fn send_third_party(&mut self, payload: &[u8]) -> Result<Vec<Event>, OutOfTurn> {
        let channel = match (&self.state, &mut self.channel) {
            (State::Closed, _) | (_, None) => return Err(OutOfTurn),
            (_, Some(channel)) => channel,
        };
        match channel.seal_message(Protocol::ThirdParty, 0, payload) {
            Ok(message) => Ok(vec![Event::Send(message)]),
            Err(crate::channel::SealError::Message(_)) => Err(OutOfTurn),
            Err(_) => Ok(self.give_up(Failure::Channel, None)),
        }
    }

    /// Asks the device for more time. Call it about every second while an
    /// answer of the caller's is due.
    ///
    /// # Errors
    /// [`OutOfTurn`] in a closed session.
    pub fn busy(&mut self) -> Result<Vec<Event>, OutOfTurn> {
        match self.state {
            State::Closed => Err(OutOfTurn),
            _ => Ok(self.notify(&Notification::Busy)),
        }
    }

    /// Gives up: tells the device and ends. In a closed session nothing happens.
    pub fn fail(&mut self, code: ErrorCode) -> Vec<Event> {
        if self.is_closed() {
            return Vec::new();
        }
        self.give_up(Failure::Local, Some(code))
    }

    /// How long from now the device may take, if something is expected of it.
    pub fn deadline_after(&self) -> Option<Duration> {
        self.exchange.as_ref().map(|_| RESPONSE_TIME)
    }

    /// The time of [`deadline_after`](Self::deadline_after) ran out.
    pub fn on_timeout(&mut self) -> Vec<Event> {
        if self.exchange.is_none() {
            return Vec::new();
        }
        self.give_up(Failure::Timeout, Some(ErrorCode::Unknown))
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn on_access_protocol(&mut self, message: &Message<'_>) -> Vec<Event> {
        let (AP_RESPONSE, Some(exchange)) = (message.id, &mut self.exchange) else {
            return self.give_up(Failure::OutOfOrder, Some(ErrorCode::WrongParameters));
        };
        match exchange.on_response(message.payload) {
            Ok(Progress::Send(apdu)) => self.send_apdu(&apdu),
            Ok(Progress::Done(response)) => {
                self.exchange = None;
                self.on_response(&response)
            }
            Err(_) => self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters)),
        }
    }

    fn on_response(&mut self, response: &Response) -> Vec<Event> {
        let next = match self.take() {
            State::Auth0(step) => step.on_response(response).map(|after| match after {
                AfterAuth0::LoadCertificate(command, next) => {
                    self.send_command(command, State::LoadCert(next))
                }
                AfterAuth0::Sign(step) => self.ask_signature(step),
            }),
            State::LoadCert(step) => step
                .on_response(response)
                .map(|step| self.ask_signature(step)),
            State::Auth1(step) => step
                .on_response(response)
                .map(|(authenticated, established)| {
                    self.channel = Some(established.message_channel(&self.config.ble_versions));
                    self.state = State::Deciding(established);
                    vec![Event::Authenticated(authenticated)]
                }),
            State::Documents(step) => step.on_response(response).map(|(documents, established)| {
                self.state = State::Deciding(established);
                vec![Event::Documents(documents)]
            }),
            State::RangingKey(step, completed) => step
                .on_response(response, 0)
                .map(|_| self.completed(&completed)),
            _ => return self.give_up(Failure::OutOfOrder, Some(ErrorCode::WrongParameters)),
        };
        next.unwrap_or_else(|failure| self.report(failure))
    }

    fn on_notification(&mut self, id: u8, payload: &[u8]) -> Vec<Event> {
        let Ok(notification) = Notification::parse(id, payload) else {
            return self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters));
        };
        match (notification, &self.state) {
            (Notification::Busy, _) => Vec::new(),
            (Notification::GeneralError(code), _) => self.give_up(Failure::DeviceError(code), None),
            (Notification::Ranging(_), _) => {
                self.give_up(Failure::Ranging, Some(ErrorCode::ResourceUnavailable))
            }
            (Notification::Initiate { flow, proprietary }, State::Opening(_)) => {
                self.on_initiate(flow, &proprietary)
            }
            (Notification::RkeRequest(action), State::Completed)
                if self.flow == Flow::RemoteKeyless =>
            {
                vec![Event::RkeRequest { action }]
            }
            _ => self.give_up(Failure::OutOfOrder, Some(ErrorCode::WrongParameters)),
        }
    }

    fn on_initiate(&mut self, flow: Flow, proprietary: &[u8]) -> Vec<Event> {
        if flow == Flow::Ranging && !self.config.ranging {
            return self.give_up(Failure::Ranging, Some(ErrorCode::ResourceUnavailable));
        }
        self.flow = flow;
        let Ok(proprietary) = ProprietaryInformation::parse(proprietary) else {
            return self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters));
        };
        self.limits = Limits::announced(proprietary.extended_length());
        let State::Opening(step) = self.take() else {
            return self.give_up(Failure::OutOfOrder, Some(ErrorCode::WrongParameters));
        };
        match step.auth0(proprietary) {
            Ok((command, next)) => self.send_command(command, State::Auth0(next)),
            Err(failure) => self.report(failure),
        }
    }

    fn ask_signature(&mut self, step: MustSign) -> Vec<Event> {
        let event = Event::Sign(step.to_sign());
        self.state = State::Sign(step);
        vec![event]
    }

    fn completed(&mut self, completed: &Notification) -> Vec<Event> {
        self.state = State::Completed;
        let mut events = self.notify(completed);
        if !self.is_closed() {
            events.push(Event::Completed);
        }
        events
    }

    fn send_command(&mut self, command: Command, next: State) -> Vec<Event> {
        let (exchange, apdu) = Exchange::begin(command, self.limits);
        self.exchange = Some(exchange);
        self.state = next;
        self.send_apdu(&apdu)
    }

    fn send_apdu(&mut self, apdu: &[u8]) -> Vec<Event> {
        match clear_message(Protocol::AccessProtocol, AP_REQUEST, apdu) {
            Ok(message) => vec![Event::Send(message)],
            Err(_) => self.give_up(Failure::Malformed, None),
        }
    }

    fn notify(&mut self, notification: &Notification) -> Vec<Event> {
        match notification.seal(self.channel.as_mut()) {
            Ok(message) => vec![Event::Send(message)],
            Err(_) => self.give_up(Failure::Channel, None),
        }
    }

    /// Ends after an answer that is not acceptable: with the step's report.
    fn report(&mut self, failure: StepFailure) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(command) = failure.report {
            let (_, apdu) = Exchange::begin(command, self.limits);
            let message = clear_message(Protocol::AccessProtocol, AP_REQUEST, &apdu);
            events.extend(message.map(Event::Send));
        }
        self.close(events, failure.failure)
    }

    /// Ends for any other reason: with *general error*, if the device is to be
    /// told and can be.
    fn give_up(&mut self, failure: Failure, tell: Option<ErrorCode>) -> Vec<Event> {
        let told = tell.map(|code| Notification::GeneralError(code).seal(self.channel.as_mut()));
        let events = told.into_iter().flatten().map(Event::Send).collect();
        self.close(events, failure)
    }

    fn close(&mut self, mut events: Vec<Event>, failure: Failure) -> Vec<Event> {
        self.state = State::Closed;
        self.exchange = None;
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
