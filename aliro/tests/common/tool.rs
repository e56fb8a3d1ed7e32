//! The certification tool's side, by hand: a reader and a device that can do
//! wrong. They share with the engines the key schedule and the channel, which
//! the known answers pin, and nothing of the state machines.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]

use std::collections::VecDeque;

use aliro::apdu::{Command, Exchange, Limits, Progress, Response};
use aliro::channel::Channel;
use aliro::command::{
    Auth0Command, Auth0Response, Auth1Command, Auth1Response, CredentialName, ExchangeCommand,
    ExchangeResult, Policy, Signaling, StatusWord, Usage, exchange_response, ins,
    parse_exchange_response, parse_session_data, session_data, signature_input,
};
use aliro::crypto::{Entropy, RingEntropy, Secret, Signature};
use aliro::device::{Card, CardEvent, Disclosure};
use aliro::identifier::{Interface, VERSION_1_0};
use aliro::keys::{self, KeyContext, StandardKeys};
use aliro::reader::{Authenticated, Failure, Terminal, TerminalEvent};
use aliro::select::{EXPEDITED, file_control, parse_file_control};

use super::{Installation, Key};

/// A key pair that the tool keeps, for tests that need more than one agreement.
fn fresh() -> Key {
    let mut bytes = [0; 32];
    loop {
        RingEntropy.fill(&mut bytes).unwrap();
        if p256::SecretKey::from_slice(&bytes).is_ok() {
            return Key::new(&bytes);
        }
    }
}

fn agree(ours: &Key, theirs: &aliro::crypto::PublicKey) -> [u8; 32] {
    let theirs = p256::PublicKey::from_sec1_bytes(theirs.as_bytes()).unwrap();
    let shared = p256::ecdh::diffie_hellman(ours.0.to_nonzero_scalar(), theirs.as_affine());
    (*shared.raw_secret_bytes()).into()
}

/// A device under test, and the tool as its reader.
pub(crate) struct ToolReader<'a> {
    installation: &'a Installation,
    pub(crate) card: Card,
    pub(crate) disclosure: Disclosure,
    pub(crate) limits: Limits,
    pub(crate) seen: Vec<CardEvent>,
    ephemeral: Key,
    context: Option<KeyContext>,
    pub(crate) auth0: Option<Auth0Command>,
    pub(crate) proprietary: Vec<u8>,
    pub(crate) channel: Option<Channel>,
    step_up: Option<Secret>,
    pub(crate) kdh: Option<Secret>,
}

impl<'a> ToolReader<'a> {
    pub(crate) fn new(installation: &'a Installation, card: Card) -> Self {
        Self {
            installation,
            card,
            disclosure: Disclosure::default(),
            limits: Limits::announced(None),
            seen: Vec::new(),
            ephemeral: fresh(),
            context: None,
            auth0: None,
            proprietary: Vec::new(),
            channel: None,
            step_up: None,
            kdh: None,
        }
    }

    /// One APDU, answered; the device's caller approves and signs.
    pub(crate) fn apdu(&mut self, apdu: &[u8]) -> Vec<u8> {
        let mut events: VecDeque<_> = self.card.on_apdu(apdu).into();
        let mut answer = None;
        while let Some(event) = events.pop_front() {
            self.seen.push(event.clone());
            match event {
                CardEvent::Send(apdu) => assert!(answer.replace(apdu).is_none()),
                CardEvent::ReaderAuthenticated(_) => {
                    events.extend(self.card.approve(self.disclosure).unwrap());
                }
                CardEvent::Sign { message, .. } => {
                    let signature = self.installation.credential.sign(&message);
                    events.extend(self.card.signed(signature).unwrap());
                }
                CardEvent::DocumentsRequested(_) => {
                    let (_, documents) = self.installation.documents.as_ref().unwrap();
                    events.extend(self.card.documents(documents).unwrap());
                }
                CardEvent::Notified(_) | CardEvent::ReaderStatus(_) | CardEvent::Failed(_) => {}
            }
        }
        answer.expect("every command is answered")
    }

    /// One whole command.
    pub(crate) fn command(&mut self, command: Command) -> Response {
        let (mut exchange, mut apdu) = Exchange::begin(command, self.limits);
        loop {
            let answer = self.apdu(&apdu);
            match exchange.on_response(&answer).unwrap() {
                Progress::Send(next) => apdu = next,
                Progress::Done(response) => return response,
            }
        }
    }

    pub(crate) fn select(&mut self) -> Response {
        let response = self.command(Command::select(&EXPEDITED));
        if response.status == StatusWord::OK {
            let proprietary = parse_file_control(&response.data, &EXPEDITED).unwrap();
            self.proprietary = proprietary.as_bytes().to_vec();
        }
        response
    }

    /// AUTH0 as it should be, to be spoilt and encoded by the caller.
    pub(crate) fn auth0_command(&mut self, fast: bool) -> Auth0Command {
        self.ephemeral = fresh();
        let mut transaction = [0; 16];
        RingEntropy.fill(&mut transaction).unwrap();
        Auth0Command {
            fast,
            policy: Policy::DeviceSetting,
            version: VERSION_1_0,
            reader_point: self.ephemeral.public(),
            transaction,
            reader: self.installation.identifier,
            extension: None,
        }
    }

    /// Sends AUTH0 with these data, and takes the answer in.
    pub(crate) fn auth0_with(&mut self, auth0: Auth0Command, data: Vec<u8>) -> Response {
        let response = self.command(Command::aliro(ins::AUTH0, data));
        if response.status == StatusWord::OK {
            let answer = Auth0Response::parse(&response.data, auth0.fast).unwrap();
            self.context = Some(KeyContext {
                group_key: self.installation.issuer.public(),
                reader: auth0.reader,
                interface: Interface::NFC,
                version: auth0.version,
                reader_point: auth0.reader_point,
                device_point: answer.device_point,
                transaction: auth0.transaction,
                flag: auth0.flag(),
                proprietary: self.proprietary.clone(),
                reader_extension: auth0.extension.clone(),
                device_extension: answer.extension,
            });
        }
        self.auth0 = Some(auth0);
        response
    }

    pub(crate) fn auth0(&mut self) -> Response {
        let auth0 = self.auth0_command(false);
        let data = auth0.encode();
        self.auth0_with(auth0, data)
    }

    pub(crate) fn context(&self) -> &KeyContext {
        self.context.as_ref().unwrap()
    }

    /// The reader's signature over what was said, with another reader's name if
    /// need be.
    pub(crate) fn signature(&self, name: aliro::identifier::ReaderIdentifier) -> Signature {
        let context = self.context();
        let input = signature_input(
            &name,
            &context.device_point,
            &context.reader_point,
            &context.transaction,
            Usage::Reader,
        );
        self.installation.reader.sign(&input)
    }

    /// AUTH1 as it should be, with the certificate inside.
    pub(crate) fn auth1_command(&self) -> Auth1Command {
        Auth1Command {
            want_public_key: true,
            signature: self.signature(self.installation.identifier),
            certificate: Some(self.installation.certificate.as_bytes().to_vec()),
        }
    }

    /// Sends AUTH1 with these data; the decrypted answer, checked.
    pub(crate) fn auth1_with(&mut self, data: Vec<u8>) -> Result<Auth1Response, Response> {
        let response = self.command(Command::aliro(ins::AUTH1, data));
        if response.status != StatusWord::OK {
            assert!(response.data.is_empty(), "an error has no data");
            return Err(response);
        }
        let context = self.context().clone();
        let shared = agree(&self.ephemeral, &context.device_point);
        let kdh = keys::kdh(&shared, &context.transaction);
        let StandardKeys {
            expedited_reader,
            expedited_device,
            step_up,
            ..
        } = context.standard(&kdh);
        let mut channel = Channel::of_reader([expedited_reader, expedited_device]);
        let plain = channel.open(&[], &response.data).expect("AUTH1 opens");
        let answer = Auth1Response::parse(&plain).unwrap();
        let input = signature_input(
            &context.reader,
            &context.device_point,
            &context.reader_point,
            &context.transaction,
            Usage::Device,
        );
        let key = self.installation.credential.public();
        key.verify(&input, &answer.signature.unwrap()).unwrap();
        self.channel = Some(channel);
        self.step_up = Some(step_up);
        self.kdh = Some(kdh);
        Ok(answer)
    }

    /// SELECT, AUTH0, AUTH1, as they should be.
    pub(crate) fn standard(&mut self) -> Auth1Response {
        assert_eq!(self.select().status, StatusWord::OK);
        assert_eq!(self.auth0().status, StatusWord::OK);
        let data = self.auth1_command().encode();
        self.auth1_with(data).unwrap()
    }

    /// EXCHANGE with this plaintext: status word, decrypted answer.
    pub(crate) fn exchange_raw(&mut self, plain: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let sealed = self.channel.as_mut().unwrap().seal(&[], plain).unwrap();
        let response = self.command(Command::aliro(ins::EXCHANGE, sealed));
        if response.status != StatusWord::OK {
            return Err(response.status);
        }
        let channel = self.channel.as_mut().unwrap();
        Ok(channel.open(&[], &response.data).expect("EXCHANGE opens"))
    }

    pub(crate) fn exchange(
        &mut self,
        exchange: &ExchangeCommand,
    ) -> (Vec<Vec<u8>>, ExchangeResult) {
        let plain = self.exchange_raw(&exchange.encode()).unwrap();
        parse_exchange_response(&plain, exchange.reads()).unwrap()
    }

    /// ENVELOPE: the decrypted answer.
    pub(crate) fn envelope(&mut self, request: &[u8]) -> Result<Vec<u8>, StatusWord> {
        if let Some(step_up) = self.step_up.take() {
            self.channel = Some(Channel::of_reader(keys::step_up(&step_up)));
        }
        let channel = self.channel.as_mut().unwrap();
        let sealed = channel.seal(&[], request).unwrap();
        let response = self.command(Command::envelope(session_data(&sealed)));
        if response.status != StatusWord::OK {
            return Err(response.status);
        }
        let sealed = parse_session_data(&response.data).unwrap();
        let channel = self.channel.as_mut().unwrap();
        Ok(channel.open(&[], sealed).expect("ENVELOPE opens"))
    }

    pub(crate) fn control_flow(&mut self) -> Response {
        let data = vec![0x41, 1, 0, 0x42, 1, 0];
        self.command(Command::aliro(ins::CONTROL_FLOW, data))
    }

    /// After a failure nothing goes on, but CONTROL FLOW is taken.
    pub(crate) fn ended(&mut self) {
        let auth1 = Command::aliro(ins::AUTH1, vec![0x41, 1, 1]);
        assert_ne!(self.command(auth1).status, StatusWord::OK);
        assert_eq!(self.control_flow().status, StatusWord::OK);
    }

    /// The commands cut into parts of this many bytes.
    pub(crate) fn parts_of(&mut self, short: u8) {
        self.limits = Limits {
            short,
            extended: None,
        };
    }
}

/// A reader under test, and the tool as its device.
pub(crate) struct ToolDevice<'a> {
    installation: &'a Installation,
    pub(crate) terminal: Terminal,
    ephemeral: Key,
    /// The A5 object that it announces.
    pub(crate) proprietary: aliro::proprietary::ProprietaryInformation,
    /// What it adds after the file control information.
    pub(crate) descriptor: Vec<u8>,
    /// Changes the plain answer to AUTH0 before it goes out.
    pub(crate) spoil_auth0: fn(&mut Vec<u8>),
    /// Changes the plain answer to AUTH1 before it is encrypted.
    pub(crate) spoil_auth1: fn(&mut Vec<u8>),
    pub(crate) commands: Vec<Command>,
    /// What was exchanged, decrypted.
    pub(crate) exchanged: Vec<ExchangeCommand>,
    pub(crate) authenticated: Option<Authenticated>,
    pub(crate) failure: Option<Failure>,
    pub(crate) finished: bool,
    auth0: Option<Auth0Command>,
    channel: Option<Channel>,
}

impl<'a> ToolDevice<'a> {
    pub(crate) fn new(installation: &'a Installation, terminal: Terminal) -> Self {
        Self {
            installation,
            terminal,
            ephemeral: fresh(),
            proprietary: installation.device_config().proprietary,
            descriptor: Vec::new(),
            spoil_auth0: |_| {},
            spoil_auth1: |_| {},
            commands: Vec::new(),
            exchanged: Vec::new(),
            authenticated: None,
            failure: None,
            finished: false,
            auth0: None,
            channel: None,
        }
    }

    /// Runs the reader to its end; it grants whoever it knows.
    pub(crate) fn run(&mut self) {
        let mut events: VecDeque<_> = self.terminal.start().unwrap().into();
        let mut assembler = aliro::apdu::Assembler::new(self.proprietary.extended_length());
        while let Some(event) = events.pop_front() {
            match event {
                TerminalEvent::Send(apdu) => {
                    let answer = match assembler.on_apdu(&apdu) {
                        aliro::apdu::Received::Command(command) => {
                            let response = self.answer(&command);
                            self.commands.push(command);
                            assembler.respond(response)
                        }
                        aliro::apdu::Received::Reply(reply) => reply,
                        aliro::apdu::Received::Broken(status) => panic!("{status:?}"),
                    };
                    events.extend(self.terminal.on_apdu(&answer));
                }
                TerminalEvent::Sign(message) => {
                    let signature = self.installation.reader.sign(&message);
                    events.extend(self.terminal.signed(signature).unwrap());
                }
                TerminalEvent::Authenticated(who) => {
                    self.authenticated = Some(who);
                    let granted = aliro::command::ReaderStatus::UNSECURED;
                    events.extend(self.terminal.finish(granted).unwrap());
                }
                TerminalEvent::Finished => self.finished = true,
                TerminalEvent::Failed(failure) => self.failure = Some(failure),
                other => panic!("{other:?}"),
            }
        }
    }

    /// How the reader ended it, as the tool sees that.
    pub(crate) fn last(&self) -> &Command {
        self.commands.last().unwrap()
    }

    fn answer(&mut self, command: &Command) -> Response {
        match command.ins {
            ins::SELECT => {
                let mut data = file_control(&EXPEDITED, &self.proprietary);
                data.extend(&self.descriptor);
                Response::ok(data)
            }
            ins::AUTH0 => {
                self.auth0 = Some(Auth0Command::parse(&command.data).unwrap());
                let mut data = Auth0Response {
                    device_point: self.ephemeral.public(),
                    cryptogram: None,
                    extension: None,
                }
                .encode();
                (self.spoil_auth0)(&mut data);
                Response::ok(data)
            }
            ins::LOAD_CERT | ins::CONTROL_FLOW => Response::ok(Vec::new()),
            ins::AUTH1 => self.auth1(command),
            ins::EXCHANGE => {
                let channel = self.channel.as_mut().unwrap();
                let plain = channel.open(&[], &command.data).expect("EXCHANGE opens");
                self.exchanged.push(ExchangeCommand::parse(&plain).unwrap());
                let answer = exchange_response(&[], ExchangeResult::OK);
                Response::ok(channel.seal(&[], &answer).unwrap())
            }
            other => panic!("{other:x}"),
        }
    }

    fn auth1(&mut self, command: &Command) -> Response {
        let auth1 = Auth1Command::parse(&command.data).unwrap();
        assert!(auth1.want_public_key);
        let auth0 = self.auth0.clone().unwrap();
        let context = KeyContext {
            group_key: self.installation.issuer.public(),
            reader: auth0.reader,
            interface: Interface::NFC,
            version: auth0.version,
            reader_point: auth0.reader_point,
            device_point: self.ephemeral.public(),
            transaction: auth0.transaction,
            flag: auth0.flag(),
            proprietary: self.proprietary.as_bytes().to_vec(),
            reader_extension: None,
            device_extension: None,
        };
        let input = |usage| {
            signature_input(
                &context.reader,
                &context.device_point,
                &context.reader_point,
                &context.transaction,
                usage,
            )
        };
        let reader = self.installation.reader.public();
        reader
            .verify(&input(Usage::Reader), &auth1.signature)
            .unwrap();
        let kdh = keys::kdh(
            &agree(&self.ephemeral, &context.reader_point),
            &context.transaction,
        );
        let keys = context.standard(&kdh);
        let mut channel = Channel::of_device([keys.expedited_reader, keys.expedited_device]);
        let mut plain = Auth1Response {
            credential: Some(CredentialName::PublicKey(
                self.installation.credential.public(),
            )),
            signature: Some(self.installation.credential.sign(&input(Usage::Device))),
            mailbox: None,
            signaling: Some(Signaling::default()),
            access_signed: None,
            revocation_signed: None,
        }
        .encode();
        (self.spoil_auth1)(&mut plain);
        let sealed = channel.seal(&[], &plain).unwrap();
        self.channel = Some(channel);
        Response::ok(sealed)
    }
}
