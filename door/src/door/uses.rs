//! Keys with a number of uses: what is held of them, and asking for one more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use latchkey_protocol::ids::BudgetId;
use latchkey_protocol::rules::Reason;
use latchkey_protocol::uses::{Ceiling, Held, NoUsesHeld};

use super::gesture::{Turn, UseWanted};
use super::{Door, DoorError, Gesture, Inner, Ruling, Settled};
use crate::engine::UsesOfTurn;
use crate::link::{Question, Word};
use crate::store::keep_lease;

/// How long somebody in front of a door waits for the portal's word, all questions together.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What the portal has said of a use that was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UseWord {
    /// There may be one by now.
    Raised,
    /// No more are given to this door at this moment.
    NoneHere,
    /// All uses of it are spent.
    UsedUp(BudgetId),
}

impl Door {
    /// Decides a gesture and carries it out; where it lacks nothing but a use, the portal is asked for one more, until
    /// that moment of the monotonic clock at most. `rule` is as in [`Door::settle`], beside what is known of the use.
    pub(crate) async fn settle_with_uses(
        self: &Arc<Self>,
        gesture: Gesture,
        until: Duration,
        rule: impl Fn(&Self, &Inner, UsesOfTurn) -> Result<Ruling, DoorError> + Send + Sync + 'static,
    ) -> Result<Settled, DoorError> {
        let (gesture, rule) = (Arc::new(gesture), Arc::new(rule));
        let mut word = UseWord::Raised;
        loop {
            let (gesture, rule) = (gesture.clone(), rule.clone());
            let turn = self.run(move |door| {
                door.settle(&gesture, word == UseWord::Raised, |inner, paid| {
                    rule(door, inner, word.of_turn(paid))
                })
            });
            match turn.await? {
                Turn::Settled(settled) => return Ok(settled),
                Turn::Wants(wanted) => word = self.ask_for_use(wanted, until).await,
            }
        }
    }

    /// Asks the portal for one more.
    pub(crate) async fn ask_for_use(&self, wanted: UseWanted, until: Duration) -> UseWord {
        match self.line().ask(self, Question::Use(wanted), until).await {
            Word::Yes => UseWord::Raised,
            Word::No(Reason::UsedUp) => UseWord::UsedUp(wanted.budget),
            Word::No(_) | Word::Silence => UseWord::NoneHere,
        }
    }

    /// Until when (monotonic) somebody who comes now waits for the portal's word.
    pub(crate) fn patience(&self) -> Duration {
        self.env().clock.monotonic() + PATIENCE
    }

    /// Obeys the portal's ceilings. Known ones are told again: the portal has not heard that they are obeyed.
    pub(crate) async fn take_ceilings(
        self: &Arc<Self>,
        ceilings: Vec<Ceiling>,
    ) -> Result<(), DoorError> {
        self.run(move |door| {
            let mut inner = door.lock();
            let held = inner.obeying(&ceilings);
            inner.store.write(|tx| {
                for (budget, held) in &held {
                    keep_lease(tx, *budget, held)?;
                }
                Ok::<_, DoorError>(())
            })?;
            inner.knowledge.held.extend(held);
            drop(inner);
            door.state_changed();
            Ok(())
        })
        .await
    }
}

impl UseWord {
    pub(crate) fn of_turn(self, paid: bool) -> UsesOfTurn {
        UsesOfTurn {
            paid,
            used_up: match self {
                Self::UsedUp(budget) => Some(budget),
                Self::Raised | Self::NoneHere => None,
            },
        }
    }
}

impl Inner {
    /// What is held of these budgets once their ceilings are obeyed; none of this is stored yet.
    pub(super) fn obeying(&self, ceilings: &[Ceiling]) -> BTreeMap<BudgetId, Held> {
        let mut obeyed = BTreeMap::new();
        for ceiling in ceilings {
            let held = obeyed
                .entry(ceiling.budget)
                .or_insert_with(|| self.held(ceiling.budget));
            held.obey(ceiling);
        }
        obeyed
    }

    /// What is held of a budget once one more use of it is spent; none of this is stored yet.
    pub(super) fn with_one_less(&self, budget: BudgetId) -> Result<(BudgetId, Held), NoUsesHeld> {
        let mut held = self.held(budget);
        held.spend()?;
        Ok((budget, held))
    }

    pub(crate) fn wanted(&self, budget: BudgetId) -> UseWanted {
        UseWanted {
            budget,
            spent: self.held(budget).spent,
        }
    }

    fn held(&self, budget: BudgetId) -> Held {
        let held = self.knowledge.held.get(&budget);
        held.copied().unwrap_or_default()
    }
}
