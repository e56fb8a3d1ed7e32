//! The reader's transaction over bare APDUs: with a device in its field.

use std::sync::Arc;

use super::steps::StepFailure;
use super::transaction::{Output, Transaction};
use super::{Authenticated, Failure, Memory, OutOfTurn, ReaderConfig};
use crate::apdu::{Command, Exchange, Limits, Progress, Response};
use crate::command::{ControlFlow, ExchangeCommand, ReaderStatus, Signaling, StatusWord, ins};
use crate::crypto::{CryptoError, Entropy, Signature};
use crate::proprietary::ProprietaryInformation;
use crate::select::{EXPEDITED, STEP_UP, check_application, parse_file_control};

/// What a [`Terminal`] wants done, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminalEvent {
    /// Send this command APDU.
    Send(Vec<u8>),
    /// Sign this with the reader's private key, then [`Terminal::signed`].
    Sign(Vec<u8>),
    /// The device is known: [`Terminal::prove`],
    /// [`Terminal::request_documents`], [`Terminal::exchange`] or
    /// [`Terminal::finish`].
    Authenticated(Authenticated),
    /// A plain DeviceResponse; go on as after [`TerminalEvent::Authenticated`].
    Documents(Vec<u8>),
    /// An exchange is done: what was read. Go on as before.
    Exchanged(Vec<Vec<u8>>),
    /// The device has taken the final status: the transaction is over.
    Finished,
    /// The transaction failed and is over; send what precedes.
    Failed(Failure),
}

/// A reader with a device in its field, for one transaction.
///
/// Begin with [`start`](Self::start) and give every response APDU to
/// [`on_apdu`](Self::on_apdu). Time belongs to the field: when it is lost, drop
/// the terminal.
pub struct Terminal {
    transaction: Transaction,
    limits: Limits,
    /// Whether the caller set the limits, whatever the device announces.
    fixed_limits: bool,
    ask_fast: bool,
    exchange: Option<Exchange>,
    stage: Stage,
    /// Whether the step-up application must be selected before ENVELOPE.
    select_step_up: bool,
}

enum Stage {
    Idle,
    Selecting,
    Running,
    /// The step-up application is being selected for this request.
    SelectingStepUp(Vec<u8>),
    /// The final status is out.
    Finishing(ReaderStatus),
    Over,
}

impl Terminal {
    /// A terminal whose device may be anybody; with a memory it asks for the
    /// fast phase.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn new(
        config: impl Into<Arc<ReaderConfig>>,
        memory: Option<Arc<dyn Memory>>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        Ok(Self {
            transaction: Transaction::new(config.into(), memory, entropy)?,
            limits: Limits::announced(None),
            fixed_limits: false,
            ask_fast: true,
            exchange: None,
            stage: Stage::Idle,
            select_step_up: false,
        })
    }

    /// Cuts commands to at most this many data bytes, 1 to 255, whatever the
    /// device announces.
    #[must_use]
    pub fn with_command_limit(mut self, most: u8) -> Self {
        self.limits = Limits {
            short: most.max(1),
            extended: None,
        };
        self.fixed_limits = true;
        self
    }

    /// Remembers devices without asking for the fast phase this time.
    #[must_use]
    pub fn without_fast(mut self) -> Self {
        self.ask_fast = false;
        self
    }

    /// Begins with SELECT.
    ///
    /// # Errors
    /// [`OutOfTurn`] when it has begun.
    pub fn start(&mut self) -> Result<Vec<TerminalEvent>, OutOfTurn> {
        if !matches!(self.stage, Stage::Idle) {
            return Err(OutOfTurn);
        }
        self.stage = Stage::Selecting;
        Ok(self.send(Command::select(&EXPEDITED)))
    }

    /// Begins with AUTH0, on carriers without SELECT, with what the device is
    /// known to support.
    ///
    /// # Errors
    /// [`OutOfTurn`] when it has begun.
    pub fn start_selected(
        &mut self,
        proprietary: ProprietaryInformation,
    ) -> Result<Vec<TerminalEvent>, OutOfTurn> {
        if !matches!(self.stage, Stage::Idle) {
            return Err(OutOfTurn);
        }
        Ok(self.begin(proprietary))
    }

    /// Takes one response APDU. When the transaction is over nothing happens.
    pub fn on_apdu(&mut self, apdu: &[u8]) -> Vec<TerminalEvent> {
        let Some(exchange) = &mut self.exchange else {
            return Vec::new();
        };
        match exchange.on_response(apdu) {
            Ok(Progress::Send(next)) => vec![TerminalEvent::Send(next)],
            Ok(Progress::Done(response)) => {
                self.exchange = None;
                self.on_response(&response)
            }
            Err(_) => self.fail(Failure::Malformed, ControlFlow::FAILURE),
        }
    }

    /// The answer to [`TerminalEvent::Sign`].
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn signed(&mut self, signature: Signature) -> Result<Vec<TerminalEvent>, OutOfTurn> {
        let output = self.transaction.signed(signature)?;
        Ok(self.carry_out(output))
    }

    /// Goes on to the standard phase after the fast phase.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is known by the fast phase and nothing was
    /// exchanged.
    pub fn prove(&mut self) -> Result<Vec<TerminalEvent>, OutOfTurn> {
        let output = self.transaction.prove()?;
        Ok(self.carry_out(output))
    }

    /// Asks for documents with a plain DeviceRequest, after SELECT of the
    /// step-up application where the device wants that.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device has signed.
    pub fn request_documents(&mut self, request: &[u8]) -> Result<Vec<TerminalEvent>, OutOfTurn> {
        self.settled()?;
        if std::mem::take(&mut self.select_step_up) {
            self.stage = Stage::SelectingStepUp(request.to_vec());
            return Ok(self.send(Command::select(&STEP_UP)));
        }
        let output = self.transaction.request_documents(request)?;
        Ok(self.carry_out(output))
    }

    /// Exchanges without ending.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is known.
    pub fn exchange(
        &mut self,
        exchange: &ExchangeCommand,
    ) -> Result<Vec<TerminalEvent>, OutOfTurn> {
        self.settled()?;
        let output = self.transaction.exchange(exchange)?;
        Ok(self.carry_out(output))
    }

    /// Remembers the device for the fast phase. Call it once the credential is
    /// trusted.
    pub fn remember(&self) {
        self.transaction.remember();
    }

    /// Ends with a status, of success or of failure.
    ///
    /// # Errors
    /// [`OutOfTurn`] unless the device is known.
    pub fn finish(&mut self, status: ReaderStatus) -> Result<Vec<TerminalEvent>, OutOfTurn> {
        self.settled()?;
        let output = self
            .transaction
            .exchange(&ExchangeCommand::status(status))?;
        self.stage = Stage::Finishing(status);
        Ok(self.carry_out(output))
    }

    fn on_response(&mut self, response: &Response) -> Vec<TerminalEvent> {
        match std::mem::replace(&mut self.stage, Stage::Running) {
            Stage::Selecting => {
                let selected = match response.status {
                    StatusWord::OK => parse_file_control(&response.data, &EXPEDITED).ok(),
                    _ => None,
                };
                match selected {
                    Some(proprietary) => self.begin(proprietary),
                    None => self.fail(Failure::Malformed, ControlFlow::FAILURE),
                }
            }
            Stage::SelectingStepUp(request) => {
                if response.status != StatusWord::OK {
                    let failure = Failure::DeviceStatus(response.status.0);
                    return self.fail(failure, ControlFlow::FAILURE);
                }
                if check_application(&response.data, &STEP_UP).is_err() {
                    return self.fail(Failure::Malformed, ControlFlow::FAILURE);
                }
                match self.transaction.request_documents(&request) {
                    Ok(output) => self.carry_out(output),
                    Err(OutOfTurn) => self.fail(Failure::OutOfOrder, ControlFlow::FAILURE),
                }
            }
            stage => {
                self.stage = stage;
                let output = self.transaction.on_response(response);
                self.carry_out(output)
            }
        }
    }

    fn begin(&mut self, proprietary: ProprietaryInformation) -> Vec<TerminalEvent> {
        self.stage = Stage::Running;
        if !self.fixed_limits {
            self.limits = Limits::announced(proprietary.extended_length());
        }
        let output = self.transaction.begin(proprietary, self.ask_fast);
        self.carry_out(output)
    }

    fn carry_out(&mut self, output: Output) -> Vec<TerminalEvent> {
        match output {
            Output::Command(command) => self.send(command),
            Output::Sign(message) => vec![TerminalEvent::Sign(message)],
            Output::Authenticated(authenticated) => {
                self.select_step_up = authenticated.signaling.contains(Signaling::SELECT_STEP_UP);
                vec![TerminalEvent::Authenticated(authenticated)]
            }
            Output::Documents(documents) => vec![TerminalEvent::Documents(documents)],
            Output::Exchanged(pieces) => match self.stage {
                Stage::Finishing(status) => {
                    self.stage = Stage::Over;
                    vec![if status.is_success() {
                        TerminalEvent::Finished
                    } else {
                        TerminalEvent::Failed(Failure::Refused(status))
                    }]
                }
                _ => vec![TerminalEvent::Exchanged(pieces)],
            },
            Output::Failed(failure) => self.report(failure),
        }
    }

    fn settled(&self) -> Result<(), OutOfTurn> {
        match self.stage {
            Stage::Running if self.transaction.is_settled() => Ok(()),
            _ => Err(OutOfTurn),
        }
    }

    fn send(&mut self, command: Command) -> Vec<TerminalEvent> {
        let (exchange, apdu) = Exchange::begin(command, self.limits);
        self.exchange = Some(exchange);
        vec![TerminalEvent::Send(apdu)]
    }

    fn fail(&mut self, failure: Failure, why: ControlFlow) -> Vec<TerminalEvent> {
        self.report(StepFailure {
            failure,
            report: Some(Command::aliro(ins::CONTROL_FLOW, why.encode())),
        })
    }

    /// At most one report of failure; one that was itself refused is the last.
    fn report(&mut self, failure: StepFailure) -> Vec<TerminalEvent> {
        let reported = matches!(self.stage, Stage::Finishing(_));
        self.stage = Stage::Over;
        self.exchange = None;
        let mut events = Vec::new();
        if let Some(command) = failure.report.filter(|_| !reported) {
            let (_, apdu) = Exchange::begin(command, self.limits);
            events.push(TerminalEvent::Send(apdu));
        }
        events.push(TerminalEvent::Failed(failure.failure));
        events
    }
}
