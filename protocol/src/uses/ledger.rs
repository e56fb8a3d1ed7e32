//! The portal's side: the ledger of one key's uses.

use std::collections::BTreeMap;

use super::{Ceiling, Holder, LeaseNumber, LeaseReport};
use crate::ids::BudgetId;

/// What one controller may hold of a budget, as the portal knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The most that the controller may still come to by any order that it has, or that is on its way. This is what
    /// the budget counts.
    pub ceiling: u32,
    /// The highest total that it has signed for.
    pub spent: u32,
    /// The last order.
    pub number: LeaseNumber,
    /// What that order said.
    pub ordered: u32,
    /// The last order that it has signed for.
    pub confirmed: LeaseNumber,
    /// How much of what it holds staff have written off: the budget was raised by as much.
    pub written_off: u32,
    /// The portal was restored and does not know yet what it holds.
    pub awaited: bool,
    /// The last order was the last of all: it said that all of this is spent and known.
    pub settled: bool,
}

impl Lease {
    /// What it may hold unspent, as far as that is not written off.
    #[must_use]
    pub const fn unspent(&self) -> u32 {
        self.ceiling
            .saturating_sub(self.spent)
            .saturating_sub(self.written_off)
    }

    /// Its last order is on its way.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        self.confirmed < self.number
    }
}

/// All of one key's uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// Its name at doors and in grants.
    pub id: BudgetId,
    /// The signer's epoch that it has gone through.
    pub epoch: u32,
    /// The key's number of uses.
    pub max_uses: u32,
    /// By how much write-offs have raised it.
    pub raised: u32,
    /// When the key is over, in seconds since 1970; none when it has no end.
    pub until: Option<i64>,
    /// Who holds some, or has held some.
    pub leases: BTreeMap<Holder, Lease>,
}

/// What becomes of a door's question for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// This order lets it.
    Raised(Ceiling),
    /// Ceilings elsewhere were lowered: once their doors have signed for it, there may be some.
    TakingBack,
    /// All uses are spent.
    UsedUp,
    /// None are left, but some may be held elsewhere.
    NoneLeft,
}

impl Ledger {
    /// A key's ledger, before anything of it is leased.
    #[must_use]
    pub const fn new(id: BudgetId, epoch: u32, max_uses: u32, until: Option<i64>) -> Self {
        Self {
            id,
            epoch,
            max_uses,
            raised: 0,
            until,
            leases: BTreeMap::new(),
        }
    }

    /// The number of uses, and what write-offs have added.
    #[must_use]
    pub fn budget(&self) -> i64 {
        i64::from(self.max_uses) + i64::from(self.raised)
    }

    /// What may still be leased. Negative after the number of uses was lowered below what was leased: by so many, more
    /// than the number may be spent.
    #[must_use]
    pub fn left(&self) -> i64 {
        let ceilings = self.leases.values().map(|lease| i64::from(lease.ceiling));
        self.budget() - ceilings.sum::<i64>()
    }

    /// All uses that doors have signed for.
    #[must_use]
    pub fn spent(&self) -> i64 {
        let spent = self.leases.values().map(|lease| i64::from(lease.spent));
        spent.sum()
    }

    /// Whether all uses are spent, as far as doors have signed for it.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.left() <= 0
            && !self.is_awaiting()
            && self.leases.values().all(|lease| lease.unspent() == 0)
    }

    /// Whether it was restored and some door could hold what it does not know of. Nothing is leased until then.
    #[must_use]
    pub fn is_awaiting(&self) -> bool {
        self.leases.values().any(|lease| lease.awaited)
    }

    /// A door with somebody in front of it wants one more than the `spent` that it has given. `may_take_back` says
    /// which doors can be reached.
    pub fn ask(
        &mut self,
        holder: Holder,
        spent: u32,
        may_take_back: impl Fn(Holder) -> bool,
    ) -> Answer {
        let lease = self.leases.get(&holder).copied().unwrap_or_default();
        if self.is_awaiting() || spent > lease.ceiling {
            return Answer::NoneLeft;
        }
        if lease.ordered > spent {
            // It is on its way, or there already.
            return Answer::Raised(self.last_order(lease));
        }
        // A lowering on its way has freed nothing yet: what it would have freed may as well be used here.
        let left = self.left();
        if left > 0 || (left == 0 && lease.ceiling > spent) {
            return Answer::Raised(self.order(holder, spent + 1));
        }
        if self.is_used_up() {
            return Answer::UsedUp;
        }
        let reached = |other: Holder| other != holder && may_take_back(other);
        if self.take_back(reached) {
            Answer::TakingBack
        } else {
            Answer::NoneLeft
        }
    }

    /// Gives a door that cannot ask up to `ahead` unspent uses, as long as more than `reserve` are left. Says whether
    /// there is a new order.
    pub fn give_ahead(&mut self, holder: Holder, ahead: u32, reserve: u32) -> bool {
        if self.is_awaiting() {
            return false;
        }
        let lease = self.leases.get(&holder).copied().unwrap_or_default();
        let Ok(left) = u32::try_from(self.left()) else {
            return false;
        };
        let free = left.saturating_sub(reserve);
        let ceiling = lease
            .spent
            .saturating_add(ahead)
            .min(lease.ceiling.saturating_add(free));
        if ceiling <= lease.ordered {
            return false;
        }
        self.order(holder, ceiling);
        true
    }

    /// Lowers the ceilings of these doors to what they have spent. It counts once they have signed for it. Whether
    /// anything that could be leased anew is on its way back.
    pub fn take_back(&mut self, from: impl Fn(Holder) -> bool) -> bool {
        let idle: Vec<(Holder, Lease)> = self
            .leases
            .iter()
            .filter(|(holder, lease)| lease.ceiling > lease.spent && from(**holder))
            .map(|(holder, lease)| (*holder, *lease))
            .collect();
        for (holder, lease) in &idle {
            let is_lowered = lease.is_unconfirmed() && lease.ordered <= lease.spent;
            if !is_lowered {
                self.order(*holder, lease.spent);
            }
        }
        idle.iter().any(|(_, lease)| lease.unspent() > 0)
    }

    /// The key is over: what is unspent is taken back everywhere, and each door learns what the portal knows of it, so
    /// that it may forget. Whether there are new orders.
    pub fn settle(&mut self) -> bool {
        let open: Vec<(Holder, u32)> = self
            .leases
            .iter()
            .filter(|(_, lease)| !lease.settled || lease.ordered != lease.spent)
            .map(|(holder, lease)| (*holder, lease.spent))
            .collect();
        for (holder, spent) in &open {
            self.order(*holder, *spent);
            if let Some(lease) = self.leases.get_mut(holder) {
                lease.settled = true;
            }
        }
        !open.is_empty()
    }

    /// Takes what a door has signed for, however late. The same again, or an older report, changes nothing.
    ///
    /// A door that claims more than it was ever given is believed as far as it was given, so that a stolen one uses up
    /// nobody's key. One that has obeyed an order which this ledger never gave tells that the portal was set back:
    /// nothing is leased until all have signed anew.
    pub fn report(&mut self, holder: Holder, report: &LeaseReport) {
        let most = u32::try_from(self.budget()).unwrap_or(u32::MAX);
        let epoch = self.epoch;
        let Some(lease) = self.leases.get_mut(&holder) else {
            return;
        };
        if report.number > lease.number.latest_forgotten(epoch) {
            return;
        }
        // Its own claim to be ahead is no reason to believe the rest of it: the order that follows is.
        let (is_asked, given) = (lease.awaited, lease.ceiling);
        if report.number > lease.number {
            lease.number = report.number;
            self.await_all();
        }
        let Some(lease) = self.leases.get_mut(&holder) else {
            return;
        };
        let mut report = *report;
        if !is_asked {
            let believed = if lease.awaited {
                given.max(most)
            } else {
                given
            };
            report.ceiling = report.ceiling.min(believed);
            report.spent = report.spent.min(given);
        }
        lease.spent = lease.spent.max(report.spent);
        // What was written off and is spent after all is no longer there to come back.
        lease.written_off = lease
            .written_off
            .min(lease.ceiling.saturating_sub(lease.spent));
        lease.confirmed = lease.confirmed.max(report.number);
        if report.number == lease.number {
            // It has obeyed the last order: none before it counts there any more.
            lease.awaited = false;
            let freed = lease.ceiling.saturating_sub(report.ceiling);
            lease.ceiling = report.ceiling.max(lease.spent);
            // What was written off and comes back after all is not given twice.
            let returned = freed.min(lease.written_off);
            lease.written_off -= returned;
            self.raised -= returned;
        } else {
            // It may hold more than a restored portal knows of.
            lease.ceiling = lease.ceiling.max(report.ceiling);
        }
    }

    /// Staff give up what a lost or wiped controller still holds: the budget is raised by it. Says by how much.
    pub fn write_off(&mut self, holder: Holder) -> u32 {
        let Some(lease) = self.leases.get_mut(&holder) else {
            return 0;
        };
        lease.awaited = false;
        let lost = lease.unspent();
        lease.written_off += lost;
        self.raised += lost;
        lost
    }

    /// The key was edited. A door remembers its lease for as long as the last order says, so another end is another
    /// order; below what is leased, all that is unspent is taken back. Whether there are new orders.
    pub fn edit(&mut self, max_uses: u32, until: Option<i64>) -> bool {
        self.max_uses = max_uses;
        let has_other_end = self.until != until;
        self.until = until;
        if self.left() < 0 {
            self.take_back(|_| true);
        }
        if has_other_end {
            let held: Vec<(Holder, u32)> = self
                .leases
                .iter()
                .map(|(holder, lease)| (*holder, lease.ordered))
                .collect();
            for (holder, ordered) in held {
                self.order(holder, ordered);
            }
        }
        has_other_end || self.left() < 0
    }

    /// The portal was restored from a backup and has begun a new epoch. Any of these controllers may hold, by orders
    /// that are forgotten, what the ledger does not know of: each is asked to sign for what it holds, and nothing is
    /// leased until all have, or are written off.
    pub fn restore(&mut self, epoch: u32, controllers: impl IntoIterator<Item = Holder>) {
        if epoch <= self.epoch {
            return;
        }
        self.epoch = epoch;
        for holder in controllers {
            self.leases.entry(holder).or_default();
        }
        self.await_all();
    }

    fn await_all(&mut self) {
        let holders: Vec<(Holder, u32)> = self
            .leases
            .iter()
            .map(|(holder, lease)| (*holder, lease.spent))
            .collect();
        for (holder, spent) in holders {
            self.order(holder, spent);
            if let Some(lease) = self.leases.get_mut(&holder) {
                lease.awaited = true;
            }
        }
    }

    /// The last order to a controller, while it has not signed for it: to be sent, and sent again with each connection.
    #[must_use]
    pub fn unconfirmed(&self, holder: Holder) -> Option<Ceiling> {
        let lease = self.leases.get(&holder)?;
        lease.is_unconfirmed().then(|| self.last_order(*lease))
    }

    /// The last order to a controller: what a bundle for it says.
    #[must_use]
    pub fn ceiling(&self, holder: Holder) -> Option<Ceiling> {
        let lease = self.leases.get(&holder)?;
        Some(self.last_order(*lease))
    }

    fn order(&mut self, holder: Holder, ceiling: u32) -> Ceiling {
        let epoch = self.epoch;
        let lease = self.leases.entry(holder).or_default();
        lease.number = if lease.number.epoch < epoch {
            LeaseNumber { epoch, count: 1 }
        } else {
            LeaseNumber {
                epoch: lease.number.epoch,
                count: lease.number.count.saturating_add(1),
            }
        };
        lease.ordered = ceiling;
        lease.settled = false;
        lease.ceiling = lease.ceiling.max(ceiling);
        let lease = *lease;
        self.last_order(lease)
    }

    const fn last_order(&self, lease: Lease) -> Ceiling {
        Ceiling {
            budget: self.id,
            number: lease.number,
            ceiling: lease.ordered,
            spent: lease.spent,
            until: self.until,
        }
    }
}
