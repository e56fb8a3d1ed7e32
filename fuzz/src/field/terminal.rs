//! The door's caller.

use aliro::command::ReaderStatus;
use aliro::reader::{Authenticated, OutOfTurn, Phase, TerminalEvent};

use super::Field;
use crate::exchange::{are_ours, exchange};
use crate::setup::{CREDENTIAL, READER};

pub(super) const REQUEST: &[u8] = b"request";

type Events = Result<Vec<TerminalEvent>, OutOfTurn>;

impl Field {
    pub(super) fn on_terminal(&mut self, events: Vec<TerminalEvent>) {
        for event in events {
            let events = match event {
                TerminalEvent::Send(command) => {
                    assert!(self.command.replace(command).is_none(), "one at a time");
                    continue;
                }
                TerminalEvent::Sign(message) => {
                    self.terminal_signed = true;
                    self.terminal.signed(READER.sign(&message))
                }
                TerminalEvent::Authenticated(who) => {
                    self.assert_card_is(&who);
                    self.terminal.remember();
                    match who.phase {
                        Phase::Fast if self.setup.insists => self.terminal.prove(),
                        Phase::Standard if self.setup.documents => self.ask(),
                        _ => self.exchange(),
                    }
                }
                TerminalEvent::Documents(documents) => {
                    self.given = self.given.checked_sub(1).expect("given, then had");
                    assert_eq!(documents, super::card::DOCUMENTS);
                    self.exchange()
                }
                TerminalEvent::Exchanged(read) => {
                    assert!(read.iter().all(|piece| are_ours(piece)));
                    self.exchange()
                }
                TerminalEvent::Finished => {
                    assert!(self.decided.is_empty(), "the phone has heard how it ended");
                    self.finished = true;
                    continue;
                }
                TerminalEvent::Failed(_) => {
                    self.terminal_failed = true;
                    continue;
                }
            };
            self.on_terminal(events.expect("it was asked for"));
        }
    }

    fn assert_card_is(&self, who: &Authenticated) {
        assert_eq!(who.credential, CREDENTIAL.public());
        let disclosed = self.setup.disclosure();
        assert_eq!(who.signaling, disclosed.signaling);
        assert_eq!(who.access_signed, disclosed.access_signed);
        if who.phase == Phase::Standard {
            assert!(self.card_signed, "known by a signature that was not given");
        }
    }

    fn ask(&mut self) -> Events {
        self.asked += 1;
        self.terminal.request_documents(REQUEST)
    }

    /// Writes and reads, notifies, and ends.
    fn exchange(&mut self) -> Events {
        self.exchanges = self.exchanges.saturating_sub(1);
        match self.exchanges {
            1 => {
                self.notified += 1;
                self.terminal.exchange(&exchange())
            }
            _ => {
                self.decided.push_back(ReaderStatus::UNSECURED);
                self.terminal.finish(ReaderStatus::UNSECURED)
            }
        }
    }
}
