//! The certification tool's side, by hand: a device that can do wrong.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]

use std::collections::VecDeque;

use aliro::apdu::{Command, Response};
use aliro::channel::Channel;
use aliro::command::{
    Auth0Command, Auth0Response, Auth1Command, Auth1Response, CredentialName, ExchangeCommand,
    ExchangeResult, Signaling, Usage, exchange_response, ins, signature_input,
};
use aliro::identifier::Interface;
use aliro::keys::{self, KeyContext};
use aliro::reader::{Authenticated, Failure, Terminal, TerminalEvent};
use aliro::select::{EXPEDITED, file_control};

use super::tool::{agree, fresh};
use super::{Installation, Key};

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
