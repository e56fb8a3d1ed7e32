//! The reader's transaction over whole commands and answers, whatever carries
//! them.

use std::sync::Arc;

use super::steps::{
    AfterAuth0, AwaitingAuth0, AwaitingAuth1, AwaitingDocuments, AwaitingExchange,
    AwaitingLoadCert, Established, MustSign, Opening, Recognised, StepFailure,
};
use super::{Authenticated, Failure, Memory, OutOfTurn, ReaderConfig};
use crate::apdu::{Command, Response};
use crate::channel::Channel;
use crate::command::{ExchangeCommand, Policy};
use crate::crypto::{CryptoError, Entropy, Signature};
use crate::proprietary::ProprietaryInformation;

/// The typed [`steps`](super::steps) behind one type, for a driver that learns
/// only at run time which comes next. [`Session`](super::Session) and
/// [`Terminal`](super::Terminal) are such drivers.
pub struct Transaction {
    config: Arc<ReaderConfig>,
    memory: Option<Arc<dyn Memory>>,
    state: State,
}

enum State {
    Opening(Opening),
    Auth0(AwaitingAuth0),
    LoadCert(AwaitingLoadCert),
    Sign(MustSign),
    Auth1(AwaitingAuth1),
    Recognised(Recognised),
    RecognisedExchange(AwaitingExchange<Recognised>),
    Established(Established),
    Documents(AwaitingDocuments),
    Exchange(AwaitingExchange<Established>),
    Over,
}

/// What a [`Transaction`] wants next. Each call gives exactly one.
#[derive(Debug)]
pub enum Output {
    /// Send this command, and give its answer to
    /// [`on_response`](Transaction::on_response).
    Command(Command),
    /// Sign this with the reader's key.
    Sign(Vec<u8>),
    /// The device is known.
    Authenticated(Authenticated),
    /// A plain DeviceResponse.
    Documents(Vec<u8>),
    /// EXCHANGE succeeded: what was read.
    Exchanged(Vec<Vec<u8>>),
    /// It is over. Send the report, if there is one; its answer is of no
    /// interest.
    Failed(StepFailure),
}

impl Transaction {
    /// Draws what is fresh.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn new(
        config: Arc<ReaderConfig>,
        memory: Option<Arc<dyn Memory>>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        Ok(Self {
            state: State::Opening(Opening::new(Arc::clone(&config), entropy)?),
            config,
            memory,
        })
    }

    /// The device said what it supports. The fast phase is asked for where
    /// `may_be_fast`, something can be remembered, and the user need not be
    /// asked.
    pub fn begin(&mut self, proprietary: ProprietaryInformation, may_be_fast: bool) -> Output {
        let fast = may_be_fast
            && self.memory.is_some()
            && self.config.policy != Policy::ForceUserAuthentication;
        match self.take() {
            State::Opening(step) => match step.auth0(proprietary, fast) {
                Ok((command, next)) => self.send(command, State::Auth0(next)),
                Err(failure) => Output::Failed(failure),
            },
            _ => out_of_order(),
        }
    }

    /// The answer to the last command.
    pub fn on_response(&mut self, response: &Response) -> Output {
        let output = match self.take() {
            State::Auth0(step) => step
                .on_response(response, self.memory.as_deref())
                .map(|after| self.after_auth0(after)),
            State::LoadCert(step) => step
                .on_response(response)
                .map(|step| self.after_auth0(AfterAuth0::Sign(step))),
            State::Auth1(step) => step
                .on_response(response)
                .map(|(authenticated, established)| {
                    self.state = State::Established(established);
                    Output::Authenticated(authenticated)
                }),
            State::Documents(step) => step.on_response(response).map(|(documents, established)| {
                self.state = State::Established(established);
                Output::Documents(documents)
            }),
            State::Exchange(step) => step.on_response(response).map(|(pieces, established)| {
                self.state = State::Established(established);
                Output::Exchanged(pieces)
            }),
            State::RecognisedExchange(step) => {
                step.on_response(response).map(|(pieces, recognised)| {
                    self.state = State::Recognised(recognised);
                    Output::Exchanged(pieces)
                })
            }
            _ => return out_of_order(),
        };
        output.unwrap_or_else(Output::Failed)
    }

    /// The answer to [`Output::Sign`].
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn signed(&mut self, signature: Signature) -> Result<Output, OutOfTurn> {
        match self.take() {
            State::Sign(step) => {
                let (command, next) = step.signed(signature);
                Ok(self.send(command, State::Auth1(next)))
            }
            other => self.out_of_turn(other),
        }
    }

    /// Goes on to AUTH1 after the fast phase.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is known by the fast phase alone and
    /// nothing was exchanged.
    pub fn prove(&mut self) -> Result<Output, OutOfTurn> {
        match self.take() {
            State::Recognised(step) if step.can_prove() => Ok(self.after_auth0(step.prove())),
            other => self.out_of_turn(other),
        }
    }

    /// Asks for documents.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device has signed.
    pub fn request_documents(&mut self, request: &[u8]) -> Result<Output, OutOfTurn> {
        match self.take() {
            State::Established(step) => Ok(match step.request_documents(request) {
                Ok((command, next)) => self.send(command, State::Documents(next)),
                Err(failure) => Output::Failed(failure),
            }),
            other => self.out_of_turn(other),
        }
    }

    /// Exchanges: mailbox commands, a status.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is known.
    pub fn exchange(&mut self, exchange: &ExchangeCommand) -> Result<Output, OutOfTurn> {
        let sent = match self.take() {
            State::Established(step) => step
                .exchange(exchange)
                .map(|(command, next)| (command, State::Exchange(next))),
            State::Recognised(step) => step
                .exchange(exchange)
                .map(|(command, next)| (command, State::RecognisedExchange(next))),
            other => return self.out_of_turn(other),
        };
        Ok(match sent {
            Ok((command, next)) => self.send(command, next),
            Err(failure) => Output::Failed(failure),
        })
    }

    /// Remembers the device for the fast phase, if it has signed and there is a
    /// memory. Call it once the credential is trusted.
    pub fn remember(&self) {
        if let (State::Established(step), Some(memory)) = (&self.state, &self.memory) {
            memory.remember(step.credential(), step.persistent_key());
        }
    }

    /// The channel for BLE messages of the phase that was just completed. Take
    /// it once a phase.
    pub fn message_channel(&self) -> Option<Channel> {
        let versions = &self.config.ble_versions;
        match &self.state {
            State::Established(step) => Some(step.message_channel(versions)),
            State::Recognised(step) => Some(step.message_channel(versions)),
            _ => None,
        }
    }

    /// Whether the device is known and nothing is under way.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Established(_) | State::Recognised(_))
    }

    fn after_auth0(&mut self, after: AfterAuth0) -> Output {
        match after {
            AfterAuth0::Recognised(authenticated, recognised) => {
                self.state = State::Recognised(recognised);
                Output::Authenticated(authenticated)
            }
            AfterAuth0::LoadCertificate(command, next) => self.send(command, State::LoadCert(next)),
            AfterAuth0::Sign(step) => {
                let output = Output::Sign(step.to_sign());
                self.state = State::Sign(step);
                output
            }
        }
    }

    fn send(&mut self, command: Command, next: State) -> Output {
        self.state = next;
        Output::Command(command)
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Over)
    }

    fn out_of_turn<T>(&mut self, state: State) -> Result<T, OutOfTurn> {
        self.state = state;
        Err(OutOfTurn)
    }
}

fn out_of_order() -> Output {
    Output::Failed(StepFailure {
        failure: Failure::OutOfOrder,
        report: None,
    })
}
