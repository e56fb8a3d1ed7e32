//! The reader's transaction, one type a step. Each step consumes the one before
//! it: what comes out of order does not compile, and no key outlives its use.
//!
//! ```text
//! Opening -> AwaitingAuth0 -> [AwaitingLoadCert ->] MustSign -> AwaitingAuth1
//!         -> Established -> AwaitingDocuments | AwaitingExchange -> Established
//! AwaitingAuth0 -> Recognised (fast) -> AwaitingExchange -> Recognised
//!                  Recognised -> [AwaitingLoadCert ->] MustSign ...
//! ```

use std::sync::Arc;

use super::{Authenticated, CertificateDelivery, Failure, Memory, Phase, ReaderConfig, ReaderKey};
use crate::apdu::{Command, Response};
use crate::channel::Channel;
use crate::command::{
    Auth0Command, Auth0Response, Auth1Command, Auth1Response, ControlFlow, CredentialName,
    Cryptogram, ExchangeCommand, ExchangeResult, ReaderStatus, StatusWord, Usage, ins,
    parse_exchange_response, parse_session_data, session_data, signature_input,
};
use crate::crypto::{CryptoError, Entropy, Ephemeral, PublicKey, Secret, Signature};
use crate::identifier::TransactionIdentifier;
use crate::keys::{self, KeyContext};
use crate::proprietary::ProprietaryInformation;

/// A step failed: why, and the one command by which to tell the device, if it
/// can still be told.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// The device said what it supports: AUTH0, asking for the fast phase or
    /// not.
    ///
    /// # Errors
    /// [`Failure::Version`].
    pub fn auth0(
        self,
        proprietary: ProprietaryInformation,
        fast: bool,
    ) -> Result<(Command, AwaitingAuth0), StepFailure> {
        let mut ours = self.config.versions.iter().copied();
        let Some(version) = ours.find(|version| proprietary.versions().contains(version)) else {
            return Err(StepFailure::control_flow(
                Failure::Version,
                ControlFlow::VERSION,
            ));
        };
        let auth0 = Auth0Command {
            fast,
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
    /// The device is known by the key that both remember.
    Recognised(Authenticated, Recognised),
    /// The certificate goes ahead of AUTH1.
    LoadCertificate(Command, AwaitingLoadCert),
    /// AUTH1 is next.
    Sign(MustSign),
}

impl AwaitingAuth0 {
    /// The device's fresh point, and its cryptogram where one was asked for. A
    /// cryptogram that no remembered key opens is no error.
    ///
    /// # Errors
    /// [`Failure::DeviceStatus`], [`Failure::Malformed`].
    pub fn on_response(
        self,
        response: &Response,
        memory: Option<&dyn Memory>,
    ) -> Result<AfterAuth0, StepFailure> {
        let data = success(response)?;
        let answer = Auth0Response::parse(data, self.auth0.fast)
            .map_err(|_| StepFailure::plain(Failure::Malformed))?;
        let context = KeyContext {
            group_key: *self.config.key.group_key(),
            reader: self.auth0.reader,
            interface: self.config.interface,
            version: self.auth0.version,
            reader_point: self.auth0.reader_point,
            device_point: answer.device_point,
            transaction: self.auth0.transaction,
            flag: self.auth0.flag(),
            proprietary: self.proprietary.into_bytes(),
            reader_extension: self.auth0.extension,
            device_extension: answer.extension,
        };
        let must_sign = MustSign {
            ephemeral: self.ephemeral,
            config: self.config,
            context,
        };
        Ok(match (answer.cryptogram, memory) {
            (Some(cryptogram), Some(memory)) => must_sign.recognise(&cryptogram, memory),
            _ => must_sign.certificate_first(),
        })
    }
}

/// The device is known by the key that both remember: it opened nothing that a
/// stranger could have closed, but it signed nothing either.
pub struct Recognised {
    must_sign: MustSign,
    channel: Channel,
    /// Whether anything went through the channel: AUTH1 has no place after it.
    exchanged: bool,
    ble: Secret,
}

impl Recognised {
    /// The channel for BLE messages. Take it once: its counters begin at 1.
    pub fn message_channel(&self, versions: &keys::BleVersions) -> Channel {
        Channel::of_reader(keys::ble(&self.ble, versions))
    }

    /// Whether [`prove`](Self::prove) has a place still: a device takes AUTH1
    /// only before the first EXCHANGE.
    pub fn can_prove(&self) -> bool {
        !self.exchanged
    }

    /// Goes on to AUTH1 in the same transaction: for documents, or for a
    /// signature. Its keys replace those of the fast phase.
    pub fn prove(self) -> AfterAuth0 {
        self.must_sign.certificate_first()
    }

    /// Exchanges a status, a ranging key, mailbox commands.
    ///
    /// # Errors
    /// [`Failure::Channel`] when the channel is used up.
    pub fn exchange(
        mut self,
        exchange: &ExchangeCommand,
    ) -> Result<(Command, AwaitingExchange<Self>), StepFailure> {
        let command = exchange_command(&mut self.channel, exchange)?;
        self.exchanged = true;
        let next = AwaitingExchange {
            step: self,
            reads: exchange.reads(),
        };
        Ok((command, next))
    }
}

/// LOAD CERT is out.
pub struct AwaitingLoadCert(MustSign);

impl AwaitingLoadCert {
    /// The device took the certificate. (Whether it verifies shows at AUTH1.)
    ///
    /// # Errors
    /// [`Failure::DeviceStatus`]; [`Failure::Malformed`] for an answer with data.
    pub fn on_response(self, response: &Response) -> Result<MustSign, StepFailure> {
        if !success(response)?.is_empty() {
            return Err(StepFailure::plain(Failure::Malformed));
        }
        Ok(self.0)
    }
}

/// The reader's signature is needed.
pub struct MustSign {
    config: Arc<ReaderConfig>,
    context: KeyContext,
    ephemeral: Box<dyn Ephemeral>,
}

impl MustSign {
    /// Trial decryption: the first remembered key that opens the cryptogram
    /// names the device.
    fn recognise(self, cryptogram: &[u8; 64], memory: &dyn Memory) -> AfterAuth0 {
        let mut found = None;
        let search = self.context.search();
        memory.search(&mut |credential, key| {
            if found.is_some() {
                return true;
            }
            let candidate = search.candidate(key, credential);
            let opened = Cryptogram::open(&candidate.cryptogram_key(), cryptogram);
            found = opened.map(|content| (*credential, candidate.keys(), content));
            found.is_some()
        });
        let Some((credential, keys, content)) = found else {
            return self.certificate_first();
        };
        let authenticated = Authenticated {
            phase: Phase::Fast,
            credential,
            signaling: content.signaling,
            access_signed: content.access_signed,
            revocation_signed: content.revocation_signed,
        };
        let recognised = Recognised {
            must_sign: self,
            channel: Channel::of_reader([keys.expedited_reader, keys.expedited_device]),
            exchanged: false,
            ble: keys.ble,
        };
        AfterAuth0::Recognised(authenticated, recognised)
    }

    fn certificate_first(self) -> AfterAuth0 {
        let ReaderKey::Certified {
            certificate,
            delivery: CertificateDelivery::LoadCert,
            ..
        } = &self.config.key
        else {
            return AfterAuth0::Sign(self);
        };
        let command = Command::aliro(ins::LOAD_CERT, certificate.as_bytes().to_vec());
        AfterAuth0::LoadCertificate(command, AwaitingLoadCert(self))
    }

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
            want_public_key: self.config.key_slots.is_none(),
            signature,
            certificate,
        };
        let command = Command::aliro(ins::AUTH1, auth1.encode());
        let next = AwaitingAuth1 {
            config: self.config,
            context: self.context,
            ephemeral: self.ephemeral,
        };
        (command, next)
    }
}

/// AUTH1 is out.
pub struct AwaitingAuth1 {
    config: Arc<ReaderConfig>,
    context: KeyContext,
    ephemeral: Box<dyn Ephemeral>,
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
        let context = self.context;
        let shared = self
            .ephemeral
            .agree(&context.device_point)
            .map_err(|_| StepFailure::plain(Failure::Malformed))?;
        let kdh = keys::kdh(&shared, &context.transaction);
        let keys = context.standard(&kdh);
        let mut channel = Channel::of_reader([keys.expedited_reader, keys.expedited_device]);
        let plain = channel
            .open(&[], data)
            .map_err(|_| StepFailure::plain(Failure::Channel))?;
        let authenticated = match check(&self.config, &context, &plain) {
            Ok(authenticated) => authenticated,
            Err(status) => {
                let failure = Failure::NotAuthenticated(status);
                return Err(StepFailure::inside(failure, &mut channel, status));
            }
        };
        let established = Established {
            credential: authenticated.credential,
            context,
            kdh,
            channel,
            step_up: Some(keys.step_up),
            ble: keys.ble,
        };
        Ok((authenticated, established))
    }
}

fn check(
    config: &ReaderConfig,
    context: &KeyContext,
    plain: &[u8],
) -> Result<Authenticated, ReaderStatus> {
    let answer = Auth1Response::parse(plain).map_err(|_| ReaderStatus::INVALID_FORMAT)?;
    let credential = match (&config.key_slots, answer.credential) {
        (None, Some(CredentialName::PublicKey(credential))) => credential,
        (None, _) => return Err(ReaderStatus::NO_PUBLIC_KEY),
        (Some(known), Some(CredentialName::KeySlot(slot))) => only(known, slot)?,
        (Some(_), _) => return Err(ReaderStatus::NO_KEY_SLOT),
    };
    let signature = answer.signature.ok_or(ReaderStatus::NO_SIGNATURE)?;
    let signaling = answer.signaling.ok_or(ReaderStatus::INVALID_FORMAT)?;
    credential
        .verify(&input(context, Usage::Device), &signature)
        .map_err(|_| ReaderStatus::INVALID_SIGNATURE)?;
    Ok(Authenticated {
        phase: Phase::Standard,
        credential,
        signaling,
        access_signed: answer.access_signed,
        revocation_signed: answer.revocation_signed,
    })
}

/// The one credential with this key slot.
fn only(known: &[PublicKey], slot: [u8; 8]) -> Result<PublicKey, ReaderStatus> {
    let mut found = known.iter().filter(|key| key.key_slot() == slot);
    match (found.next(), found.next()) {
        (Some(key), None) => Ok(*key),
        _ => Err(ReaderStatus::KEY_NOT_FOUND),
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

    /// Who it is.
    pub fn credential(&self) -> &PublicKey {
        &self.credential
    }

    /// The key by which the fast phase would know this device next time.
    pub fn persistent_key(&self) -> keys::PersistentKey {
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
        let sealed = seal(&mut self.channel, request)?;
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
    ) -> Result<(Command, AwaitingExchange<Self>), StepFailure> {
        let command = exchange_command(&mut self.channel, exchange)?;
        let next = AwaitingExchange {
            step: self,
            reads: exchange.reads(),
        };
        Ok((command, next))
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
            return Err(StepFailure::inside(
                Failure::Malformed,
                &mut established.channel,
                ReaderStatus::INVALID_FORMAT,
            ));
        };
        match established.channel.open(&[], sealed) {
            Ok(plain) => Ok((plain, established)),
            Err(_) => Err(StepFailure::plain(Failure::Channel)),
        }
    }
}

/// EXCHANGE is out, of either phase.
pub struct AwaitingExchange<S> {
    step: S,
    reads: usize,
}

/// A step with an expedited channel.
pub trait Converses {
    /// The channel.
    #[doc(hidden)]
    fn channel(&mut self) -> &mut Channel;
}

impl Converses for Established {
    fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }
}

impl Converses for Recognised {
    fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }
}

impl<S: Converses> AwaitingExchange<S> {
    /// What was read, in the order of the read commands.
    ///
    /// # Errors
    /// [`Failure::DeviceStatus`], [`Failure::Channel`],
    /// [`Failure::ExchangeRefused`], [`Failure::Malformed`].
    pub fn on_response(self, response: &Response) -> Result<(Vec<Vec<u8>>, S), StepFailure> {
        let mut step = self.step;
        let data = success(response)?;
        let plain = step
            .channel()
            .open(&[], data)
            .map_err(|_| StepFailure::plain(Failure::Channel))?;
        let (failure, status) = match parse_exchange_response(&plain, self.reads) {
            Ok((pieces, ExchangeResult::OK)) => return Ok((pieces, step)),
            Ok((_, ExchangeResult(code))) => (
                Failure::ExchangeRefused(code),
                ReaderStatus::INVALID_CONTENT,
            ),
            Err(_) => (Failure::Malformed, ReaderStatus::INVALID_FORMAT),
        };
        Err(StepFailure::inside(failure, step.channel(), status))
    }
}

fn seal(channel: &mut Channel, plain: &[u8]) -> Result<Vec<u8>, StepFailure> {
    channel
        .seal(&[], plain)
        .map_err(|_| StepFailure::plain(Failure::Channel))
}

fn exchange_command(
    channel: &mut Channel,
    exchange: &ExchangeCommand,
) -> Result<Command, StepFailure> {
    let sealed = seal(channel, &exchange.encode())?;
    Ok(Command::aliro(ins::EXCHANGE, sealed))
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
