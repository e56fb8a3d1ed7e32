//! The device's transaction over whole commands and answers, whatever carries
//! them.

use std::sync::Arc;

use super::services::Services;
use super::steps::{Auth0Done, Established, MustSign, ReaderProved, Recognised, Refusal, Selected};
use super::{DeviceConfig, Disclosure, Failure, Memory, OutOfTurn, ReaderAuthenticated};
use crate::apdu::{Command, Response};
use crate::channel::Channel;
use crate::command::{ControlFlow, ExchangeCommand, StatusWord, ins};
use crate::crypto::{CryptoError, Entropy, PublicKey, Signature};

/// The typed [`steps`](super::steps) behind one type, for a driver that learns
/// only at run time which comes next. [`Session`](super::Session) and
/// [`Card`](super::Card) are such drivers.
pub struct Transaction {
    config: Arc<DeviceConfig>,
    memory: Option<Arc<dyn Memory>>,
    services: Services,
    state: State,
}

enum State {
    Selected(Selected),
    Auth0(Auth0Done),
    Recognised(Recognised),
    Approving(ReaderProved),
    Signing(MustSign),
    Established(Established),
    /// The caller owes documents.
    Documents(Established),
    Over,
}

/// What a [`Transaction`] wants next. Each call gives exactly one.
#[derive(Debug)]
pub enum Output {
    /// Answer the command with this.
    Respond(Response),
    /// The reader proved itself: approve or abort.
    ReaderAuthenticated(Box<ReaderAuthenticated>),
    /// Sign `message` with the private key of `credential`.
    Sign {
        /// Whose key.
        credential: PublicKey,
        /// What to sign.
        message: Vec<u8>,
    },
    /// A plain DeviceRequest.
    DocumentsRequested(Vec<u8>),
    /// Answer with this; what the reader exchanged stands beside.
    Exchanged(Response, ExchangeCommand),
    /// It is over: answer with [`Refusal::response`].
    Refused(Refusal),
    /// It is over: the reader ended it. Answer with this.
    Ended(Response, Failure),
}

impl Transaction {
    /// Draws what is fresh.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn new(
        config: Arc<DeviceConfig>,
        memory: Option<Arc<dyn Memory>>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        Ok(Self {
            state: State::Selected(Selected::new(Arc::clone(&config), entropy)?),
            config,
            memory,
            services: Services::default(),
        })
    }

    /// Offers these services by EXCHANGE.
    #[must_use]
    pub fn with_services(mut self, services: Services) -> Self {
        self.services = services;
        self
    }

    pub(super) fn services(&mut self) -> &mut Services {
        &mut self.services
    }

    /// Takes one whole command. A fast phase is answered truly where
    /// `may_be_fast`.
    pub fn on_command(&mut self, command: &Command, may_be_fast: bool) -> Output {
        if (command.cla, command.ins) == (0x80, ins::CONTROL_FLOW) {
            self.state = State::Over;
            return control_flow(command);
        }
        if command.ins != ins::EXCHANGE {
            self.services.interrupt();
        }
        let output = match self.take() {
            State::Selected(step) => {
                let memory = self.memory.as_deref().filter(|_| may_be_fast);
                step.auth0(command, memory).map(|(response, next)| {
                    self.state = State::Auth0(next);
                    Output::Respond(response)
                })
            }
            State::Auth0(mut step) if command.ins == ins::LOAD_CERT => {
                step.load_certificate(command).map(|response| {
                    self.state = State::Auth0(step);
                    Output::Respond(response)
                })
            }
            State::Auth0(step) if command.ins == ins::EXCHANGE => step
                .exchange(command, &mut self.services)
                .map(|(response, exchange, next)| {
                    self.state = State::Recognised(next);
                    Output::Exchanged(response, exchange)
                }),
            State::Auth0(step) => step.auth1(command).map(|proved| {
                let reader = Box::new(proved.reader().clone());
                self.state = State::Approving(proved);
                Output::ReaderAuthenticated(reader)
            }),
            State::Recognised(mut step) => {
                step.exchange(command, &mut self.services)
                    .map(|(response, exchange)| {
                        self.state = State::Recognised(step);
                        Output::Exchanged(response, exchange)
                    })
            }
            State::Established(mut step) if command.ins == ins::ENVELOPE => {
                step.envelope(command).map(|request| {
                    self.state = State::Documents(step);
                    Output::DocumentsRequested(request)
                })
            }
            State::Established(mut step) => {
                step.exchange(command, &mut self.services)
                    .map(|(response, exchange)| {
                        self.state = State::Established(step);
                        Output::Exchanged(response, exchange)
                    })
            }
            _ => Err(Refusal::protocol(StatusWord::WRONG_STATE)),
        };
        output.unwrap_or_else(Output::Refused)
    }

    /// The reader is the one that was meant.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn approve(&mut self, disclosure: Disclosure) -> Result<Output, OutOfTurn> {
        match self.take() {
            State::Approving(step) => Ok(match step.approve(disclosure) {
                Ok(next) => {
                    let output = Output::Sign {
                        credential: *next.credential(),
                        message: next.to_sign(),
                    };
                    self.state = State::Signing(next);
                    output
                }
                Err(refusal) => Output::Refused(refusal),
            }),
            other => self.out_of_turn(other),
        }
    }

    /// It is not, or the user does not want.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn abort(&mut self) -> Result<Output, OutOfTurn> {
        match self.take() {
            State::Approving(_) | State::Signing(_) => Ok(Output::Refused(Refusal {
                status: StatusWord::SECURITY,
                failure: Failure::Aborted,
            })),
            other => self.out_of_turn(other),
        }
    }

    /// The answer to [`Output::Sign`]. Remembers the reader where there is a
    /// memory.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn signed(&mut self, signature: Signature) -> Result<Output, OutOfTurn> {
        match self.take() {
            State::Signing(step) => Ok(match step.signed(signature) {
                Ok((response, established)) => {
                    if let Some(memory) = &self.memory {
                        established.remember(memory.as_ref());
                    }
                    self.state = State::Established(established);
                    Output::Respond(response)
                }
                Err(refusal) => Output::Refused(refusal),
            }),
            other => self.out_of_turn(other),
        }
    }

    /// The answer to [`Output::DocumentsRequested`].
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn documents(&mut self, response: &[u8]) -> Result<Output, OutOfTurn> {
        match self.take() {
            State::Documents(mut step) => Ok(match step.documents(response) {
                Ok(response) => {
                    self.state = State::Established(step);
                    Output::Respond(response)
                }
                Err(refusal) => Output::Refused(refusal),
            }),
            other => self.out_of_turn(other),
        }
    }

    /// The channel for BLE messages that has just come to be: the standard
    /// phase's once AUTH1 is answered; before, the one of a reader that opened
    /// the cryptogram, if it could.
    pub fn message_channel(&self) -> Option<Channel> {
        let versions = &self.config.ble_versions;
        match &self.state {
            State::Auth0(step) => step.message_channel(versions),
            State::Established(step) => Some(step.message_channel(versions)),
            _ => None,
        }
    }

    /// Whether the next step is the reader's.
    pub fn awaits_reader(&self) -> bool {
        matches!(
            self.state,
            State::Selected(_) | State::Auth0(_) | State::Recognised(_) | State::Established(_)
        )
    }

    /// SELECT of the step-up application: whether it is allowed now.
    pub fn select_step_up(&mut self) -> bool {
        self.services.interrupt();
        match &mut self.state {
            State::Established(step) => step.select_step_up(),
            _ => false,
        }
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Over)
    }

    fn out_of_turn<T>(&mut self, state: State) -> Result<T, OutOfTurn> {
        self.state = state;
        Err(OutOfTurn)
    }
}

fn control_flow(command: &Command) -> Output {
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
    let failure = why.map_or(Failure::Protocol(status), Failure::ReaderEnded);
    Output::Ended(response, failure)
}
