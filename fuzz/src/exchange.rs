//! What a door exchanges with a phone before it decides, and the phone's mailbox.

use std::sync::{Arc, Mutex};

use aliro::command::ExchangeCommand;
use aliro::crypto::PublicKey;
use aliro::mailbox::{Content, Mailboxes, NotStored, Operation, Request, Session};

/// What the door writes, where nothing was.
const WRITTEN: u8 = 0x5a;
const SIZE: usize = 64;

pub(crate) const NOTICE: &[u8] = b"notice";

/// Writes, reads and notifies.
pub(crate) fn exchange() -> ExchangeCommand {
    let operations = vec![
        Operation::Set {
            offset: 8,
            length: 16,
            value: WRITTEN,
        },
        Operation::Read {
            offset: 0,
            length: 32,
        },
    ];
    ExchangeCommand {
        notify: Some(NOTICE.to_vec()),
        ..ExchangeCommand::mailbox(Request {
            session: Session::Ends,
            operations,
        })
    }
}

/// Whether these are bytes that were there or that the door wrote.
pub(crate) fn are_ours(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(*byte, 0 | WRITTEN))
}

pub(crate) struct Mailbox(Mutex<Content>);

impl Mailbox {
    pub(crate) fn empty() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Content {
            bytes: vec![0; SIZE],
            readable: true,
            writable: true,
        })))
    }

    /// Only the door has written into it.
    pub(crate) fn assert_ours(&self) {
        let content = self.0.lock().expect("one thread");
        assert_eq!(content.bytes.len(), SIZE);
        assert!(are_ours(&content.bytes), "{:?}", content.bytes);
    }
}

impl Mailboxes for Mailbox {
    fn load(&self, _: &PublicKey) -> Option<Content> {
        Some(self.0.lock().expect("one thread").clone())
    }

    fn store(&self, _: &PublicKey, bytes: &[u8]) -> Result<(), NotStored> {
        self.0.lock().expect("one thread").bytes = bytes.to_vec();
        Ok(())
    }
}
