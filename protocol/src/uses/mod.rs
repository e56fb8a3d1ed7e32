//! Keys with a number of uses: who may spend how many, where.
//!
//! A key's uses are counted over all its doors and holders, by its *budget*. A door spends only what it holds: a
//! *lease* of the budget, which is a numbered **ceiling** on all uses ever spent at that door. The portal keeps the
//! [`Ledger`], each door its [`Held`]. What stands always:
//!
//! ```text
//! budget = the sum of all ceilings + what is left
//! ```
//!
//! A ceiling is a total and never an increment, so an order that comes twice, late or not at all spends nothing twice.
//! Orders are numbered, and a door obeys only a later one than its last. The ledger counts a raised ceiling from the
//! moment when it is raised, whether the door has heard of it or not, and a lowered one only once the door has signed
//! that it obeys that very order: until then any earlier order may still be on its way.
//!
//! Nothing here stores, waits or sends. Portal and door store what these functions make of their state, in the same
//! commit as whatever rests on it.

mod attempt;
mod held;
mod ledger;

use serde::{Deserialize, Serialize};

use crate::cbor::{FormatError, Reader, Writer, inner};
use crate::ids::{BudgetId, DoorId, Generation};

pub use attempt::{ATTEMPT_LIFE_MS, AttemptState, Known, Meets};
pub use held::{Held, NoUsesHeld};
pub use ledger::{Answer, Lease, Ledger};

/// How long a door remembers a lease after its key is over, in seconds: far longer than any grant or pass could still
/// open by it.
pub const KEPT_AFTER_END: i64 = 400 * 24 * 3600;

/// Most orders to one controller that a portal can have forgotten when it was set back. A higher number is no order of
/// ours: believed, a lock in the wrong hands could leave no number for the orders that take its lease back.
const MOST_FORGOTTEN: u64 = 1 << 20;

/// One controller at one door. A new controller holds nothing of what the one before it held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Holder {
    /// The door.
    pub door: DoorId,
    /// Which of its controllers.
    pub generation: Generation,
}

/// The number of an order to one holder about one budget. A restored portal may have forgotten its last orders, which
/// may still be on their way: the epoch that it begins puts its own above them.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct LeaseNumber {
    /// The signer's epoch.
    pub epoch: u32,
    /// From 1 in each epoch; 0 before the first order.
    pub count: u64,
}

impl LeaseNumber {
    /// The last number that a controller can have obeyed of a portal which was set back to this one, in this epoch or
    /// before.
    const fn latest_forgotten(self, epoch: u32) -> Self {
        let count = if self.epoch < epoch { 0 } else { self.count };
        Self {
            epoch: if self.epoch < epoch {
                epoch
            } else {
                self.epoch
            },
            count: count.saturating_add(MOST_FORGOTTEN),
        }
    }
}

/// An order: all uses ever spent by this budget at this door may come to `ceiling`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ceiling {
    /// What counts the key's uses.
    pub budget: BudgetId,
    /// The door obeys it when it is above the last number that it has obeyed.
    pub number: LeaseNumber,
    /// The ceiling. A door that has spent more by then keeps what it has spent.
    pub ceiling: u32,
    /// What the portal knows to be spent there. A door that has forgotten a key which was over counts on from it.
    pub spent: u32,
    /// When the key is over, in seconds since 1970; missing when it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// What a door holds of a budget, as it signs for it in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseReport {
    /// What counts the key's uses.
    pub budget: BudgetId,
    /// The last order that it has obeyed.
    pub number: LeaseNumber,
    /// The ceiling, by that order.
    pub ceiling: u32,
    /// All uses ever spent here.
    pub spent: u32,
}

impl LeaseNumber {
    fn write(self) -> Writer {
        inner().uint(self.epoch).uint(self.count)
    }

    fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        let mut items = reader.nested()?;
        let number = Self {
            epoch: items.uint()?,
            count: items.uint()?,
        };
        items.end()?;
        Ok(number)
    }
}

impl Ceiling {
    pub(crate) fn write(&self) -> Writer {
        inner()
            .bytes(&self.budget.0)
            .nested(self.number.write())
            .uint(self.ceiling)
            .uint(self.spent)
            .optional(self.until, Writer::int)
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        let mut items = reader.nested()?;
        let ceiling = Self {
            budget: BudgetId(items.exactly()?),
            number: LeaseNumber::read(&mut items)?,
            ceiling: items.uint()?,
            spent: items.uint()?,
            until: items.optional(Reader::int)?,
        };
        items.end()?;
        Ok(ceiling)
    }
}

impl LeaseReport {
    pub(crate) fn write(&self) -> Writer {
        inner()
            .bytes(&self.budget.0)
            .nested(self.number.write())
            .uint(self.ceiling)
            .uint(self.spent)
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        let mut items = reader.nested()?;
        let report = Self {
            budget: BudgetId(items.exactly()?),
            number: LeaseNumber::read(&mut items)?,
            ceiling: items.uint()?,
            spent: items.uint()?,
        };
        items.end()?;
        if report.spent > report.ceiling {
            return Err(FormatError::Malformed);
        }
        Ok(report)
    }
}
