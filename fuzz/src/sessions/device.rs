//! The phone's caller.

use aliro::device::{Event, OutOfTurn};
use aliro::message::{Action, ErrorCode, Flow};

use super::{Said, Sessions};
use crate::exchange::NOTICE;
use crate::setup::{CREDENTIAL, READER, READER_NAME};

const DOCUMENTS: [u8; 700] = [7; 700];

type Events = Result<Vec<Event>, OutOfTurn>;

impl Sessions {
    /// Puts what is sent on the wire, and the rest on the caller's desk.
    pub(super) fn on_device(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Send(message) => {
                    self.sent.push(message.clone());
                    self.to_reader.push_back(message);
                }
                event => {
                    self.heard_by_device(&event);
                    self.device_due.push_back(event);
                }
            }
        }
    }

    fn heard_by_device(&mut self, event: &Event) {
        match event {
            Event::ReaderAuthenticated(reader) => {
                assert!(
                    self.reader_signed,
                    "proved by a signature that was not given"
                );
                assert_eq!(reader.reader_key, READER.public());
                assert_eq!(reader.identifier, READER_NAME);
                assert_eq!(reader.credential, CREDENTIAL.public());
            }
            Event::DocumentsRequested(request) => {
                let heard = Said::Asked(request.clone());
                self.by_reader.commands.hear(heard);
            }
            Event::AccessCompleted { reporting, state } => {
                let heard = Said::Completed(*state, *reporting);
                self.by_reader.messages.hear(heard);
                self.completed = true;
            }
            Event::StatusChanged { source, state } => {
                self.by_reader.messages.hear(Said::Moved(*source, *state));
            }
            Event::ThirdParty(payload) => {
                let heard = Said::ThirdParty(payload.clone());
                self.by_reader.messages.hear(heard);
            }
            Event::Notified(what) => {
                assert_eq!(what, NOTICE);
                self.by_reader.commands.hear(Said::Notice);
            }
            Event::Failed(_) => self.failed = true,
            Event::Sign { .. } | Event::Busy | Event::Send(_) | Event::Closed => {}
        }
    }

    pub(super) fn answer_device(&mut self, event: Event) {
        let events = match event {
            Event::ReaderAuthenticated(_) => self.device.approve(self.setup.disclosure()),
            Event::Sign {
                credential,
                message,
            } => {
                assert_eq!(credential, CREDENTIAL.public());
                self.device_signed = true;
                self.device.signed(CREDENTIAL.sign(&message))
            }
            Event::DocumentsRequested(_) => self.give(),
            Event::AccessCompleted { .. } if self.setup.flow == Flow::RemoteKeyless => {
                let told = self.tell_reader();
                self.on_device(told.unwrap_or_default());
                self.want()
            }
            _ => return,
        };
        // A caller that comes late finds a session that has ended.
        self.on_device(events.unwrap_or_default());
    }

    pub(super) fn call_device(&mut self, what: u8) {
        let events = match what % 8 {
            0 => self.device.busy(),
            1 => self.tell_reader(),
            2 => self.device.approve(self.setup.disclosure()),
            3 => self.device.abort(),
            4 => self.give(),
            5 if self.opened == 0 => self.want(),
            6 => self.device.start(self.setup.flow),
            _ => Ok(self.device.fail(ErrorCode::Unknown)),
        };
        self.on_device(events.unwrap_or_default());
    }

    fn give(&mut self) -> Events {
        let events = self.device.documents(&DOCUMENTS)?;
        self.by_device
            .commands
            .say(Said::Documents(DOCUMENTS.to_vec()));
        Ok(events)
    }

    fn want(&mut self) -> Events {
        let events = self.device.rke_request(Action::Unsecure)?;
        self.by_device.messages.say(Said::Wanted(Action::Unsecure));
        Ok(events)
    }

    fn tell_reader(&mut self) -> Events {
        let payload = vec![b'd'; self.sent.len()];
        let events = self.device.send_third_party(&payload)?;
        self.by_device.messages.say(Said::ThirdParty(payload));
        Ok(events)
    }
}
