//! The certification tool's side, by hand: a reader that can do wrong (the
//! device is in `tool_device`). They share with the engines the key schedule and the channel, which
//! the known answers pin, and nothing of the state machines.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]

use std::collections::VecDeque;

use aliro::apdu::{Command, Exchange, Limits, Progress, Response};
use aliro::channel::Channel;
use aliro::command::{
    Auth0Command, Auth0Response, Auth1Command, Auth1Response, ExchangeCommand, ExchangeResult,
    Policy, StatusWord, Usage, ins, parse_exchange_response, parse_session_data, session_data,
    signature_input,
};
use aliro::crypto::{Entropy, RingEntropy, Secret, Signature};
use aliro::device::{self, Card, CardEvent, Disclosure};
use aliro::identifier::{Interface, VERSION_1_0};
use aliro::keys::{self, BleVersions, KeyContext, StandardKeys};
use aliro::message::{Message, Protocol};
use aliro::select::{EXPEDITED, parse_file_control};

use super::{Installation, Key};

/// A key pair that the tool keeps, for tests that need more than one agreement.
pub(super) fn fresh() -> Key {
    let mut bytes = [0; 32];
    loop {
        RingEntropy.fill(&mut bytes).unwrap();
        if p256::SecretKey::from_slice(&bytes).is_ok() {
            return Key::new(&bytes);
        }
    }
}

pub(super) fn agree(ours: &Key, theirs: &aliro::crypto::PublicKey) -> [u8; 32] {
    let theirs = p256::PublicKey::from_sec1_bytes(theirs.as_bytes()).unwrap();
    let shared = p256::ecdh::diffie_hellman(ours.0.to_nonzero_scalar(), theirs.as_affine());
    (*shared.raw_secret_bytes()).into()
}

/// A device under test, over either carrier.
pub(crate) enum Device {
    Card(Box<Card>),
    Session(Box<device::Session>),
}

/// A device under test, and the tool as its reader.
pub(crate) struct ToolReader<'a> {
    installation: &'a Installation,
    pub(crate) device: Device,
    /// What its messages say, over messages, beside answers to commands.
    pub(crate) said: Vec<device::Event>,
    interface: Interface,
    /// For messages, once there are keys.
    pub(crate) messages: Option<Channel>,
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
        Self::with(installation, Device::Card(Box::new(card)), Interface::NFC)
    }

    /// The same over messages, on a carrier with this interface byte.
    pub(crate) fn over_messages(
        installation: &'a Installation,
        session: device::Session,
        interface: Interface,
    ) -> Self {
        Self::with(installation, Device::Session(Box::new(session)), interface)
    }

    fn with(installation: &'a Installation, device: Device, interface: Interface) -> Self {
        Self {
            installation,
            device,
            said: Vec::new(),
            interface,
            messages: None,
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
        let Device::Card(card) = &mut self.device else {
            return self.apdu_in_a_message(apdu);
        };
        let mut events: VecDeque<_> = card.on_apdu(apdu).into();
        let mut answer = None;
        while let Some(event) = events.pop_front() {
            self.seen.push(event.clone());
            match event {
                CardEvent::Send(apdu) => assert!(answer.replace(apdu).is_none()),
                CardEvent::ReaderAuthenticated(_) => {
                    events.extend(card.approve(self.disclosure).unwrap());
                }
                CardEvent::Sign { message, .. } => {
                    let signature = self.installation.credential.sign(&message);
                    events.extend(card.signed(signature).unwrap());
                }
                CardEvent::DocumentsRequested(_) => {
                    let (_, documents) = self.installation.documents.as_ref().unwrap();
                    events.extend(card.documents(documents).unwrap());
                }
                CardEvent::Notified(_) | CardEvent::ReaderStatus(_) | CardEvent::Failed(_) => {}
            }
        }
        answer.expect("every command is answered")
    }

    fn apdu_in_a_message(&mut self, apdu: &[u8]) -> Vec<u8> {
        let message = Message {
            protocol: Protocol::AccessProtocol,
            id: 0,
            payload: apdu,
        };
        let events = self.raw(&message.encode().unwrap());
        let answer = events.iter().find_map(|event| match event {
            device::Event::Send(message) if message[..2] == [0, 1] => Some(message[4..].to_vec()),
            _ => None,
        });
        answer.unwrap_or_else(|| panic!("every command is answered: {events:?}"))
    }

    /// One message, as it is; the device's caller approves and signs.
    pub(crate) fn raw(&mut self, message: &[u8]) -> Vec<device::Event> {
        let Device::Session(session) = &mut self.device else {
            panic!("over messages only");
        };
        let mut queue: VecDeque<_> = session.on_message(message).into();
        let mut events = Vec::new();
        while let Some(event) = queue.pop_front() {
            match &event {
                device::Event::ReaderAuthenticated(_) => {
                    queue.extend(session.approve(self.disclosure).unwrap());
                }
                device::Event::Sign { message, .. } => {
                    let signature = self.installation.credential.sign(message);
                    queue.extend(session.signed(signature).unwrap());
                }
                device::Event::DocumentsRequested(_) => {
                    let (_, documents) = self.installation.documents.as_ref().unwrap();
                    queue.extend(session.documents(documents).unwrap());
                }
                _ => {}
            }
            events.push(event);
        }
        self.said.extend(events.clone());
        events
    }

    /// One message that is no command, encrypted once there are keys.
    pub(crate) fn message(
        &mut self,
        protocol: Protocol,
        id: u8,
        payload: &[u8],
    ) -> Vec<device::Event> {
        let message = match &mut self.messages {
            Some(channel) => channel.seal_message(protocol, id, payload).unwrap(),
            None => Message {
                protocol,
                id,
                payload,
            }
            .encode()
            .unwrap(),
        };
        self.raw(&message)
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
        if let Device::Session(session) = &mut self.device {
            // Over messages the device begins, with the same information.
            let [device::Event::Send(initiate)] = &session.start_rke().unwrap()[..] else {
                panic!("the device does not begin");
            };
            self.proprietary = initiate[6..].to_vec();
            return Response::ok(Vec::new());
        }
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
                interface: self.interface,
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
            ble,
            ..
        } = context.standard(&kdh);
        self.messages = Some(Channel::of_reader(keys::ble(&ble, &BleVersions::default())));
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

    /// ENVELOPE as it should be.
    pub(crate) fn envelope_command(&mut self, request: &[u8]) -> Command {
        if let Some(step_up) = self.step_up.take() {
            self.channel = Some(Channel::of_reader(keys::step_up(&step_up)));
        }
        let channel = self.channel.as_mut().unwrap();
        let sealed = channel.seal(&[], request).unwrap();
        Command::envelope(session_data(&sealed))
    }

    /// ENVELOPE: the decrypted answer.
    pub(crate) fn envelope(&mut self, request: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let command = self.envelope_command(request);
        let response = self.command(command);
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
