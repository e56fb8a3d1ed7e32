//! The reader's transaction, one type a step. Each step consumes the one before
//! it: what comes out of order does not compile, and no key outlives its use.
//!
//! ```text
//! Opening -> AwaitingAuth0 -> [AwaitingLoadCert ->] MustSign -> AwaitingAuth1
//!         -> Established -> AwaitingDocuments | AwaitingExchange -> Established
//! ```

use std::sync::Arc;

use super::{Authenticated, CertificateDelivery, Failure, ReaderConfig, ReaderKey};
use crate::apdu::{Command, Response};
use crate::channel::Channel;
use crate::command::{
    Auth0Command, Auth0Response, Auth1Command, Auth1Response, ControlFlow, CredentialName,
    ExchangeCommand, ExchangeResult, ReaderStatus, StatusWord, Usage, ins, parse_exchange_response,
    parse_session_data, session_data, signature_input,
};
use crate::crypto::{CryptoError, Entropy, Ephemeral, PublicKey, Secret, Signature};
use crate::identifier::TransactionIdentifier;
use crate::keys::{self, KeyContext};
use crate::proprietary::ProprietaryInformation;

/// A step failed: why, and the one command by which to tell the device, if it
/// can still be told.
#[derive(Debug)]
pub struct StepFailure {
    /// Why.
    pub failure: Failure,
    /// CONTROL FLOW while no channel is usable, EXCHANGE with a failure status
    /// afterwards.
    pub report: Option<Command>,
}

impl StepFailure {
    fn plain(failure: Failure) -> Self {
        Self::control_flow(failure, ControlFlow::FAILURE)
    }

    fn control_flow(failure: Failure, why: ControlFlow) -> Self {
        Self {
            failure,
            report: Some(Command::aliro(ins::CONTROL_FLOW, why.encode())),
        }
    }

    /// Told inside the channel, or by CONTROL FLOW where that is used up.
    fn inside(failure: Failure, channel: &mut Channel, status: ReaderStatus) -> Self {
        match channel.seal(&[], &ExchangeCommand::status(status).encode()) {
            Ok(sealed) => Self {
                failure,
                report: Some(Command::aliro(ins::EXCHANGE, sealed)),
            },
            Err(_) => Self::plain(failure),
        }
    }
}

/// A reader that waits for a device, its fresh values ready.
pub struct Opening {
    config: Arc<ReaderConfig>,
    ephemeral: Box<dyn Ephemeral>,
    transaction: TransactionIdentifier,
}

impl Opening {
    /// Draws what is fresh in this transaction.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn new(config: Arc<ReaderConfig>, entropy: &dyn Entropy) -> Result<Self, CryptoError> {
        let ephemeral = entropy.ephemeral()?;
        let mut transaction = [0; 16];
        entropy.fill(&mut transaction)?;
        Ok(Self {
            config,
            ephemeral,
            transaction,
        })
    }

    /// The device said what it supports: AUTH0.
    ///
    /// # Errors
    /// [`Failure::Version`].
    pub fn auth0(
        self,
        proprietary: ProprietaryInformation,
    ) -> Result<(Command, AwaitingAuth0), StepFailure> {
        let mut ours = self.config.versions.iter().copied();
        let Some(version) = ours.find(|version| proprietary.versions().contains(version)) else {
            return Err(StepFailure::control_flow(
                Failure::Version,
                ControlFlow::VERSION,
            ));
        };
        let auth0 = Auth0Command {
            fast: false,
            policy: self.config.policy,
            version,
            reader_point: self.ephemeral.public_key(),
            transaction: self.transaction,
            reader: self.config.identifier,
            extension: None,
        };
        let command = Command::aliro(ins::AUTH0, auth0.encode());
        let next = AwaitingAuth0 {
            config: self.config,
            ephemeral: self.ephemeral,
            auth0,
            proprietary,
        };
        Ok((command, next))
    }
}

/// AUTH0 is out.
pub struct AwaitingAuth0 {
    config: Arc<ReaderConfig>,
    ephemeral: Box<dyn Ephemeral>,
    auth0: Auth0Command,
    proprietary: ProprietaryInformation,
}

/// What follows AUTH0.
pub enum AfterAuth0 {
    /// The certificate goes ahead of AUTH1.
    LoadCertificate(Command, AwaitingLoadCert),
    /// AUTH1 is next.
    Sign(MustSign),
}

impl AwaitingAuth0 {
    /// The device's fresh point.
    ///
    /// # Errors
    /// [`Failure::DeviceStatus`], [`Failure::Malformed`].
    pub fn on_response(self, response: &Response) -> Result<AfterAuth0, StepFailure> {
        let data = success(response)?;
        let malformed = || StepFailure::plain(Failure::Malformed);
        let answer = Auth0Response::parse(data, self.auth0.fast).map_err(|_| malformed())?;
        let shared = self
            .ephemeral
            .agree(&answer.device_point)
            .map_err(|_| malformed())?;
        let context = KeyContext {
            group_key: *self.config.key.group_key(),
            reader: self.auth0.reader,
            interface: self.config.interface,
            version: self.auth0.version,
            reader_point: self.auth0.reader_point,
            device_point: answer.device_point,
            transaction: self.auth0.transaction,
            flag: self.auth0.flag(),
            proprietary: self.proprietary.as_bytes().to_vec(),
            reader_extension: self.auth0.extension,
            device_extension: answer.extension,
        };
        let must_sign = MustSign {
            kdh: keys::kdh(&shared, &context.transaction),
            config: self.config,
            context,
        };
        let ReaderKey::Certified {
            certificate,
            delivery: CertificateDelivery::LoadCert,
            ..
        } = &must_sign.config.key
        else {
            return Ok(AfterAuth0::Sign(must_sign));
        };
        let command = Command::aliro(ins::LOAD_CERT, certificate.as_bytes().to_vec());
        Ok(AfterAuth0::LoadCertificate(
            command,
            AwaitingLoadCert(must_sign),
        ))
    }
}

/// LOAD CERT is out.
pub struct AwaitingLoadCert(MustSign);

impl AwaitingLoadCert {
    /// The device took the certificate. (Whether it verifies shows at AUTH1.)
    ///
    /// # Errors
    /// [`Failure::DeviceStatus`].
    pub fn on_response(self, response: &Response) -> Result<MustSign, StepFailure> {
        success(response)?;
        Ok(self.0)
    }
}

/// The reader's signature is needed.
pub struct MustSign {
    config: Arc<ReaderConfig>,
    context: KeyContext,
    kdh: Secret,
}

impl MustSign {
    /// What to sign with the reader's private key.
    pub fn to_sign(&self) -> Vec<u8> {
        input(&self.context, Usage::Reader)
    }

    /// AUTH1.
    pub fn signed(self, signature: Signature) -> (Command, AwaitingAuth1) {
        let certificate = match &self.config.key {
            ReaderKey::Certified {
                certificate,
                delivery: CertificateDelivery::InAuth1,
                ..
            } => Some(certificate.as_bytes().to_vec()),
            _ => None,
        };
        let auth1 = Auth1Command {
            want_public_key: true,
            signature,
            certificate,
        };
        let command = Command::aliro(ins::AUTH1, auth1.encode());
        let next = AwaitingAuth1 {
            context: self.context,
            kdh: self.kdh,
        };
        (command, next)
    }
}

/// AUTH1 is out.
pub struct AwaitingAuth1 {
    context: KeyContext,
    kdh: Secret,
}

impl AwaitingAuth1 {
    /// The device's proof.
    ///
    /// # Errors
    /// [`Failure::DeviceStatus`] and [`Failure::Channel`], both reported by
    /// CONTROL FLOW; [`Failure::NotAuthenticated`], reported inside the
    /// channel.
    pub fn on_response(
        self,
        response: &Response,
    ) -> Result<(Authenticated, Established), StepFailure> {
        let data = success(response)?;
        let keys = self.context.standard(&self.kdh);
        let mut channel = Channel::of_reader([keys.expedited_reader, keys.expedited_device]);
        let plain = channel
            .open(&[], data)
            .map_err(|_| StepFailure::plain(Failure::Channel))?;
        let authenticated = match self.check(&plain) {
            Ok(authenticated) => authenticated,
            Err(status) => {
                let failure = Failure::NotAuthenticated(status);
                return Err(StepFailure::inside(failure, &mut channel, status));
            }
        };
        let established = Established {
            credential: authenticated.credential,
            context: self.context,
            kdh: self.kdh,
            channel,
            step_up: Some(keys.step_up),
            ble: keys.ble,
        };
        Ok((authenticated, established))
    }

    fn check(&self, plain: &[u8]) -> Result<Authenticated, ReaderStatus> {
        let answer = Auth1Response::parse(plain).map_err(|_| ReaderStatus::INVALID_FORMAT)?;
        let Some(CredentialName::PublicKey(credential)) = answer.credential else {
            return Err(ReaderStatus::NO_PUBLIC_KEY);
        };
        let signature = answer.signature.ok_or(ReaderStatus::NO_SIGNATURE)?;
        let signaling = answer.signaling.ok_or(ReaderStatus::INVALID_FORMAT)?;
        credential
            .verify(&input(&self.context, Usage::Device), &signature)
            .map_err(|_| ReaderStatus::INVALID_SIGNATURE)?;
        Ok(Authenticated {
            credential,
            signaling,
            access_signed: answer.access_signed,
            revocation_signed: answer.revocation_signed,
        })
    }
}

/// The device is known and a channel stands.
pub struct Established {
    credential: PublicKey,
    context: KeyContext,
    kdh: Secret,
    channel: Channel,
    /// Until the channel has been moved to the step-up keys.
    step_up: Option<Secret>,
    ble: Secret,
}

impl Established {
    /// The channel for BLE messages. Take it once: its counters begin at 1.
    pub fn message_channel(&self, versions: &keys::BleVersions) -> Channel {
        Channel::of_reader(keys::ble(&self.ble, versions))
    }

    /// The key by which the fast phase would know this device next time.
    pub fn persistent_key(&self) -> Secret {
        self.context.persistent(&self.kdh, &self.credential)
    }

    /// Asks for documents: ENVELOPE around a plain DeviceRequest.
    ///
    /// # Errors
    /// [`Failure::Channel`] when the channel is used up.
    pub fn request_documents(
        mut self,
        request: &[u8],
    ) -> Result<(Command, AwaitingDocuments), StepFailure> {
        if let Some(step_up) = self.step_up.take() {
            self.channel = Channel::of_reader(keys::step_up(&step_up));
        }
        let sealed = self.seal(request)?;
        let command = Command::envelope(session_data(&sealed));
        Ok((command, AwaitingDocuments(self)))
    }

    /// Exchanges a status, a ranging key, mailbox commands.
    ///
    /// # Errors
    /// [`Failure::Channel`] when the channel is used up.
    pub fn exchange(
        mut self,
        exchange: &ExchangeCommand,
    ) -> Result<(Command, AwaitingExchange), StepFailure> {
        let sealed = self.seal(&exchange.encode())?;
        let command = Command::aliro(ins::EXCHANGE, sealed);
        Ok((command, AwaitingExchange(self)))
    }

    fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, StepFailure> {
        self.channel
            .seal(&[], plain)
            .map_err(|_| StepFailure::plain(Failure::Channel))
    }

    fn failure(mut self, failure: Failure, status: ReaderStatus) -> StepFailure {
        StepFailure::inside(failure, &mut self.channel, status)
    }
}

/// ENVELOPE is out.
pub struct AwaitingDocuments(Established);

impl AwaitingDocuments {
    /// The plain DeviceResponse.
    ///
    /// # Errors
    /// [`Failure::DeviceStatus`], [`Failure::Malformed`], [`Failure::Channel`].
    pub fn on_response(self, response: &Response) -> Result<(Vec<u8>, Established), StepFailure> {
        let mut established = self.0;
        let data = success(response)?;
        let Ok(sealed) = parse_session_data(data) else {
            return Err(established.failure(Failure::Malformed, ReaderStatus::INVALID_FORMAT));
        };
        match established.channel.open(&[], sealed) {
            Ok(plain) => Ok((plain, established)),
            Err(_) => Err(StepFailure::plain(Failure::Channel)),
        }
    }
}

/// EXCHANGE is out.
pub struct AwaitingExchange(Established);

impl AwaitingExchange {
    /// What was read, in the order of `reads` read commands.
    ///
    /// # Errors
    /// [`Failure::DeviceStatus`], [`Failure::Channel`],
    /// [`Failure::ExchangeRefused`], [`Failure::Malformed`].
    pub fn on_response(
        self,
        response: &Response,
        reads: usize,
    ) -> Result<(Vec<Vec<u8>>, Established), StepFailure> {
        let mut established = self.0;
        let data = success(response)?;
        let plain = established
            .channel
            .open(&[], data)
            .map_err(|_| StepFailure::plain(Failure::Channel))?;
        match parse_exchange_response(&plain, reads) {
            Ok((pieces, ExchangeResult::OK)) => Ok((pieces, established)),
            Ok((_, ExchangeResult(code))) => {
                let failure = Failure::ExchangeRefused(code);
                Err(established.failure(failure, ReaderStatus::INVALID_CONTENT))
            }
            Err(_) => Err(established.failure(Failure::Malformed, ReaderStatus::INVALID_FORMAT)),
        }
    }
}

fn success(response: &Response) -> Result<&[u8], StepFailure> {
    match response.status {
        StatusWord::OK => Ok(&response.data),
        StatusWord(status) => Err(StepFailure::plain(Failure::DeviceStatus(status))),
    }
}

fn input(context: &KeyContext, usage: Usage) -> Vec<u8> {
    signature_input(
        &context.reader,
        &context.device_point,
        &context.reader_point,
        &context.transaction,
        usage,
    )
}
