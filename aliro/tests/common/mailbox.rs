//! One mailbox, for whoever asks.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]

use std::sync::{Arc, Mutex};

use aliro::command::{ExchangeCommand, Signaling};
use aliro::crypto::PublicKey;
use aliro::mailbox::{Content, Mailboxes, NotStored, Operation, Request, Session};

use super::Installation;
use super::tool::ToolReader;

pub(crate) struct OneMailbox(pub(crate) Mutex<Content>);

impl Mailboxes for OneMailbox {
    fn load(&self, _: &PublicKey) -> Option<Content> {
        Some(self.0.lock().unwrap().clone())
    }

    fn store(&self, _: &PublicKey, bytes: &[u8]) -> Result<(), NotStored> {
        self.0.lock().unwrap().bytes = bytes.to_vec();
        Ok(())
    }
}

pub(crate) fn mailbox() -> Arc<OneMailbox> {
    Arc::new(OneMailbox(Mutex::new(Content {
        bytes: (0..0x400).map(|at| at as u8).collect(),
        readable: true,
        writable: true,
    })))
}

/// A tool with a channel to a device with a mailbox.
pub(crate) fn with_mailbox<'a>(
    installation: &'a Installation,
    mailbox: &Arc<OneMailbox>,
) -> ToolReader<'a> {
    let card = installation.card(None).with_mailboxes(mailbox.clone());
    let mut tool = ToolReader::new(installation, card);
    tool.disclosure.signaling = Signaling::MAILBOX_READABLE | Signaling::MAILBOX_WRITABLE;
    let answer = tool.standard();
    assert_eq!(answer.signaling, Some(tool.disclosure.signaling));
    tool
}

pub(crate) fn request(session: Session, operations: Vec<Operation>) -> ExchangeCommand {
    ExchangeCommand::mailbox(Request {
        session,
        operations,
    })
}

pub(crate) fn read(offset: u16, length: u16) -> Operation {
    Operation::Read { offset, length }
}
