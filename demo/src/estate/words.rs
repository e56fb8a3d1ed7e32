//! What controllers report, in the words of the page.

use std::sync::Weak;

use latchkey_protocol::api::events::Means;
use latchkey_protocol::doorlink::Subject;
use latchkey_protocol::rules::Reason;
use tokio::sync::mpsc;

use super::Estate;
use super::hub::{Happening, Report};
use crate::board;

/// Keeps the board in step with what doors report.
pub(crate) async fn tell_board(estate: Weak<Estate>, mut heard: mpsc::UnboundedReceiver<Report>) {
    while let Some(report) = heard.recv().await {
        let Some(estate) = estate.upgrade() else {
            return;
        };
        match &report {
            Report::Opened(happening) => show(&estate, happening, None),
            Report::Denied(happening) => show(&estate, happening, happening.reason),
            Report::Portal { door, connected } => estate.board.connected(*door, *connected),
            Report::Other => {}
        }
        // Nobody may be listening; the board has it all the same.
        let _ = estate.reports.send(report);
    }
}

fn show(estate: &Estate, happening: &Happening, denied: Option<Reason>) {
    let who = match (&happening.subject, happening.means) {
        (Subject::Pass { .. }, _) => "A code".to_owned(),
        (Subject::Stranger, Means::Code) => "A stranger’s code".to_owned(),
        _ => estate
            .visitor(happening.door)
            .unwrap_or_else(|| "A phone".to_owned()),
    };
    let way = if happening.means == Means::Relay {
        " over the network"
    } else {
        ""
    };
    let door = estate.door_name(happening.door);
    let (text, short) = match denied {
        None => (format!("{who} opened {door}{way}"), who),
        Some(reason) => {
            let why = reason_in_words(reason);
            (
                format!("{who} refused at {door}: {why}"),
                format!("{who}: {why}"),
            )
        }
    };
    estate.board.happened(board::Happening {
        at: happening.at,
        door: Some(happening.door),
        opened: Some(denied.is_none()),
        text,
        short: Some(short),
    });
}

/// A reason, as one would say it at a door.
pub(crate) fn reason_in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::CodeTooOld => "the code is too old",
        Reason::CodeUsedBefore => "the code was used before",
        Reason::ClockUnsure => "the door does not know the time for sure",
        Reason::NotYetAtThisDoor => "the door has not heard of this pass yet",
        Reason::WrongCode => "the code is wrong",
        Reason::Unknown => "nobody this door knows",
        Reason::WrongDoor => "the key is for other doors",
        Reason::Revoked => "the key was withdrawn",
        Reason::Suspended => "the key is paused",
        Reason::Lockdown => "the property is locked down",
        Reason::Expired => "the key has ended",
        Reason::UsedUp => "the key is used up",
        Reason::NoUsesHeldHere => "this door holds no uses of the key",
        Reason::TooEarly => "it is too early",
        Reason::Holiday => "closed for the holiday",
        Reason::WrongDay => "not on this day",
        Reason::OutsideHours => "outside the hours",
        Reason::GrantTooOld => "the phone has to go online once",
        Reason::KeyChanged => "the key was changed; the phone has to sync",
        Reason::DoorOffline => "the door cannot be reached",
    }
}
