//! A phone and a door over messages, each with a caller that behaves, and what is on its way
//! between them. What one side hears from the other within the protection must have been said
//! there, in that order and once.

mod device;
mod reader;

use std::collections::VecDeque;
use std::sync::Arc;

use aliro::mailbox::Mailboxes;
use aliro::message::{Action, Flow, OperationSource, ReaderState, Reporting};

use crate::Setup;
use crate::exchange::Mailbox;

/// What one side says through the protection, and the other hears.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    ThirdParty(Vec<u8>),
    Completed(ReaderState, Reporting),
    Wanted(Action),
    Moved(OperationSource, ReaderState),
    Asked(Vec<u8>),
    Documents(Vec<u8>),
    Notice,
}

/// What was said and not heard yet, and how much of it under keys that have ended since.
#[derive(Default)]
struct Unheard {
    said: VecDeque<Said>,
    under_ended_keys: usize,
}

impl Unheard {
    fn say(&mut self, said: Said) {
        self.said.push_back(said);
    }

    fn hear(&mut self, heard: Said) {
        // The next keys count from the start: what got lost under the last ones is not noticed.
        while self.under_ended_keys > 0 && self.said.front() != Some(&heard) {
            self.said.pop_front();
            self.under_ended_keys -= 1;
        }
        self.under_ended_keys = self.under_ended_keys.saturating_sub(1);
        assert_eq!(
            Some(heard),
            self.said.pop_front(),
            "heard, then what was said"
        );
    }

    fn end_keys(&mut self) {
        self.under_ended_keys = self.said.len();
    }
}

/// Messages and commands have a channel each, so that the one may overtake the other.
#[derive(Default)]
struct Channels {
    messages: Unheard,
    commands: Unheard,
}

/// One of the two ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Reader,
    Device,
}

/// Both ends, their callers, and what is on its way.
pub struct Sessions {
    setup: Setup,
    reader: aliro::reader::Session,
    device: aliro::device::Session,
    /// Events that a caller has not answered yet.
    reader_due: VecDeque<aliro::reader::Event>,
    device_due: VecDeque<aliro::device::Event>,
    to_reader: VecDeque<Vec<u8>>,
    to_device: VecDeque<Vec<u8>>,
    /// All that was ever sent.
    sent: Vec<Vec<u8>>,
    by_reader: Channels,
    by_device: Channels,
    reader_signed: bool,
    device_signed: bool,
    mailbox: Arc<Mailbox>,
    exchanged: bool,
    opened: usize,
    completed: bool,
    failed: bool,
}

impl Sessions {
    /// Both ends, the device's first message on its way.
    pub fn start(setup: Setup) -> Self {
        let (reader, device) = setup.sessions();
        let mailbox = Mailbox::empty();
        let device = device
            .with_mailboxes(Arc::clone(&mailbox) as Arc<dyn Mailboxes>)
            .with_notifications();
        let flow = setup.flow;
        let mut sessions = Self {
            setup,
            reader,
            device,
            reader_due: VecDeque::new(),
            device_due: VecDeque::new(),
            to_reader: VecDeque::new(),
            to_device: VecDeque::new(),
            sent: Vec::new(),
            by_reader: Channels::default(),
            by_device: Channels::default(),
            reader_signed: false,
            device_signed: false,
            mailbox,
            exchanged: false,
            opened: 0,
            completed: false,
            failed: false,
        };
        let start = sessions.device.start(flow).expect("it has not begun");
        sessions.on_device(start);
        sessions
    }

    /// The next thing that happens when nobody interferes; `false` when nothing is left to do.
    pub fn step(&mut self) -> bool {
        if let Some(event) = self.reader_due.pop_front() {
            self.answer_reader(event);
        } else if let Some(event) = self.device_due.pop_front() {
            self.answer_device(event);
        } else if let Some(message) = self.to_reader.pop_front() {
            self.deliver(End::Reader, &message);
        } else if let Some(message) = self.to_device.pop_front() {
            self.deliver(End::Device, &message);
        } else {
            return false;
        }
        true
    }

    /// At most so many steps.
    pub fn steps(&mut self, most: usize) {
        let _ = (0..most).all(|_| self.step());
    }

    /// Lets a message arrive, whoever made it.
    pub fn deliver(&mut self, to: End, message: &[u8]) {
        match to {
            End::Reader => {
                let events = self.reader.on_message(message);
                self.on_reader(events);
            }
            End::Device => {
                let events = self.device.on_message(message);
                self.on_device(events);
            }
        }
    }

    /// What is on its way to an end, the next first.
    pub fn way(&mut self, to: End) -> &mut VecDeque<Vec<u8>> {
        match to {
            End::Reader => &mut self.to_reader,
            End::Device => &mut self.to_device,
        }
    }

    /// All that was ever sent, by either end.
    pub fn sent(&self) -> &[Vec<u8>] {
        &self.sent
    }

    /// Drops what a caller was asked for.
    pub fn forget_due(&mut self, end: End) {
        match end {
            End::Reader => drop(self.reader_due.pop_front()),
            End::Device => drop(self.device_due.pop_front()),
        }
    }

    /// An end waited in vain.
    pub fn time_out(&mut self, end: End) {
        match end {
            End::Reader => {
                let events = self.reader.on_timeout();
                self.on_reader(events);
            }
            End::Device => {
                let events = self.device.on_timeout();
                self.on_device(events);
            }
        }
    }

    /// A caller does something that nobody asked for.
    pub fn call(&mut self, end: End, what: u8) {
        match end {
            End::Reader => self.call_reader(what),
            End::Device => self.call_device(what),
        }
    }

    /// Only the door has written into the phone's mailbox.
    pub fn assert_mailbox(&self) {
        self.mailbox.assert_ours();
    }

    /// What is true at the end when nobody interfered.
    pub fn assert_done(&self) {
        assert!(!self.failed, "it failed, and nobody interfered");
        assert!(self.completed && self.device_signed != self.setup.stays_fast());
        let opens = self.setup.flow == Flow::RemoteKeyless;
        assert_eq!(self.opened, usize::from(opens), "how often it opened");
        for said in [&self.by_reader, &self.by_device] {
            assert!(said.messages.said.is_empty() && said.commands.said.is_empty());
        }
    }
}
