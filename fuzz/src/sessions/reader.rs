//! The door's caller.

use aliro::command::ReaderStatus;
use aliro::message::{ErrorCode, OperationSource, ReaderState, Reporting};
use aliro::reader::{Authenticated, Event, OutOfTurn, Phase};

use super::{Said, Sessions};
use crate::exchange::{are_ours, exchange};
use crate::setup::{CREDENTIAL, READER};

const REQUEST: &[u8] = b"request";
const STATE: ReaderState = ReaderState::Secured;
const REPORTING: Reporting = Reporting::ThisDevice;

type Events = Result<Vec<Event>, OutOfTurn>;

impl Sessions {
    /// Puts what is sent on the wire, and the rest on the caller's desk.
    pub(super) fn on_reader(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Send(message) => {
                    self.sent.push(message.clone());
                    self.to_device.push_back(message);
                }
                event => {
                    self.heard_by_reader(&event);
                    self.reader_due.push_back(event);
                }
            }
        }
    }

    fn heard_by_reader(&mut self, event: &Event) {
        match event {
            Event::Authenticated(who) => self.assert_device_is(who),
            Event::Documents(documents) => {
                let heard = Said::Documents(documents.clone());
                self.by_device.commands.hear(heard);
            }
            Event::RkeRequest { action } => {
                self.by_device.messages.hear(Said::Wanted(*action));
                self.opened += 1;
            }
            Event::ThirdParty(payload) => {
                let heard = Said::ThirdParty(payload.clone());
                self.by_device.messages.hear(heard);
            }
            Event::Exchanged(read) => assert!(read.iter().all(|piece| are_ours(piece))),
            // Which it is not yet when the caller wants it so: a ranging key may come before.
            Event::Completed => {
                let said = Said::Completed(STATE, REPORTING);
                self.by_reader.messages.say(said);
            }
            Event::Failed(_) => self.failed = true,
            Event::Sign(_) | Event::Send(_) | Event::Closed => {}
        }
    }

    fn assert_device_is(&self, who: &Authenticated) {
        let disclosed = self.setup.disclosure();
        assert_eq!(who.credential, CREDENTIAL.public());
        assert_eq!(who.signaling, disclosed.signaling);
        assert_eq!(who.access_signed, disclosed.access_signed);
        if who.phase == Phase::Standard {
            assert!(
                self.device_signed,
                "known by a signature that was not given"
            );
        }
    }

    pub(super) fn answer_reader(&mut self, event: Event) {
        let events = match event {
            Event::Sign(message) => {
                self.reader_signed = true;
                self.reader.signed(READER.sign(&message))
            }
            Event::Authenticated(who) => match who.phase {
                Phase::Fast if self.setup.insists => self.prove(),
                Phase::Standard if self.setup.documents => self.ask(),
                _ => self.settle(),
            },
            Event::Documents(_) | Event::Exchanged(_) => self.settle(),
            Event::RkeRequest { .. } => self.report_move(),
            _ => return,
        };
        // A caller that comes late finds a session that has ended.
        self.on_reader(events.unwrap_or_default());
    }

    pub(super) fn call_reader(&mut self, what: u8) {
        let events = match what % 9 {
            0 => self.reader.busy(),
            1 => self.tell_device(),
            2 => self.report_move(),
            3 => self.reader.refuse(ReaderStatus::NOT_TRUSTED),
            4 => self.prove(),
            5 => self.ask(),
            6 => self.complete(),
            7 => self.exchange(),
            _ => Ok(self.reader.fail(ErrorCode::ResourceUnavailable)),
        };
        self.on_reader(events.unwrap_or_default());
    }

    fn settle(&mut self) -> Events {
        match self.setup.exchanges && !self.exchanged {
            true => self.exchange(),
            false => self.complete(),
        }
    }

    fn exchange(&mut self) -> Events {
        self.exchanged = true;
        let events = self.reader.exchange(&exchange())?;
        self.by_reader.commands.say(Said::Notice);
        Ok(events)
    }

    fn ask(&mut self) -> Events {
        let events = self.reader.request_documents(REQUEST)?;
        self.by_reader.commands.say(Said::Asked(REQUEST.to_vec()));
        Ok(events)
    }

    fn complete(&mut self) -> Events {
        self.reader.complete(STATE, REPORTING)
    }

    fn report_move(&mut self) -> Events {
        let (source, state) = (OperationSource::ThisDeviceRke, ReaderState::Unsecured);
        let events = self.reader.send_status_changed(source, state)?;
        self.by_reader.messages.say(Said::Moved(source, state));
        Ok(events)
    }

    fn prove(&mut self) -> Events {
        let events = self.reader.prove()?;
        self.by_reader.messages.end_keys();
        self.by_device.messages.end_keys();
        Ok(events)
    }

    fn tell_device(&mut self) -> Events {
        let payload = vec![b'r'; self.sent.len()];
        let events = self.reader.send_third_party(&payload)?;
        self.by_reader.messages.say(Said::ThirdParty(payload));
        Ok(events)
    }
}
