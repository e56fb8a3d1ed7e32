//! The device: every message that is no command, in every state.

use aliro::device::{Event, Failure};
use aliro::message::{ErrorCode, Protocol};

use super::common::tool::ToolReader;
use super::device::{STATES, State, Visited};

/// A message, as valid as it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Busy,
    GeneralError,
    RangingEvent,
    StatusChanged,
    AccessCompleted,
    RkeRequest,
    Initiate,
    UnknownNotification,
    Response,
    RangingService,
    Supplementary,
    ThirdParty,
}

const MESSAGES: [Sent; 12] = [
    Sent::Busy,
    Sent::GeneralError,
    Sent::RangingEvent,
    Sent::StatusChanged,
    Sent::AccessCompleted,
    Sent::RkeRequest,
    Sent::Initiate,
    Sent::UnknownNotification,
    Sent::Response,
    Sent::RangingService,
    Sent::Supplementary,
    Sent::ThirdParty,
];

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Taken, and nothing ends.
    Taken,
    /// The end that the reader wanted.
    Ended,
    /// Refused with *general error*.
    Refused(Failure),
}

const WRONG: Outcome = Outcome::Refused(Failure::Malformed);

fn expected(state: State, completed: bool, sent: Sent) -> Outcome {
    // What counts is sealed, and keys there are once the reader has opened the
    // cryptogram or AUTH1 is answered.
    let keys = matches!(
        state,
        State::Auth0Fast
            | State::FastExchange
            | State::Auth1
            | State::Exchange
            | State::Envelope
            | State::StepUpExchange
    );
    match sent {
        Sent::Busy => Outcome::Taken,
        Sent::GeneralError => Outcome::Ended,
        Sent::RangingEvent | Sent::RangingService => Outcome::Refused(Failure::Ranging),
        Sent::StatusChanged | Sent::ThirdParty if keys => Outcome::Taken,
        Sent::AccessCompleted if keys && !completed => Outcome::Taken,
        _ => WRONG,
    }
}

fn send(tool: &mut ToolReader<'_>, sent: Sent) -> Vec<Event> {
    let (protocol, id, payload) = match sent {
        Sent::Busy => (Protocol::Notification, 0, vec![0, 0]),
        Sent::GeneralError => (Protocol::Notification, 0, vec![1, 1, 3]),
        Sent::RangingEvent => (Protocol::Notification, 1, vec![0, 0]),
        Sent::StatusChanged => (Protocol::Notification, 2, vec![0, 2, 6, 1]),
        Sent::AccessCompleted => (Protocol::Notification, 3, vec![0, 2, 0x40, 0]),
        Sent::RkeRequest => (Protocol::Notification, 4, vec![0, 1, 1]),
        Sent::Initiate => (Protocol::Notification, 6, vec![0, 2, 0xa5, 0]),
        Sent::UnknownNotification => (Protocol::Notification, 9, vec![0, 0]),
        Sent::Response => return tool.raw(&[0, 1, 0, 2, 0x90, 0]),
        Sent::RangingService => (Protocol::Ranging, 0, vec![0, 0]),
        Sent::Supplementary => (Protocol::Supplementary, 0, vec![0, 0]),
        Sent::ThirdParty => (Protocol::ThirdParty, 0, b"hello".to_vec()),
    };
    tool.message(protocol, id, &payload)
}

fn outcome(events: &[Event]) -> Outcome {
    let failure = events.iter().find_map(|event| match event {
        Event::Failed(failure) => Some(*failure),
        _ => None,
    });
    let told = events.iter().any(|event| matches!(event, Event::Send(_)));
    match failure {
        None => {
            assert!(!told, "{events:?}");
            Outcome::Taken
        }
        Some(Failure::ReaderError(code)) => {
            assert_eq!(code, ErrorCode::RangingKeyUnavailable);
            assert!(!told, "an end is not answered: {events:?}");
            Outcome::Ended
        }
        Some(failure) => {
            assert!(told, "the reader is told: {events:?}");
            Outcome::Refused(failure)
        }
    }
}

#[test]
fn every_message_in_every_state() {
    let visited = Visited::over_messages();
    for state in STATES {
        if matches!(
            state,
            State::Unselected | State::StepUpSelected | State::Complete | State::Failed
        ) {
            continue;
        }
        for sent in MESSAGES {
            let mut tool = visited.tool_in(state);
            let said = send(&mut tool, sent);
            assert_eq!(
                outcome(&said),
                expected(state, false, sent),
                "{sent:?} in {state:?}"
            );
        }
    }
}

#[test]
fn every_message_after_completed_and_after_the_end() {
    let visited = Visited::over_messages();
    for sent in MESSAGES {
        let mut tool = visited.tool_in(State::Auth1);
        assert_eq!(
            outcome(&send(&mut tool, Sent::AccessCompleted)),
            Outcome::Taken
        );
        let said = send(&mut tool, sent);
        assert_eq!(
            outcome(&said),
            expected(State::Auth1, true, sent),
            "{sent:?}"
        );

        let mut tool = visited.tool_in(State::Auth1);
        assert_eq!(
            outcome(&send(&mut tool, Sent::GeneralError)),
            Outcome::Ended
        );
        assert_eq!(send(&mut tool, sent), [], "{sent:?} after the end");
    }
    // No command has a place after it.
    for ins in [0x80, 0x81, 0xd1, 0xc9, 0xc3, 0x3c, 0xa4] {
        let mut tool = visited.tool_in(State::Auth1);
        send(&mut tool, Sent::AccessCompleted);
        let said = tool.raw(&[0, 0, 0, 4, 0x80, ins, 0, 0]);
        assert_eq!(outcome(&said), WRONG, "{ins:02x}");
    }
}

#[test]
fn before_the_device_has_begun_nothing_is_taken_but_busy_and_an_end() {
    let visited = Visited::over_messages();
    for sent in MESSAGES {
        let said = send(&mut visited.tool(), sent);
        assert_eq!(
            outcome(&said),
            expected(State::Unselected, false, sent),
            "{sent:?}"
        );
    }
}
