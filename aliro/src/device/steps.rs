//! The device's transaction, one type a step. Each step consumes the one before
//! it; what comes out of order does not compile.
//!
//! ```text
//! Selected -> Auth0Done -> ReaderProved -> MustSign -> Established
//!             Auth0Done -> Recognised (fast)
//! ```

use std::sync::Arc;

use super::services::Services;
use super::{
    Credential, DeviceConfig, Disclosure, Failure, Memory, ReaderAuthenticated, Remembered, Trust,
};
use crate::apdu::{Command, Response};
use crate::certificate::{Certificate, CompressedCertificate};
use crate::channel::Channel;
use crate::command::{
    Auth0Command, Auth0Response, Auth1Command, Auth1Response, CredentialName, Cryptogram,
    ExchangeCommand, StatusWord, Usage, ins, parse_session_data, session_data, signature_input,
};
use crate::crypto::{CryptoError, Entropy, Ephemeral, PublicKey, Secret, Signature};
use crate::keys::{self, KeyContext};

/// Most bytes of documents in one answer: what fits in its two-byte length.
const MAX_DOCUMENTS: usize = 65_000;

/// The failure process (section 8.3.3.1): this status and no data go to the
/// reader, everything secret is gone, the transaction is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What the reader is told.
    pub status: StatusWord,
    /// What the caller is told.
    pub failure: Failure,
}

impl Refusal {
    /// The reader broke the protocol.
    pub fn protocol(status: StatusWord) -> Self {
        Self {
            status,
            failure: Failure::Protocol(status),
        }
    }

    /// An encrypted command did not open, or no answer can be sealed.
    pub(super) fn channel() -> Self {
        Self {
            status: StatusWord::SECURITY,
            failure: Failure::Channel,
        }
    }

    /// The answer.
    pub fn response(&self) -> Response {
        Response::error(self.status)
    }
}

/// A device that waits for AUTH0, its fresh values ready.
pub struct Selected {
    config: Arc<DeviceConfig>,
    ephemeral: Box<dyn Ephemeral>,
    /// Makes a cryptogram that nobody can open.
    decoy: Secret,
}

impl Selected {
    /// Draws what is fresh in this transaction.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn new(config: Arc<DeviceConfig>, entropy: &dyn Entropy) -> Result<Self, CryptoError> {
        let ephemeral = entropy.ephemeral()?;
        let mut decoy = [0; 32];
        entropy.fill(&mut decoy)?;
        Ok(Self {
            config,
            ephemeral,
            decoy: Secret::new(decoy),
        })
    }

    /// AUTH0. The answer has the same shape for every reader: whether its group
    /// is known shows only at AUTH1. A reader that asks for the fast phase gets
    /// a cryptogram; one that is not remembered (or may not be recognised: no
    /// `memory`) gets one under a random key, after the same work.
    ///
    /// # Errors
    /// [`Refusal`] for an unsupported version and for malformed commands.
    pub fn auth0(
        self,
        command: &Command,
        memory: Option<&dyn Memory>,
    ) -> Result<(Response, Auth0Done), Refusal> {
        expect(command, ins::AUTH0)?;
        let auth0 = Auth0Command::parse(&command.data)
            .map_err(|_| Refusal::protocol(StatusWord::MALFORMED))?;
        let versions = self.config.proprietary.versions();
        if !versions.contains(&auth0.version) {
            return Err(Refusal::protocol(StatusWord::CONDITIONS));
        }
        let (cryptogram, offer) = auth0.fast.then(|| self.cryptogram(&auth0, memory)).unzip();
        let answer = Auth0Response {
            device_point: self.ephemeral.public_key(),
            cryptogram,
            extension: None,
        };
        let next = Auth0Done {
            config: self.config,
            ephemeral: self.ephemeral,
            auth0,
            loaded: None,
            offer,
        };
        Ok((Response::ok(answer.encode()), next))
    }

    fn cryptogram(
        &self,
        auth0: &Auth0Command,
        memory: Option<&dyn Memory>,
    ) -> ([u8; 64], Recognised) {
        let known = binding(&self.config.credentials, &auth0.reader.group);
        let recalled = known.and_then(|(credential, trust)| {
            let key = credential.public_key;
            let remembered = memory?.recall(&key, &auth0.reader, auth0.policy)?;
            Some((key, *trust.group_key(), remembered))
        });
        let (credential, group_key, remembered) = recalled.unwrap_or_else(|| {
            let remembered = Remembered {
                key: self.decoy.clone(),
                disclosure: Disclosure::default(),
            };
            (auth0.reader_point, auth0.reader_point, remembered)
        });
        let point = self.ephemeral.public_key();
        let keys =
            context(&self.config, auth0, group_key, point).fast(&remembered.key, &credential);
        let content = Cryptogram {
            signaling: remembered.disclosure.signaling,
            access_signed: remembered.disclosure.access_signed,
            revocation_signed: remembered.disclosure.revocation_signed,
        };
        let sealed = content.seal(&keys.cryptogram);
        // Offered under the random key, too: whoever answers without having
        // opened the cryptogram fails alike, and does not learn which it was.
        let recognised = Recognised {
            credential,
            channel: Channel::of_device([keys.expedited_reader, keys.expedited_device]),
            ble: keys.ble,
        };
        (sealed, recognised)
    }
}

/// AUTH0 is answered.
pub struct Auth0Done {
    config: Arc<DeviceConfig>,
    ephemeral: Box<dyn Ephemeral>,
    auth0: Auth0Command,
    loaded: Option<Certificate>,
    /// What a reader that opened the cryptogram can talk through.
    offer: Option<Recognised>,
}

impl Auth0Done {
    /// The channel for BLE messages of a reader that opened the cryptogram.
    pub fn message_channel(&self, versions: &keys::BleVersions) -> Option<Channel> {
        self.offer
            .as_ref()
            .map(|offer| Channel::of_device(keys::ble(&offer.ble, versions)))
    }

    /// EXCHANGE right after AUTH0: the reader opened the cryptogram.
    ///
    /// # Errors
    /// [`Refusal`] when it does not open, or there was no cryptogram.
    pub fn exchange(
        self,
        command: &Command,
        services: &mut Services,
    ) -> Result<(Response, ExchangeCommand, Recognised), Refusal> {
        expect(command, ins::EXCHANGE)?;
        let mut recognised = self
            .offer
            .ok_or(Refusal::protocol(StatusWord::WRONG_STATE))?;
        let (response, exchange) = recognised.exchange(command, services)?;
        Ok((response, exchange, recognised))
    }

    /// LOAD CERT. Only the form is judged here.
    ///
    /// # Errors
    /// [`Refusal`] for a malformed certificate.
    pub fn load_certificate(&mut self, command: &Command) -> Result<Response, Refusal> {
        expect(command, ins::LOAD_CERT)?;
        self.loaded = Some(parse_certificate(&command.data)?);
        Ok(Response::ok(Vec::new()))
    }

    /// AUTH1: does the reader prove itself? Nothing about the user has been
    /// derived, signed or sent when this returns.
    ///
    /// # Errors
    /// [`Refusal`]. An unknown group, a certificate that does not verify and a
    /// bad signature have the same status, after the same work.
    pub fn auth1(self, command: &Command) -> Result<ReaderProved, Refusal> {
        expect(command, ins::AUTH1)?;
        let auth1 = Auth1Command::parse(&command.data)
            .map_err(|_| Refusal::protocol(StatusWord::MALFORMED))?;
        let inline = auth1
            .certificate
            .as_deref()
            .map(parse_certificate)
            .transpose()?;
        if inline.is_some() && self.loaded.is_some() {
            return Err(Refusal::protocol(StatusWord::MALFORMED));
        }
        let certificate = inline.or(self.loaded);

        let binding = binding(&self.config.credentials, &self.auth0.reader.group);
        let input = signature_input(
            &self.auth0.reader,
            &self.ephemeral.public_key(),
            &self.auth0.reader_point,
            &self.auth0.transaction,
            Usage::Reader,
        );
        let trust = binding.map(|(_, trust)| trust);
        // Where there is nothing to check against, the reader's own fresh point
        // stands in, so that the work is the same; the result does not count.
        let stand_in = self.auth0.reader_point;
        let issuer = match trust {
            Some(Trust::IssuerCa(issuer)) => issuer,
            _ => stand_in,
        };
        let certified = certificate
            .as_ref()
            .map(|certificate| certificate.verify(&issuer).is_ok());
        let (reader_key, trusted) = match (trust, &certificate) {
            (Some(Trust::DirectKey(key)), None) => (key, true),
            (Some(Trust::IssuerCa(_)), Some(certificate)) => {
                (*certificate.subject_key(), certified == Some(true))
            }
            _ => (stand_in, false),
        };
        let signed = reader_key.verify(&input, &auth1.signature).is_ok();
        let Some((credential, trust)) = binding else {
            return Err(not_proved(Failure::UnknownReader));
        };
        if !(trusted && signed) {
            return Err(not_proved(Failure::ReaderNotProved));
        }

        let reader = ReaderAuthenticated {
            identifier: self.auth0.reader,
            reader_key,
            certificate,
            credential: credential.public_key,
            policy: self.auth0.policy,
        };
        Ok(ReaderProved {
            reader,
            want_public_key: auth1.want_public_key,
            config: self.config,
            ephemeral: self.ephemeral,
            auth0: self.auth0,
            group_key: *trust.group_key(),
        })
    }
}

/// The reader proved itself; the device has said nothing yet.
pub struct ReaderProved {
    reader: ReaderAuthenticated,
    want_public_key: bool,
    config: Arc<DeviceConfig>,
    ephemeral: Box<dyn Ephemeral>,
    auth0: Auth0Command,
    group_key: PublicKey,
}

impl ReaderProved {
    /// Who it is.
    pub fn reader(&self) -> &ReaderAuthenticated {
        &self.reader
    }

    /// It is the reader that was meant: go on, and tell it this much.
    ///
    /// # Errors
    /// [`Refusal`] when no key can be agreed on.
    pub fn approve(self, disclosure: Disclosure) -> Result<MustSign, Refusal> {
        let point = self.ephemeral.public_key();
        let context = context(&self.config, &self.auth0, self.group_key, point);
        let shared = self
            .ephemeral
            .agree(&context.reader_point)
            .map_err(|_| Refusal::protocol(StatusWord::MALFORMED))?;
        Ok(MustSign {
            kdh: keys::kdh(&shared, &context.transaction),
            context,
            credential: self.reader.credential,
            want_public_key: self.want_public_key,
            disclosure,
        })
    }

    /// It is not the one that was meant: the same answer as for a reader that
    /// did not prove itself.
    pub fn abort(self) -> Refusal {
        not_proved(Failure::Aborted)
    }
}

/// The credential's signature is needed.
pub struct MustSign {
    context: KeyContext,
    kdh: Secret,
    credential: PublicKey,
    want_public_key: bool,
    disclosure: Disclosure,
}

impl MustSign {
    /// Whose signature.
    pub fn credential(&self) -> &PublicKey {
        &self.credential
    }

    /// What to sign with the credential's private key.
    pub fn to_sign(&self) -> Vec<u8> {
        let context = &self.context;
        signature_input(
            &context.reader,
            &context.device_point,
            &context.reader_point,
            &context.transaction,
            Usage::Device,
        )
    }

    /// The answer to AUTH1, encrypted.
    ///
    /// # Errors
    /// [`Refusal`] when nothing can be sealed.
    pub fn signed(self, signature: Signature) -> Result<(Response, Established), Refusal> {
        let keys = self.context.standard(&self.kdh);
        let mut channel = Channel::of_device([keys.expedited_reader, keys.expedited_device]);
        let answer = Auth1Response {
            credential: Some(if self.want_public_key {
                CredentialName::PublicKey(self.credential)
            } else {
                CredentialName::KeySlot(self.credential.key_slot())
            }),
            signature: Some(signature),
            mailbox: None,
            signaling: Some(self.disclosure.signaling),
            access_signed: self.disclosure.access_signed,
            revocation_signed: self.disclosure.revocation_signed,
        };
        let sealed = channel
            .seal(&[], &answer.encode())
            .map_err(|_| Refusal::channel())?;
        let established = Established {
            context: self.context,
            kdh: self.kdh,
            credential: self.credential,
            disclosure: self.disclosure,
            channel,
            step_up: Some(keys.step_up),
            selected: false,
            past_documents: false,
            ble: keys.ble,
        };
        Ok((Response::ok(sealed), established))
    }
}

/// Both sides are known to each other.
pub struct Established {
    context: KeyContext,
    kdh: Secret,
    credential: PublicKey,
    disclosure: Disclosure,
    channel: Channel,
    /// Until the channel has been moved to the step-up keys.
    step_up: Option<Secret>,
    /// Whether the step-up application was selected.
    selected: bool,
    /// Whether EXCHANGE has followed ENVELOPE: no more documents then.
    past_documents: bool,
    ble: Secret,
}

impl Established {
    /// The channel for BLE messages. Take it once: its counters begin at 1.
    pub fn message_channel(&self, versions: &keys::BleVersions) -> Channel {
        Channel::of_device(keys::ble(&self.ble, versions))
    }

    /// Remembers the reader for the fast phase.
    pub fn remember(&self, memory: &dyn Memory) {
        let remembered = Remembered {
            key: self.persistent_key(),
            disclosure: self.disclosure,
        };
        memory.remember(&self.credential, &self.context.reader, remembered);
    }

    /// The key by which the fast phase would let this reader know the device
    /// next time.
    pub fn persistent_key(&self) -> keys::PersistentKey {
        self.context.persistent(&self.kdh, &self.credential)
    }

    /// SELECT of the step-up application: once, before ENVELOPE. Whether that
    /// is allowed now.
    pub fn select_step_up(&mut self) -> bool {
        let allowed = !self.selected && self.step_up.is_some();
        self.selected = true;
        allowed
    }

    /// ENVELOPE: a plain DeviceRequest. Answer with
    /// [`documents`](Self::documents).
    ///
    /// # Errors
    /// [`Refusal`] when it is malformed or does not open.
    pub fn envelope(&mut self, command: &Command) -> Result<Vec<u8>, Refusal> {
        expect(command, ins::ENVELOPE)?;
        if self.past_documents {
            return Err(Refusal::protocol(StatusWord::WRONG_STATE));
        }
        let sealed = parse_session_data(&command.data)
            .map_err(|_| Refusal::protocol(StatusWord::MALFORMED))?;
        if let Some(step_up) = self.step_up.take() {
            self.channel = Channel::of_device(keys::step_up(&step_up));
        }
        self.channel
            .open(&[], sealed)
            .map_err(|_| Refusal::channel())
    }

    /// The answer to ENVELOPE, around a plain DeviceResponse of at most 65000
    /// bytes.
    ///
    /// # Errors
    /// [`Refusal`] when it is too long or cannot be sealed.
    pub fn documents(&mut self, response: &[u8]) -> Result<Response, Refusal> {
        if response.len() > MAX_DOCUMENTS {
            return Err(Refusal::channel());
        }
        let sealed = self
            .channel
            .seal(&[], response)
            .map_err(|_| Refusal::channel())?;
        Ok(Response::ok(session_data(&sealed)))
    }

    /// EXCHANGE: the answer, and what was asked for. A status is taken, a
    /// ranging key is granted (nothing uses it), the mailbox is read and
    /// written; what the services do not offer is refused inside the
    /// encryption, and so is what does not parse.
    ///
    /// # Errors
    /// [`Refusal`] when it does not open.
    pub fn exchange(
        &mut self,
        command: &Command,
        services: &mut Services,
    ) -> Result<(Response, ExchangeCommand), Refusal> {
        self.past_documents = self.step_up.is_none();
        services.exchange(&mut self.channel, &self.credential, command)
    }
}

/// The reader is known by the key that both remember; nothing was signed.
pub struct Recognised {
    credential: PublicKey,
    channel: Channel,
    ble: Secret,
}

impl Recognised {
    /// EXCHANGE, as after the standard phase.
    ///
    /// # Errors
    /// [`Refusal`] when it does not open.
    pub fn exchange(
        &mut self,
        command: &Command,
        services: &mut Services,
    ) -> Result<(Response, ExchangeCommand), Refusal> {
        services.exchange(&mut self.channel, &self.credential, command)
    }
}

fn context(
    config: &DeviceConfig,
    auth0: &Auth0Command,
    group_key: PublicKey,
    device_point: PublicKey,
) -> KeyContext {
    KeyContext {
        group_key,
        reader: auth0.reader,
        interface: config.interface,
        version: auth0.version,
        reader_point: auth0.reader_point,
        device_point,
        transaction: auth0.transaction,
        flag: auth0.flag(),
        proprietary: config.proprietary.as_bytes().to_vec(),
        reader_extension: auth0.extension.clone(),
        device_extension: None,
    }
}

/// Instruction, class and parameters, as the command has them.
pub(super) fn expect(command: &Command, instruction: u8) -> Result<(), Refusal> {
    let class = if instruction == ins::ENVELOPE {
        0x00
    } else {
        0x80
    };
    let status = if command.ins != instruction {
        StatusWord::WRONG_STATE
    } else if command.cla != class {
        StatusWord::BAD_CLASS
    } else if (command.p1, command.p2) != (0, 0) {
        StatusWord::BAD_PARAMETERS
    } else {
        return Ok(());
    };
    Err(Refusal::protocol(status))
}

fn parse_certificate(bytes: &[u8]) -> Result<Certificate, Refusal> {
    CompressedCertificate::parse(bytes).map_err(|_| Refusal::protocol(StatusWord::BAD_CERTIFICATE))
}

/// The preferred credential that knows the group.
fn binding<'a>(credentials: &'a [Credential], group: &[u8; 16]) -> Option<(&'a Credential, Trust)> {
    credentials.iter().find_map(|credential| {
        let binding = credential
            .groups
            .iter()
            .find(|known| known.group == *group)?;
        Some((credential, binding.trust))
    })
}

fn not_proved(failure: Failure) -> Refusal {
    Refusal {
        status: StatusWord::SECURITY,
        failure,
    }
}
