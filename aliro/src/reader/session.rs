//! The reader's transaction over messages.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::steps::StepFailure;
use super::transaction::{Output, Transaction};
use super::{Event, Failure, Memory, OutOfTurn, ReaderConfig};
use crate::apdu::{Command, Exchange, Limits, Progress};
use crate::channel::{Channel, SealError};
use crate::command::{ExchangeCommand, ReaderStatus};
use crate::crypto::{CryptoError, Entropy, Signature};
use crate::identifier::Interface;
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
    stage: Stage,
    transaction: Transaction,
    limits: Limits,
    /// The command that is out.
    exchange: Option<Exchange>,
    /// There once the device is known.
    channel: Option<Channel>,
}

enum Stage {
    /// The device has not opened yet.
    Waiting,
    /// The access protocol runs, in this flow.
    Running(Flow),
    /// *Access protocol completed* goes out when the ranging key is released.
    Completing(Notification),
    /// *Access protocol completed* is out.
    Completed(Flow),
    Closed,
}

impl Session {
    /// A session that waits for the device's opening, for the standard phase.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn new(
        config: impl Into<Arc<ReaderConfig>>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        Self::start(config.into(), None, entropy)
    }

    /// A session that remembers devices and asks them for the fast phase, but
    /// in the remote keyless flow over BLE, where Aliro forbids it.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn with_memory(
        config: impl Into<Arc<ReaderConfig>>,
        memory: Arc<dyn Memory>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        Self::start(config.into(), Some(memory), entropy)
    }

    fn start(
        config: Arc<ReaderConfig>,
        memory: Option<Arc<dyn Memory>>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        Ok(Self {
            transaction: Transaction::new(Arc::clone(&config), memory, entropy)?,
            config,
            stage: Stage::Waiting,
            limits: Limits::announced(None),
            exchange: None,
            channel: None,
        })
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
            return self.on_access_protocol(&message);
        }
        let payload = match &mut self.channel {
            None => Cow::Borrowed(message.payload),
            Some(channel) => match channel.open_message(&message) {
                Ok(plain) => Cow::Owned(plain),
                Err(_) => return self.give_up(Failure::Channel, Some(ErrorCode::Unknown)),
            },
        };
        match message.protocol {
            Protocol::Notification => self.on_notification(message.id, &payload),
            Protocol::ThirdParty if self.channel.is_some() => {
                vec![Event::ThirdParty(payload.into_owned())]
            }
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
        let output = self.transaction.signed(signature)?;
        Ok(self.carry_out(output))
    }

    /// After the fast phase: goes on to the standard phase, because documents
    /// or a signature are needed. [`Event::Authenticated`] comes a second time.
    ///
    /// The keys of the fast phase end with it. Whatever was sent under them and
    /// did not arrive is lost unnoticed: send nothing that matters before.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is known by the fast phase, undecided, and
    /// nothing was exchanged.
    pub fn prove(&mut self) -> Result<Vec<Event>, OutOfTurn> {
        self.undecided()?;
        let output = self.transaction.prove()?;
        // The keys of the fast phase end here; the device drops them too.
        self.channel = None;
        Ok(self.carry_out(output))
    }

    /// Asks for documents with a plain DeviceRequest; [`Event::Documents`] is
    /// the answer.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device has signed and is undecided.
    pub fn request_documents(&mut self, request: &[u8]) -> Result<Vec<Event>, OutOfTurn> {
        self.undecided()?;
        let output = self.transaction.request_documents(request)?;
        Ok(self.carry_out(output))
    }

    /// Exchanges mailbox commands and notifications; [`Event::Exchanged`] is the
    /// answer. (A status ends the session: [`refuse`](Self::refuse).)
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is known and undecided.
    pub fn exchange(&mut self, exchange: &ExchangeCommand) -> Result<Vec<Event>, OutOfTurn> {
        self.undecided()?;
        let output = self.transaction.exchange(exchange)?;
        Ok(self.carry_out(output))
    }

    /// Lets the device in as far as the protocol goes, tells it the lock's
    /// state, and remembers it where there is a memory; [`Event::Completed`]
    /// says when that is out.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is known and undecided.
    pub fn complete(
        &mut self,
        state: ReaderState,
        reporting: Reporting,
    ) -> Result<Vec<Event>, OutOfTurn> {
        let flow = self.undecided()?;
        self.transaction.remember();
        let completed = Notification::AccessCompleted { reporting, state };
        if flow == Flow::RemoteKeyless {
            return Ok(self.completed(flow, &completed));
        }
        let exchange = ExchangeCommand {
            ranging_key: true,
            ..ExchangeCommand::default()
        };
        let output = self.transaction.exchange(&exchange)?;
        self.stage = Stage::Completing(completed);
        Ok(self.carry_out(output))
    }

    /// Refuses the device (EXCHANGE with a failure status) and ends.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is known and undecided.
    pub fn refuse(&mut self, status: ReaderStatus) -> Result<Vec<Event>, OutOfTurn> {
        self.undecided()?;
        let output = self
            .transaction
            .exchange(&ExchangeCommand::status(status))?;
        let report = match output {
            Output::Command(command) => Some(command),
            Output::Failed(failure) => failure.report,
            _ => None,
        };
        let failure = Failure::Refused(status);
        Ok(self.report(StepFailure { failure, report }))
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
        match self.stage {
            Stage::Completed(_) => Ok(self.notify(&Notification::StatusChanged { source, state })),
            _ => Err(OutOfTurn),
        }
    }

    /// Sends a message of an application's own, encrypted: at most 65519 bytes.
    ///
    /// # Errors
    /// [`OutOfTurn`] before the device is known, and for a payload that is too
    /// long.
    pub fn send_third_party(&mut self, payload: &[u8]) -> Result<Vec<Event>, OutOfTurn> {
        let channel = self.channel.as_mut().ok_or(OutOfTurn)?;
        match channel.seal_message(Protocol::ThirdParty, 0, payload) {
            Ok(message) => Ok(vec![Event::Send(message)]),
            Err(SealError::Message(_)) => Err(OutOfTurn),
            Err(SealError::Channel(_)) => Ok(self.give_up(Failure::Channel, None)),
        }
    }

    /// Asks the device for more time. Call it about every second while an
    /// answer of the caller's is due.
    ///
    /// # Errors
    /// [`OutOfTurn`] in a closed session.
    pub fn busy(&mut self) -> Result<Vec<Event>, OutOfTurn> {
        match self.stage {
            Stage::Closed => Err(OutOfTurn),
            _ => Ok(self.notify(&Notification::Busy)),
        }
    }

    /// Gives up: tells the device and ends. In a closed session nothing happens.
    pub fn fail(&mut self, code: ErrorCode) -> Vec<Event> {
        match self.stage {
            Stage::Closed => Vec::new(),
            _ => self.give_up(Failure::Local, Some(code)),
        }
    }

    /// How long from now the device may take, if something is expected of it.
    pub fn deadline_after(&self) -> Option<Duration> {
        self.exchange.as_ref().map(|_| RESPONSE_TIME)
    }

    /// The time of [`deadline_after`](Self::deadline_after) ran out.
    pub fn on_timeout(&mut self) -> Vec<Event> {
        match self.exchange {
            Some(_) => self.give_up(Failure::Timeout, Some(ErrorCode::Unknown)),
            None => Vec::new(),
        }
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    fn on_access_protocol(&mut self, message: &Message<'_>) -> Vec<Event> {
        let (AP_RESPONSE, Some(exchange)) = (message.id, &mut self.exchange) else {
            return self.give_up(Failure::OutOfOrder, Some(ErrorCode::WrongParameters));
        };
        match exchange.on_response(message.payload) {
            Ok(Progress::Send(apdu)) => self.send_apdu(&apdu),
            Ok(Progress::Done(response)) => {
                self.exchange = None;
                let output = self.transaction.on_response(&response);
                self.carry_out(output)
            }
            Err(_) => self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters)),
        }
    }

    fn on_notification(&mut self, id: u8, payload: &[u8]) -> Vec<Event> {
        let Ok(notification) = Notification::parse(id, payload) else {
            return self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters));
        };
        match (notification, &self.stage) {
            (Notification::Busy, _) => Vec::new(),
            (Notification::GeneralError(code), _) => self.give_up(Failure::DeviceError(code), None),
            (Notification::Ranging(_), _) => {
                self.give_up(Failure::Ranging, Some(ErrorCode::ResourceUnavailable))
            }
            (Notification::Initiate { flow, proprietary }, Stage::Waiting) => {
                self.on_initiate(flow, &proprietary)
            }
            (Notification::RkeRequest(action), Stage::Completed(Flow::RemoteKeyless)) => {
                vec![Event::RkeRequest { action }]
            }
            _ => self.give_up(Failure::OutOfOrder, Some(ErrorCode::WrongParameters)),
        }
    }

    fn on_initiate(&mut self, flow: Flow, proprietary: &[u8]) -> Vec<Event> {
        if flow == Flow::Ranging && !self.config.ranging {
            return self.give_up(Failure::Ranging, Some(ErrorCode::ResourceUnavailable));
        }
        let Ok(proprietary) = ProprietaryInformation::parse_first(proprietary) else {
            return self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters));
        };
        self.limits = Limits::announced(proprietary.extended_length());
        self.stage = Stage::Running(flow);
        let may_be_fast = flow != Flow::RemoteKeyless || self.config.interface != Interface::BLE;
        let output = self.transaction.begin(proprietary, may_be_fast);
        self.carry_out(output)
    }

    fn carry_out(&mut self, output: Output) -> Vec<Event> {
        match output {
            Output::Command(command) => self.send_command(command),
            Output::Sign(message) => vec![Event::Sign(message)],
            Output::Authenticated(authenticated) => {
                self.channel = self.transaction.message_channel();
                vec![Event::Authenticated(authenticated)]
            }
            Output::Documents(documents) => vec![Event::Documents(documents)],
            Output::Exchanged(read) => match &self.stage {
                Stage::Completing(completed) => {
                    let completed = completed.clone();
                    self.completed(Flow::Ranging, &completed)
                }
                _ => vec![Event::Exchanged(read)],
            },
            Output::Failed(failure) => self.report(failure),
        }
    }

    /// The flow, while the device is known and the caller's decision is due.
    fn undecided(&self) -> Result<Flow, OutOfTurn> {
        match self.stage {
            Stage::Running(flow) if self.transaction.is_settled() => Ok(flow),
            _ => Err(OutOfTurn),
        }
    }

    fn completed(&mut self, flow: Flow, completed: &Notification) -> Vec<Event> {
        self.stage = Stage::Completed(flow);
        let mut events = self.notify(completed);
        if !self.is_closed() {
            events.push(Event::Completed);
        }
        events
    }

    fn send_command(&mut self, command: Command) -> Vec<Event> {
        let (exchange, apdu) = Exchange::begin(command, self.limits);
        self.exchange = Some(exchange);
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
        self.stage = Stage::Closed;
        self.exchange = None;
        self.channel = None;
        events.push(Event::Failed(failure));
        events.push(Event::Closed);
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{RingEntropy, Secret};
    use crate::identifier::ReaderIdentifier;
    use crate::reader::ReaderKey;

    #[test]
    fn what_is_supplementary_is_passed_over_once_the_device_is_known() {
        let entropy = RingEntropy::new();
        let key = entropy.ephemeral().unwrap().public_key();
        let name = ReaderIdentifier::new([0xaa; 16], [0xbb; 16]);
        let config = ReaderConfig::new(name, ReaderKey::Direct(key));
        let mut session = Session::new(config, &entropy).unwrap();
        let keys = || [Secret::new([1; 32]), Secret::new([2; 32])];
        session.channel = Some(Channel::of_reader(keys()));
        let mut device = Channel::of_device(keys());
        let message = device.seal_message(Protocol::Supplementary, 0, b"more");
        assert_eq!(session.on_message(&message.unwrap()), []);
        assert!(!session.is_closed());
    }
}
