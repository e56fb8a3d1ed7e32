//! The decision, as a pure function of what the door knows: no store, no clock, no network.

mod code;
mod grant;

use latchkey_protocol::clock::ClockReading;
use latchkey_protocol::ids::{DoorNumber, PropertyId};
use latchkey_protocol::revocation::RevocationView;
use latchkey_protocol::rules::{
    AccessRules, Calendar, Clock, Decision, Facts, Reasons, Uses, decide,
};

pub(crate) use code::{CodeFacts, decide_code, is_signed};
pub(crate) use grant::{GrantFacts, Granted, decide_grant, reason_of, verify};

use crate::door::instant;

/// What a door knows at the moment of a decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World<'a> {
    /// Its property.
    pub(crate) property: PropertyId,
    /// Its number there.
    pub(crate) number: DoorNumber,
    /// What its clock reads.
    pub(crate) reading: ClockReading,
    /// The property's calendar.
    pub(crate) calendar: Calendar<'a>,
    /// Whether that calendar was ever told: without it no wall-clock rule can be read.
    pub(crate) has_calendar: bool,
    /// What is withdrawn.
    pub(crate) revoked: &'a RevocationView,
}

impl World<'_> {
    /// The rules' answer, given all that speaks against it beside them.
    fn decide(&self, rules: &AccessRules, against: Reasons) -> Decision {
        let clock = if self.reading.unsure || !self.has_calendar {
            Clock::Unsure
        } else {
            Clock::Sure(instant(&self.reading))
        };
        decide(
            rules,
            &self.calendar,
            &Facts {
                clock,
                against,
                // No door holds any uses yet: a key that has a number of them opens nowhere.
                uses: Uses {
                    spent: 0,
                    held_here: Some(0),
                },
            },
        )
    }
}
