//! The door's side of a lease.

use super::{Ceiling, KEPT_AFTER_END, LeaseNumber, LeaseReport};
use crate::ids::BudgetId;

/// What a door holds of one budget. Apart from its log, and kept until the key is long over: whoever made it forget
/// could spend again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Held {
    /// The last order that was obeyed.
    pub number: LeaseNumber,
    /// All uses ever spent here may come to this. Never below [`Self::spent`].
    pub ceiling: u32,
    /// All uses ever spent here.
    pub spent: u32,
    /// What the portal has last said that it knows to be spent here.
    pub known: u32,
    /// When the key is over, in seconds since 1970; none when it has no end.
    pub until: Option<i64>,
}

/// *No uses held here.*
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no uses of this key are held here")]
pub struct NoUsesHeld;

impl Held {
    /// How many uses this door may still give.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.ceiling.saturating_sub(self.spent)
    }

    /// Obeys an order, unless it is not above the last one: false then. Either way the portal wants to be told again
    /// what is held.
    pub fn obey(&mut self, order: &Ceiling) -> bool {
        if order.number <= self.number {
            return false;
        }
        let spent = self.spent.max(order.spent);
        *self = Self {
            number: order.number,
            ceiling: order.ceiling.max(spent),
            spent,
            known: order.spent,
            until: order.until,
        };
        true
    }

    /// Whether nothing more can come of it at `now` (seconds since 1970): its key has long been over, and whatever was
    /// spent here the portal knows, and would say again.
    #[must_use]
    pub fn may_be_forgotten(&self, now: i64) -> bool {
        let over = self
            .until
            .is_some_and(|until| until.saturating_add(KEPT_AFTER_END) < now);
        over && self.known == self.spent
    }

    /// Spends one use. To be stored in one commit with the event that tells of it, before the lock moves.
    ///
    /// # Errors
    /// [`NoUsesHeld`], and nothing has changed.
    pub fn spend(&mut self) -> Result<(), NoUsesHeld> {
        if self.left() == 0 {
            return Err(NoUsesHeld);
        }
        self.spent += 1;
        Ok(())
    }

    /// What the door signs for.
    #[must_use]
    pub const fn report(&self, budget: BudgetId) -> LeaseReport {
        LeaseReport {
            budget,
            number: self.number,
            ceiling: self.ceiling,
            spent: self.spent,
        }
    }
}
