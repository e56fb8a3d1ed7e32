//! The device's end: commands put together, answers cut.

use super::{CHAIN, Command, Form, Response};
use crate::command::{StatusWord, ins};
use crate::proprietary::ExtendedLength;

/// Most data in a response to a short command; the reference stays two below
/// 256.
const SHORT_ANSWER: usize = 254;

/// Most data bytes that a chain may carry together.
const MAX_COMMAND: usize = 0x1_0000;

/// Puts commands together from chains and hands out answers in pieces.
///
/// Nothing authenticates Le, so it is taken literally: 00 or absent in a
/// command, exactly what was announced in GET RESPONSE.
#[derive(Debug)]
pub struct Assembler {
    extended: Option<ExtendedLength>,
    chain: Option<Command>,
    pending: Vec<u8>,
    form: Form,
}

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole command; answer through [`Assembler::respond`].
    Command(Command),
    /// Nothing for the application: send this.
    Reply(Vec<u8>),
    /// A chain was broken or an APDU is malformed: the transaction is over.
    /// Answer with this status.
    Broken(StatusWord),
}

impl Assembler {
    /// With the sizes that the device announced.
    pub fn new(extended: Option<ExtendedLength>) -> Self {
        Self {
            extended,
            chain: None,
            pending: Vec::new(),
            form: Form::Short,
        }
    }

    /// Takes one command APDU.
    pub fn on_apdu(&mut self, apdu: &[u8]) -> Received {
        let Ok((mut command, form, le)) = Command::parse(apdu) else {
            self.chain = None;
            return Received::Broken(StatusWord::MALFORMED);
        };
        let allowed = match (form, self.extended) {
            (Form::Short, _) => true,
            (Form::Extended, Some(limits)) => apdu.len() <= usize::from(limits.max_command),
            (Form::Extended, None) => false,
        };
        if !allowed {
            self.chain = None;
            return Received::Broken(StatusWord::MALFORMED);
        }
        if self.chain.is_none() && command.ins == ins::GET_RESPONSE && !self.pending.is_empty() {
            let asked = (command.cla, command.p1, command.p2, command.data.len(), le);
            if asked != (0, 0, 0, 0, Some(self.left())) {
                self.pending.clear();
                return Received::Broken(StatusWord::MALFORMED);
            }
            return Received::Reply(self.next_piece());
        }
        self.pending.clear();
        if !matches!(le, None | Some(0)) {
            self.chain = None;
            return Received::Broken(StatusWord::MALFORMED);
        }
        self.form = form;
        let more = command.cla & CHAIN != 0;
        command.cla &= !CHAIN;
        if let Some(mut chain) = self.chain.take() {
            let same = (chain.cla, chain.ins, chain.p1, chain.p2)
                == (command.cla, command.ins, command.p1, command.p2);
            if !same || chain.data.len() + command.data.len() > MAX_COMMAND {
                return Received::Broken(StatusWord::CHAIN_BROKEN);
            }
            chain.data.extend(command.data);
            chain.answered = command.answered;
            command = chain;
        }
        if more {
            self.chain = Some(command);
            return Received::Reply(Response::ok(Vec::new()).encode());
        }
        Received::Command(command)
    }

    /// The first piece of an answer; the others follow by GET RESPONSE.
    pub fn respond(&mut self, response: Response) -> Vec<u8> {
        if response.status != StatusWord::OK {
            return Response::error(response.status).encode();
        }
        self.pending = response.data;
        self.next_piece()
    }

    fn next_piece(&mut self) -> Vec<u8> {
        let most = match (self.form, self.extended) {
            (Form::Extended, Some(limits)) => usize::from(limits.max_response) - 2,
            _ => SHORT_ANSWER,
        };
        let rest = self.pending.split_off(self.pending.len().min(most));
        let data = std::mem::replace(&mut self.pending, rest);
        let status = match self.left() {
            0 => StatusWord::OK,
            left => StatusWord(0x6100 | left),
        };
        Response { data, status }.encode()
    }

    /// What `61 xx` says, and GET RESPONSE must ask for: the bytes left, 255 for
    /// more.
    fn left(&self) -> u16 {
        self.pending.len().min(0xff) as u16
    }
}
