//! The decision, as a pure function of what the door knows: no store, no clock, no network.

mod code;
mod grant;

use std::collections::BTreeMap;

use latchkey_protocol::clock::ClockReading;
use latchkey_protocol::ids::{BudgetId, DoorNumber, PropertyId};
use latchkey_protocol::revocation::RevocationView;
use latchkey_protocol::rules::{
    AccessRules, Calendar, Clock, Decision, Facts, Reason, Reasons, Uses, decide,
};
use latchkey_protocol::uses::Held;

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
    /// What is held of keys with a number of uses.
    pub(crate) held: &'a BTreeMap<BudgetId, Held>,
    /// What is known of this gesture's uses beside that.
    pub(crate) turn: UsesOfTurn,
}

/// What is known of one gesture and its use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UsesOfTurn {
    /// It has spent its use before: the lock did not move, or may not have.
    pub(crate) paid: bool,
    /// Of this budget the portal has said that all is spent.
    pub(crate) used_up: Option<BudgetId>,
}

/// A decision, and the uses that it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Yes or no.
    pub(crate) decision: Decision,
    /// What a yes spends a use of.
    pub(crate) spends: Option<BudgetId>,
    /// What a no lacks a use of, and nothing else.
    pub(crate) lacks: Option<BudgetId>,
}

impl Counted {
    /// A no that no use would change.
    pub(crate) fn denied(reason: Reason) -> Self {
        Self {
            decision: Decision::Denied { reason, next: None },
            spends: None,
            lacks: None,
        }
    }

    /// Of two ways to open, the one that serves better; of two that open, the one that costs nothing. A use that one of
    /// them lacks stays named.
    pub(crate) fn or(self, other: Self) -> Self {
        let (one, two) = (self.decision.is_allowed(), other.decision.is_allowed());
        let better = if one && two && self.spends.is_some() != other.spends.is_some() {
            if self.spends.is_none() { self } else { other }
        } else if self.decision.or(other.decision) == self.decision {
            self
        } else {
            other
        };
        Self {
            lacks: if one || two {
                None
            } else {
                self.lacks.or(other.lacks)
            },
            ..better
        }
    }
}

impl World<'_> {
    /// The rules' answer, given what counts their uses and all that speaks against it beside them.
    fn decide(&self, rules: &AccessRules, budget: Option<BudgetId>, against: Reasons) -> Counted {
        let decision = self.decide_with(rules, against, self.uses(rules, budget));
        let has_enough = || self.decide_with(rules, against, Uses::default());
        Counted {
            decision,
            spends: budget.filter(|_| rules.max_uses().is_some() && !self.turn.paid),
            lacks: budget.filter(|_| {
                decision.reason() == Some(Reason::NoUsesHeldHere) && has_enough().is_allowed()
            }),
        }
    }

    fn uses(&self, rules: &AccessRules, budget: Option<BudgetId>) -> Uses {
        if rules.max_uses().is_none() || self.turn.paid {
            return Uses::default();
        }
        let held = budget.and_then(|budget| self.held.get(&budget));
        let left = held.map_or(0, Held::left);
        // How many there are is the portal's to count: what the key says was so when it was signed.
        let all_are_spent = left == 0 && budget.is_some() && budget == self.turn.used_up;
        Uses {
            spent: if all_are_spent { u32::MAX } else { 0 },
            held_here: Some(left),
        }
    }

    fn decide_with(&self, rules: &AccessRules, against: Reasons, uses: Uses) -> Decision {
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
                uses,
            },
        )
    }
}
