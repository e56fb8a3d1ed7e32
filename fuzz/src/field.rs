//! A door's terminal and a phone as a card in its field, each with a caller that behaves: commands
//! and answers, one after the other, in as many transactions as there are terminals.

mod card;
mod terminal;

use std::collections::VecDeque;
use std::sync::Arc;

use aliro::command::ReaderStatus;
use aliro::device::Card;
use aliro::identifier::Interface;
use aliro::mailbox::Mailboxes;
use aliro::reader::{self, Terminal};

use crate::exchange::Mailbox;
use crate::setup::{DEVICE_EPHEMERALS, READER_EPHEMERALS};
use crate::{Dealt, Setup};

/// Both ends and their callers.
pub struct Field {
    setup: Setup,
    entropy: Dealt,
    memory: Arc<reader::BoundedMemory>,
    terminal: Terminal,
    card: Card,
    mailbox: Arc<Mailbox>,
    /// What goes to the card next.
    command: Option<Vec<u8>>,
    /// All commands and answers that there were.
    sent: Vec<Vec<u8>>,
    /// What this terminal has still to do before it ends.
    exchanges: u8,
    terminal_signed: bool,
    card_signed: bool,
    /// What the door has asked, told and decided, and the phone has not heard.
    asked: usize,
    given: usize,
    notified: usize,
    decided: VecDeque<ReaderStatus>,
    finished: bool,
    terminal_failed: bool,
    card_failed: bool,
}

impl Field {
    /// A card in the field of a terminal that has begun.
    pub fn start(setup: Setup) -> Self {
        let mailbox = Mailbox::empty();
        let mut config = setup.device_config();
        config.interface = Interface::NFC;
        let entropy = Arc::new(Dealt::from(DEVICE_EPHEMERALS));
        let card = Card::new(config, Some(setup.device_memory()), entropy)
            .with_mailboxes(Arc::clone(&mailbox) as Arc<dyn Mailboxes>)
            .with_notifications();
        let entropy = Dealt::from(READER_EPHEMERALS);
        let memory = setup.reader_memory();
        let mut field = Self {
            terminal: terminal(&setup, &memory, &entropy),
            setup,
            entropy,
            memory,
            card,
            mailbox,
            command: None,
            sent: Vec::new(),
            exchanges: 0,
            terminal_signed: false,
            card_signed: false,
            asked: 0,
            given: 0,
            notified: 0,
            decided: VecDeque::new(),
            finished: false,
            terminal_failed: false,
            card_failed: false,
        };
        field.begin();
        field
    }

    /// The field is lost, and the next terminal begins.
    pub fn again(&mut self) {
        self.card.field_lost();
        self.command = None;
        self.terminal = terminal(&self.setup, &self.memory, &self.entropy);
        (self.terminal_signed, self.card_signed) = (false, false);
        (self.asked, self.given, self.notified) = (0, 0, 0);
        self.decided.clear();
        self.finished = false;
        (self.terminal_failed, self.card_failed) = (false, false);
        self.begin();
    }

    fn begin(&mut self) {
        self.exchanges = 2;
        let start = self.terminal.start().expect("it has not begun");
        self.on_terminal(start);
    }

    /// A command that is due, and its answer, arrive; `false` when none is due.
    pub fn step(&mut self) -> bool {
        let Some(command) = self.command.take() else {
            return false;
        };
        let answer = self.to_card(&command);
        self.to_terminal(&answer);
        true
    }

    /// At most so many steps.
    pub fn steps(&mut self, most: usize) {
        let _ = (0..most).all(|_| self.step());
    }

    /// The command that is due, which then no longer is.
    pub fn take_command(&mut self) -> Option<Vec<u8>> {
        self.command.take()
    }

    /// Lets a command arrive at the card, whoever made it: exactly one answer comes.
    pub fn to_card(&mut self, command: &[u8]) -> Vec<u8> {
        self.sent.push(command.to_vec());
        let events = self.card.on_apdu(command);
        let answer = self.on_card(events).expect("every command is answered");
        self.sent.push(answer.clone());
        answer
    }

    /// Lets an answer arrive at the terminal, whoever made it.
    pub fn to_terminal(&mut self, answer: &[u8]) {
        let events = self.terminal.on_apdu(answer);
        self.on_terminal(events);
    }

    /// All commands and answers that there were.
    pub fn sent(&self) -> &[Vec<u8>] {
        &self.sent
    }

    /// Only the door has written into the mailbox.
    pub fn assert_mailbox(&self) {
        self.mailbox.assert_ours();
    }

    /// What is true at the end of a transaction when nobody interfered.
    pub fn assert_done(&self) {
        let failed = self.terminal_failed || self.card_failed;
        assert!(!failed, "it failed, and nobody interfered");
        assert!(self.finished && self.decided.is_empty());
        assert_eq!((self.asked, self.given, self.notified), (0, 0, 0));
    }
}

fn terminal(setup: &Setup, memory: &Arc<reader::BoundedMemory>, entropy: &Dealt) -> Terminal {
    let mut config = setup.reader_config();
    config.interface = Interface::NFC;
    let memory = Arc::clone(memory) as Arc<dyn reader::Memory>;
    Terminal::new(config, Some(memory), entropy).expect("dealt")
}
