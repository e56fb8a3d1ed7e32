//! The device's transaction over messages.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::steps::Refusal;
use super::transaction::{Output, Transaction};
use super::{DeviceConfig, Disclosure, Event, Failure, Memory, OutOfTurn};
use crate::apdu::{Assembler, Command, Received, Response};
use crate::channel::{Channel, SealError, TAG_LENGTH};
use crate::command::{ReaderStatus, ins};
use crate::crypto::{CryptoError, Entropy, Signature};
use crate::identifier::Interface;
use crate::mailbox::Mailboxes;
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
    stage: Stage,
    transaction: Transaction,
    assembler: Assembler,
    /// There from the answer to AUTH1 on, or once a reader has opened the
    /// cryptogram.
    channel: Option<Channel>,
    /// What a reader that opened the cryptogram may speak through.
    offered: Option<Channel>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    /// The access protocol runs, in this flow.
    Running(Flow),
    /// The reader is done with it.
    Completed,
    Closed,
}

impl Session {
    /// A session that has not begun, for the standard phase.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn new(
        config: impl Into<Arc<DeviceConfig>>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        Self::open(config.into(), None, entropy)
    }

    /// A session that remembers readers and lets them recognise the device by
    /// the fast phase, but in the remote keyless flow over BLE, where Aliro
    /// forbids it.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn with_memory(
        config: impl Into<Arc<DeviceConfig>>,
        memory: Arc<dyn Memory>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        Self::open(config.into(), Some(memory), entropy)
    }

    fn open(
        config: Arc<DeviceConfig>,
        memory: Option<Arc<dyn Memory>>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        Ok(Self {
            transaction: Transaction::new(Arc::clone(&config), memory, entropy)?,
            assembler: Assembler::new(config.proprietary.extended_length()),
            config,
            stage: Stage::Idle,
            channel: None,
            offered: None,
        })
    }

    /// Lets readers use these mailboxes, before *access protocol completed*.
    /// (Say so in [`Disclosure::signaling`].)
    #[must_use]
    pub fn with_mailboxes(mut self, mailboxes: Arc<dyn Mailboxes>) -> Self {
        self.transaction.services().offer_mailboxes(mailboxes);
        self
    }

    /// Takes notifications, as [`Event::Notified`].
    #[must_use]
    pub fn with_notifications(mut self) -> Self {
        self.transaction.services().take_notifications();
        self
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
        if self.stage != Stage::Idle {
            return Err(OutOfTurn);
        }
        self.stage = Stage::Running(flow);
        let proprietary = self.config.proprietary.as_bytes().to_vec();
        Ok(self.notify(&Notification::Initiate { flow, proprietary }))
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
            return match (message.id, self.stage) {
                (AP_REQUEST, Stage::Running(flow)) => self.on_apdu(flow, message.payload),
                _ => self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters)),
            };
        }
        // Only the reader knows whether it opened the cryptogram. What it then
        // says is encrypted, and longer than anything that may be in clear.
        if self.channel.is_none() && message.payload.len() >= TAG_LENGTH {
            self.channel = self.offered.take();
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
        let output = self.transaction.approve(disclosure)?;
        Ok(self.carry_out(output))
    }

    /// The reader is not the one that was meant, or the user does not want:
    /// tells the reader nothing and ends. Possible until the signature is given.
    ///
    /// # Errors
    /// [`OutOfTurn`] when no reader waits.
    pub fn abort(&mut self) -> Result<Vec<Event>, OutOfTurn> {
        let output = self.transaction.abort()?;
        Ok(self.carry_out(output))
    }

    /// The answer to [`Event::Sign`].
    ///
    /// # Errors
    /// [`OutOfTurn`] when no signature was asked for.
    pub fn signed(&mut self, signature: Signature) -> Result<Vec<Event>, OutOfTurn> {
        let output = self.transaction.signed(signature)?;
        self.channel = self.transaction.message_channel();
        Ok(self.carry_out(output))
    }

    /// The answer to [`Event::DocumentsRequested`]: a plain DeviceResponse. With
    /// nothing to give it is still a response, with status 0.
    ///
    /// # Errors
    /// [`OutOfTurn`] when no documents were asked for.
    pub fn documents(&mut self, response: &[u8]) -> Result<Vec<Event>, OutOfTurn> {
        let output = self.transaction.documents(response)?;
        Ok(self.carry_out(output))
    }

    /// Says what is to be done.
    ///
    /// # Errors
    /// [`OutOfTurn`] before [`Event::AccessCompleted`].
    pub fn rke_request(&mut self, action: Action) -> Result<Vec<Event>, OutOfTurn> {
        match self.stage {
            Stage::Completed => Ok(self.notify(&Notification::RkeRequest(action))),
            _ => Err(OutOfTurn),
        }
    }

    /// Sends a message of an application's own, encrypted: at most 65519 bytes.
    ///
    /// # Errors
    /// [`OutOfTurn`] before AUTH1 is answered, and for a payload that is too
    /// long.
    pub fn send_third_party(&mut self, payload: &[u8]) -> Result<Vec<Event>, OutOfTurn> {
        let channel = self.channel.as_mut().ok_or(OutOfTurn)?;
        match channel.seal_message(Protocol::ThirdParty, 0, payload) {
            Ok(message) => Ok(vec![Event::Send(message)]),
            Err(SealError::Message(_)) => Err(OutOfTurn),
            Err(SealError::Channel(_)) => Ok(self.give_up(Failure::Channel, None)),
        }
    }

    /// Asks the reader for more time.
    ///
    /// # Errors
    /// [`OutOfTurn`] in a closed session and before it has begun.
    pub fn busy(&mut self) -> Result<Vec<Event>, OutOfTurn> {
        match self.stage {
            Stage::Idle | Stage::Closed => Err(OutOfTurn),
            _ => Ok(self.notify(&Notification::Busy)),
        }
    }

    /// Gives up: tells the reader and ends. In a closed session nothing
    /// happens.
    pub fn fail(&mut self, code: ErrorCode) -> Vec<Event> {
        match self.stage {
            Stage::Closed => Vec::new(),
            _ => self.give_up(Failure::Local, Some(code)),
        }
    }

    /// How long from now the reader may take, if something is expected of it.
    pub fn deadline_after(&self) -> Option<Duration> {
        match self.stage {
            Stage::Running(_) if self.transaction.awaits_reader() => Some(RESPONSE_TIME),
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
        self.stage == Stage::Closed
    }

    fn on_apdu(&mut self, flow: Flow, apdu: &[u8]) -> Vec<Event> {
        match self.assembler.on_apdu(apdu) {
            Received::Reply(reply) => self.send_apdu(&reply),
            Received::Broken(status) => self.carry_out(Output::Refused(Refusal::protocol(status))),
            Received::Command(command) => self.on_command(flow, &command),
        }
    }

    fn on_command(&mut self, flow: Flow, command: &Command) -> Vec<Event> {
        let may_be_fast = flow != Flow::RemoteKeyless || self.config.interface != Interface::BLE;
        if matches!(command.ins, ins::LOAD_CERT | ins::AUTH1) {
            // The reader goes on to the standard phase: the fast one's keys end.
            (self.offered, self.channel) = (None, None);
        }
        let output = self.transaction.on_command(command, may_be_fast);
        if command.ins == ins::AUTH0 {
            self.offered = self.transaction.message_channel();
        }
        self.carry_out(output)
    }

    fn carry_out(&mut self, output: Output) -> Vec<Event> {
        match output {
            Output::Respond(response) => self.answer(response),
            Output::ReaderAuthenticated(reader) => vec![Event::ReaderAuthenticated(reader)],
            Output::Sign {
                credential,
                message,
            } => vec![Event::Sign {
                credential,
                message,
            }],
            Output::DocumentsRequested(request) => vec![Event::DocumentsRequested(request)],
            Output::Exchanged(response, exchange) => {
                // A reader that exchanges in the fast phase has opened the
                // cryptogram.
                if self.channel.is_none() {
                    self.channel = self.offered.take();
                }
                let mut events = self.answer(response);
                events.extend(exchange.notify.map(Event::Notified));
                match exchange.status.filter(|status| !status.is_success()) {
                    Some(ReaderStatus(status)) => {
                        let refused = Failure::ReaderRefused(ReaderStatus(status));
                        self.close(events, refused)
                    }
                    None => events,
                }
            }
            Output::Refused(refusal) => {
                let events = self.answer(refusal.response());
                self.close(events, refusal.failure)
            }
            Output::Ended(response, failure) => {
                let events = self.answer(response);
                self.close(events, failure)
            }
        }
    }

    fn on_notification(&mut self, id: u8, payload: &[u8]) -> Vec<Event> {
        let Ok(notification) = Notification::parse(id, payload) else {
            return self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters));
        };
        let encrypted = self.channel.is_some();
        match (notification, self.stage) {
            (Notification::Busy, _) => vec![Event::Busy],
            (Notification::GeneralError(code), _) => self.give_up(Failure::ReaderError(code), None),
            (Notification::Ranging(_), _) => {
                self.give_up(Failure::Ranging, Some(ErrorCode::ResourceUnavailable))
            }
            (Notification::AccessCompleted { reporting, state }, Stage::Running(_))
                if encrypted && self.transaction.awaits_reader() =>
            {
                self.stage = Stage::Completed;
                vec![Event::AccessCompleted { reporting, state }]
            }
            (Notification::StatusChanged { source, state }, _) if encrypted => {
                vec![Event::StatusChanged { source, state }]
            }
            _ => self.give_up(Failure::Malformed, Some(ErrorCode::WrongParameters)),
        }
    }

    fn answer(&mut self, response: Response) -> Vec<Event> {
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

    /// Ends outside the access protocol: with *general error*, if the reader is
    /// to be told and can be.
    fn give_up(&mut self, failure: Failure, tell: Option<ErrorCode>) -> Vec<Event> {
        let told = tell.map(|code| Notification::GeneralError(code).seal(self.channel.as_mut()));
        let events = told.into_iter().flatten().map(Event::Send).collect();
        self.close(events, failure)
    }

    fn close(&mut self, mut events: Vec<Event>, failure: Failure) -> Vec<Event> {
        self.stage = Stage::Closed;
        (self.channel, self.offered) = (None, None);
        events.push(Event::Failed(failure));
        events.push(Event::Closed);
        events
    }
}
