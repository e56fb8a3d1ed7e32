//! The device's transaction over bare APDUs: as a card in a reader's field.

use std::sync::Arc;

use super::services::Services;
use super::steps::Refusal;
use super::transaction::{Output, Transaction};
use super::{DeviceConfig, Disclosure, Failure, Memory, OutOfTurn, ReaderAuthenticated};
use crate::apdu::{Assembler, Command, Received, Response};
use crate::command::{ReaderStatus, StatusWord, ins};
use crate::crypto::{CryptoError, Entropy, PublicKey, Signature};
use crate::mailbox::Mailboxes;
use crate::select::{EXPEDITED, STEP_UP, file_control};

/// What a [`Card`] wants done, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardEvent {
    /// Answer the reader with this response APDU.
    Send(Vec<u8>),
    /// The reader proved itself: [`Card::approve`] or [`Card::abort`].
    ReaderAuthenticated(Box<ReaderAuthenticated>),
    /// Sign `message` with the private key of `credential`, then
    /// [`Card::signed`].
    Sign {
        /// Whose key.
        credential: PublicKey,
        /// What to sign.
        message: Vec<u8>,
    },
    /// The reader asks for documents: [`Card::documents`].
    DocumentsRequested(Vec<u8>),
    /// The reader has something for the credential issuer's back end or for an
    /// application (value of tag AE).
    Notified(Vec<u8>),
    /// The reader ended the transaction with this status.
    ReaderStatus(ReaderStatus),
    /// The transaction failed. The next SELECT begins a new one.
    Failed(Failure),
}

/// A device in a reader's field: one transaction after the other, each begun by
/// SELECT.
///
/// Exactly one response APDU answers each command APDU, at once or after the
/// caller has answered an event. Time belongs to the field: when it is lost,
/// call [`field_lost`](Self::field_lost).
pub struct Card {
    config: Arc<DeviceConfig>,
    memory: Option<Arc<dyn Memory>>,
    mailboxes: Option<Arc<dyn Mailboxes>>,
    notifications: bool,
    entropy: Arc<dyn Entropy>,
    assembler: Assembler,
    transaction: Option<Transaction>,
}

impl Card {
    /// A card that waits for SELECT.
    pub fn new(
        config: impl Into<Arc<DeviceConfig>>,
        memory: Option<Arc<dyn Memory>>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let config = config.into();
        Self {
            assembler: Assembler::new(config.proprietary.extended_length()),
            config,
            memory,
            mailboxes: None,
            notifications: false,
            entropy,
            transaction: None,
        }
    }

    /// Lets readers use these mailboxes. (Say so in
    /// [`Disclosure::signaling`](super::Disclosure).)
    #[must_use]
    pub fn with_mailboxes(mut self, mailboxes: Arc<dyn Mailboxes>) -> Self {
        self.mailboxes = Some(mailboxes);
        self
    }

    /// Takes notifications, as [`CardEvent::Notified`].
    #[must_use]
    pub fn with_notifications(mut self) -> Self {
        self.notifications = true;
        self
    }

    /// Selected without a SELECT, on carriers whose reader begins with AUTH0
    /// and knows what the device supports.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn selected(mut self) -> Result<Self, CryptoError> {
        self.transaction = Some(self.begin()?);
        Ok(self)
    }

    /// Takes one command APDU.
    pub fn on_apdu(&mut self, apdu: &[u8]) -> Vec<CardEvent> {
        match self.assembler.on_apdu(apdu) {
            Received::Reply(reply) => vec![CardEvent::Send(reply)],
            Received::Broken(status) => self.carry_out(Output::Refused(Refusal::protocol(status))),
            Received::Command(command) if command.ins == ins::SELECT => self.on_select(&command),
            Received::Command(command) => self.on_command(&command),
        }
    }

    /// The field is gone: everything of the transaction is dropped.
    pub fn field_lost(&mut self) {
        self.transaction = None;
        self.assembler = Assembler::new(self.config.proprietary.extended_length());
    }

    /// The reader is the one that was meant; tell it this much.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn approve(&mut self, disclosure: Disclosure) -> Result<Vec<CardEvent>, OutOfTurn> {
        let output = self.running()?.approve(disclosure)?;
        Ok(self.carry_out(output))
    }

    /// It is not, or the user does not want: the reader learns nothing.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn abort(&mut self) -> Result<Vec<CardEvent>, OutOfTurn> {
        let output = self.running()?.abort()?;
        Ok(self.carry_out(output))
    }

    /// The answer to [`CardEvent::Sign`].
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn signed(&mut self, signature: Signature) -> Result<Vec<CardEvent>, OutOfTurn> {
        let output = self.running()?.signed(signature)?;
        Ok(self.carry_out(output))
    }

    /// The answer to [`CardEvent::DocumentsRequested`].
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn documents(&mut self, response: &[u8]) -> Result<Vec<CardEvent>, OutOfTurn> {
        let output = self.running()?.documents(response)?;
        Ok(self.carry_out(output))
    }

    /// SELECT of the expedited application restarts everything; the step-up
    /// application is there only once the device has signed.
    fn on_select(&mut self, command: &Command) -> Vec<CardEvent> {
        if (command.cla, command.p1, command.p2) != (0x00, 0x04, 0x00) {
            return self.refuse(StatusWord::BAD_PARAMETERS);
        }
        let application = match command.data.as_slice() {
            name if name == EXPEDITED => {
                self.transaction = self.begin().ok();
                if self.transaction.is_none() {
                    return self.refuse(StatusWord::CONDITIONS);
                }
                &EXPEDITED
            }
            name if name == STEP_UP => {
                let transaction = self.transaction.as_mut();
                if !transaction.is_some_and(Transaction::select_step_up) {
                    return self.refuse(StatusWord::WRONG_STATE);
                }
                &STEP_UP
            }
            _ => return self.refuse(StatusWord::UNKNOWN_APPLICATION),
        };
        let data = file_control(application, &self.config.proprietary);
        self.answer(Response::ok(data))
    }

    fn on_command(&mut self, command: &Command) -> Vec<CardEvent> {
        let output = match &mut self.transaction {
            Some(transaction) => transaction.on_command(command, true),
            // A reader may report failure at any time, and nothing else.
            None if (command.cla, command.ins) == (0x80, ins::CONTROL_FLOW) => {
                return self.answer(Response::ok(Vec::new()));
            }
            None => return self.answer(Response::error(StatusWord::WRONG_STATE)),
        };
        self.carry_out(output)
    }

    fn carry_out(&mut self, output: Output) -> Vec<CardEvent> {
        match output {
            Output::Respond(response) => self.answer(response),
            Output::ReaderAuthenticated(reader) => vec![CardEvent::ReaderAuthenticated(reader)],
            Output::Sign {
                credential,
                message,
            } => vec![CardEvent::Sign {
                credential,
                message,
            }],
            Output::DocumentsRequested(request) => vec![CardEvent::DocumentsRequested(request)],
            Output::Exchanged(response, exchange) => {
                let mut events = self.answer(response);
                events.extend(exchange.notify.map(CardEvent::Notified));
                if let Some(status) = exchange.status {
                    self.transaction = None;
                    events.push(CardEvent::ReaderStatus(status));
                }
                events
            }
            Output::Refused(refusal) => {
                self.transaction = None;
                let mut events = self.answer(refusal.response());
                events.push(CardEvent::Failed(refusal.failure));
                events
            }
            Output::Ended(response, failure) => {
                self.transaction = None;
                let mut events = self.answer(response);
                events.push(CardEvent::Failed(failure));
                events
            }
        }
    }

    /// An error that ends the transaction, if there is one.
    fn refuse(&mut self, status: StatusWord) -> Vec<CardEvent> {
        match self.transaction.take() {
            Some(_) => self.carry_out(Output::Refused(Refusal::protocol(status))),
            None => self.answer(Response::error(status)),
        }
    }

    fn answer(&mut self, response: Response) -> Vec<CardEvent> {
        vec![CardEvent::Send(self.assembler.respond(response))]
    }

    fn begin(&self) -> Result<Transaction, CryptoError> {
        let transaction = Transaction::new(
            Arc::clone(&self.config),
            self.memory.clone(),
            self.entropy.as_ref(),
        )?;
        let services = Services::new(self.mailboxes.clone(), self.notifications);
        Ok(transaction.with_services(services))
    }

    fn running(&mut self) -> Result<&mut Transaction, OutOfTurn> {
        self.transaction.as_mut().ok_or(OutOfTurn)
    }
}
