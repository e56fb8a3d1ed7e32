//! In which order a door obeys: only the next number of each series, and nothing of an epoch that has
//! passed.

use super::{Addressee, Statement};
use crate::doorstate::StatementNumbers;
use crate::ids::DoorId;

/// What a door does with a statement, given how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is the next one: obey, and store the numbers together with what it says.
    Apply(StatementNumbers),
    /// It is the first of a new epoch. In the same transaction in which this one is obeyed, what both
    /// series granted before (passes) is forgotten, for the new epoch states again what still stands;
    /// settings stay until they are replaced. The other series waits for its first.
    BeginEpoch(StatementNumbers),
    /// Obeyed before.
    Known,
    /// Signed in an epoch that has passed here: never obeyed.
    Stale,
    /// Those from this number on, in this epoch, have to come before.
    Missing {
        /// The epoch.
        epoch: u32,
        /// The first that is missing of this series.
        from: u64,
    },
    /// For another door.
    NotForUs,
}

impl StatementNumbers {
    /// What a door that has come this far does with a verified statement.
    #[must_use]
    pub fn step(self, door: DoorId, statement: &Statement) -> Step {
        let own = match statement.addressee {
            Addressee::All => false,
            Addressee::Door(addressed) if addressed == door => true,
            Addressee::Door(_) => return Step::NotForUs,
        };
        if statement.epoch < self.epoch {
            return Step::Stale;
        }
        let begins = statement.epoch > self.epoch;
        let here = if begins {
            Self {
                epoch: statement.epoch,
                all: 0,
                own: 0,
            }
        } else {
            self
        };
        let applied = if own { here.own } else { here.all };
        if statement.number <= applied {
            return Step::Known;
        }
        if statement.number - 1 != applied {
            return Step::Missing {
                epoch: here.epoch,
                from: applied + 1,
            };
        }
        let next = if own {
            Self {
                own: statement.number,
                ..here
            }
        } else {
            Self {
                all: statement.number,
                ..here
            }
        };
        if begins {
            Step::BeginEpoch(next)
        } else {
            Step::Apply(next)
        }
    }
}
