//! The phone's caller.

use aliro::device::CardEvent;

use super::Field;
use super::terminal::REQUEST;
use crate::exchange::NOTICE;
use crate::setup::{CREDENTIAL, READER, READER_NAME};

pub(super) const DOCUMENTS: [u8; 700] = [7; 700];

impl Field {
    /// The one answer that the events lead to, if they do.
    pub(super) fn on_card(&mut self, events: Vec<CardEvent>) -> Option<Vec<u8>> {
        let mut answer = None;
        for event in events {
            let events = match event {
                CardEvent::Send(apdu) => {
                    assert!(answer.replace(apdu).is_none(), "one answer to each command");
                    continue;
                }
                CardEvent::ReaderAuthenticated(reader) => {
                    assert!(
                        self.terminal_signed,
                        "proved by a signature that was not given"
                    );
                    assert_eq!(reader.reader_key, READER.public());
                    assert_eq!(reader.identifier, READER_NAME);
                    self.card.approve(self.setup.disclosure())
                }
                CardEvent::Sign {
                    credential,
                    message,
                } => {
                    assert_eq!(credential, CREDENTIAL.public());
                    self.card_signed = true;
                    self.card.signed(CREDENTIAL.sign(&message))
                }
                CardEvent::DocumentsRequested(request) => {
                    self.asked = self.asked.checked_sub(1).expect("asked, then heard");
                    assert_eq!(request, REQUEST);
                    self.given += 1;
                    self.card.documents(&DOCUMENTS)
                }
                CardEvent::Notified(what) => {
                    self.notified = self.notified.checked_sub(1).expect("told, then heard");
                    assert_eq!(what, NOTICE);
                    continue;
                }
                CardEvent::ReaderStatus(status) if status.is_success() => {
                    let decided = self.decided.pop_front();
                    assert_eq!(Some(status), decided, "heard, then what was decided");
                    continue;
                }
                CardEvent::ReaderStatus(_) => {
                    assert!(self.terminal_failed, "a failure that was not reported");
                    continue;
                }
                CardEvent::Failed(_) => {
                    self.card_failed = true;
                    continue;
                }
            };
            let more = self.on_card(events.expect("it was asked for"));
            assert!(
                answer.is_none() || more.is_none(),
                "one answer to each command"
            );
            answer = answer.or(more);
        }
        answer
    }
}
