//! Every order of events, within bounds: two doors, one key, a network that repeats, overtakes and loses, doors that
//! lose their power between any two steps, questions that an instance of the portal has kept from an older connection,
//! a restore, a write-off, edits. The functions are those that portal and doors call.

use std::collections::BTreeSet;

use latchkey_protocol::ids::{BudgetId, DoorId, Generation};
use latchkey_protocol::uses::*;
use stateright::{Checker, Model, Property};

const BUDGET: BudgetId = BudgetId([1; 8]);
const DOORS: usize = 2;

fn holder(door: usize) -> Holder {
    Holder {
        door: DoorId([u8::try_from(door).unwrap(); 12]),
        generation: Generation(1),
    }
}

/// What may happen beside people at doors, and how much of it.
#[derive(Clone, Copy)]
struct Bounds {
    max_uses: u32,
    /// Gestures at each door.
    gestures: usize,
    /// Orders to each door.
    orders: u64,
    /// Whether the power may go between any two steps of a gesture; else it is one step.
    may_crash: bool,
    /// Whether a door may get another connection while questions are on their way.
    may_reconnect: bool,
    may_restore: bool,
    may_write_off: bool,
    /// Another number of uses, once.
    edit: Option<u32>,
}

/// One gesture at one door.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Gesture {
    /// What the door has stored.
    stored: Option<AttemptState>,
    /// Decided in this life of the door; it goes on to move the lock.
    runs: bool,
    /// The lock moved, and that is not stored yet.
    unnoted: bool,
    moves: u8,
    crashes: u8,
    spends: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Door {
    held: Held,
    gestures: Vec<Gesture>,
    /// Wiped, burnt or stolen.
    is_lost: bool,
    connection: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    ledger: Ledger,
    doors: Vec<Door>,
    /// All that was ever sent. It may arrive at any later time, any number of times, or never.
    orders: BTreeSet<(usize, Ceiling)>,
    reports: BTreeSet<(usize, LeaseReport)>,
    /// At which door, what it had spent, and the connection on which it asked.
    questions: BTreeSet<(usize, u32, u8)>,
    backup: Option<Ledger>,
    is_restored: bool,
    was_written_off: bool,
    was_edited: bool,
    /// So many may be spent: the budget, or after it was lowered the ceilings of that moment.
    may_be_spent: i64,
    /// A use went from one door to another.
    went_over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Somebody's phone commits.
    Commit(usize, usize),
    /// The lock moves for a decided gesture, and then that is stored.
    Move(usize, usize),
    Note(usize, usize),
    Crash(usize),
    Reconnect(usize),
    /// An instance of the portal takes a question, at once or late.
    Take(usize, u32, u8),
    Obey(usize, Ceiling),
    Hear(usize, LeaseReport),
    TakeBack(usize),
    BackUp,
    Restore,
    /// A door is lost, and then given up.
    Lose(usize),
    WriteOff(usize),
    Edit,
}

impl Model for Bounds {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        let door = Door {
            held: Held::default(),
            gestures: vec![Gesture::default(); self.gestures],
            is_lost: false,
            connection: 0,
        };
        let mut world = World {
            ledger: Ledger::new(BUDGET, 1, self.max_uses, None),
            doors: vec![door; DOORS],
            orders: BTreeSet::new(),
            reports: BTreeSet::new(),
            questions: BTreeSet::new(),
            backup: None,
            is_restored: false,
            was_written_off: false,
            was_edited: false,
            may_be_spent: self.max_uses.into(),
            went_over: false,
        };
        world.send();
        vec![world]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        for (at, door) in world.doors.iter().enumerate() {
            let lease = world.ledger.leases.get(&holder(at));
            let ordered = lease.map_or(0, |lease| lease.number.count);
            if world.was_written_off && lease.is_some_and(|lease| lease.awaited) && door.is_lost {
                acts.push(Act::WriteOff(at));
            }
            if !door.is_lost {
                for (number, gesture) in door.gestures.iter().enumerate() {
                    if gesture.runs && !gesture.unnoted {
                        acts.push(Act::Move(at, number));
                    } else if gesture.unnoted {
                        acts.push(Act::Note(at, number));
                    } else if gesture.moves < 3 {
                        acts.push(Act::Commit(at, number));
                    }
                    if gesture.runs && gesture.crashes == 0 {
                        acts.push(Act::Crash(at));
                    }
                }
                if self.may_reconnect && door.connection == 0 && !world.questions.is_empty() {
                    acts.push(Act::Reconnect(at));
                }
                if self.may_write_off && !world.was_written_off {
                    acts.push(Act::Lose(at));
                }
            } else if !world.was_written_off {
                acts.push(Act::WriteOff(at));
            }
            if lease.is_some_and(|lease| lease.unspent() > 0) && ordered < self.orders {
                acts.push(Act::TakeBack(at));
            }
        }
        let open = |at: usize| {
            let lease = world.ledger.leases.get(&holder(at));
            lease.is_none_or(|lease| lease.number.count < self.orders)
        };
        let questions = world.questions.iter().filter(|(at, ..)| open(*at));
        acts.extend(questions.map(|(at, spent, line)| Act::Take(*at, *spent, *line)));
        let alive = |at: usize| !world.doors[at].is_lost;
        let orders = world.orders.iter().filter(|(at, _)| alive(*at));
        acts.extend(orders.map(|(at, order)| Act::Obey(*at, *order)));
        let reports = world.reports.iter();
        acts.extend(reports.map(|(at, report)| Act::Hear(*at, *report)));
        if self.may_restore && world.backup.is_none() {
            acts.push(Act::BackUp);
        }
        if world.backup.is_some() && !world.is_restored {
            acts.push(Act::Restore);
        }
        if self.edit.is_some() && !world.was_edited {
            acts.push(Act::Edit);
        }
    }

    fn next_state(&self, before: &World, act: Act) -> Option<World> {
        let mut world = before.clone();
        world.act(self, act);
        world.send();
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no use more than the budget", |_, world: &World| {
                world.spent() <= world.may_be_spent
            }),
            Property::always("each gesture costs one use at most", |_, world: &World| {
                let gestures = || world.doors.iter().flat_map(|door| &door.gestures);
                let paid: i64 = gestures().map(|gesture| i64::from(gesture.spends)).sum();
                paid == world.spent() && gestures().all(|gesture| gesture.spends <= 1)
            }),
            Property::always(
                "the lock moves once, and once more only after a crash",
                |_, world: &World| {
                    let mut gestures = world.doors.iter().flat_map(|door| &door.gestures);
                    gestures.all(|gesture| gesture.moves <= 1 + gesture.crashes)
                },
            ),
            Property::always("what doors hold, the ledger counts", |_, world: &World| {
                world.doors.iter().enumerate().all(|(at, door)| {
                    let lease = world.ledger.leases.get(&holder(at));
                    let lease = lease.copied().unwrap_or_default();
                    door.is_lost || lease.awaited || door.held.ceiling <= lease.ceiling
                })
            }),
            Property::always("nothing is counted twice", |_, world: &World| {
                world.doors.iter().enumerate().all(|(at, door)| {
                    let lease = world.ledger.leases.get(&holder(at));
                    lease.is_none_or(|lease| lease.spent <= door.held.spent)
                })
            }),
            Property::always(
                "what is left is negative only after a lowering",
                |_, world: &World| {
                    world.was_edited || world.ledger.is_awaiting() || world.ledger.left() >= 0
                },
            ),
            Property::sometimes("all uses are spent", |model: &Bounds, world: &World| {
                world.spent() >= model.max_uses.into() && world.ledger.is_used_up()
            }),
            Property::sometimes(
                "a use goes over to another door",
                |model: &Bounds, world: &World| model.orders == 1 || world.went_over,
            ),
            Property::sometimes(
                "after a restore there is leasing again",
                |model: &Bounds, world: &World| {
                    !model.may_restore
                        || world.is_restored
                            && !world.ledger.is_awaiting()
                            && world
                                .doors
                                .iter()
                                .any(|door| door.held.number.epoch == 2 && door.held.left() > 0)
                },
            ),
            Property::sometimes(
                "what a lost door held is opened elsewhere",
                |model: &Bounds, world: &World| {
                    !model.may_write_off
                        || world.was_written_off
                            && world.ledger.raised > 0
                            && world.spent() >= model.max_uses.into()
                },
            ),
        ]
    }
}

impl World {
    fn spent(&self) -> i64 {
        let spent = self.doors.iter().map(|door| i64::from(door.held.spent));
        spent.sum()
    }

    fn ceilings(&self) -> i64 {
        let leases = self.ledger.leases.values();
        leases.map(|lease| i64::from(lease.ceiling)).sum()
    }

    fn act(&mut self, model: &Bounds, act: Act) {
        match act {
            Act::Commit(at, number) => {
                self.commit(at, number);
                let gesture = &mut self.doors[at].gestures[number];
                if gesture.runs && !model.may_crash {
                    gesture.stored = Some(AttemptState::Moved);
                    (gesture.runs, gesture.moves) = (false, 1);
                }
            }
            Act::Move(at, number) => {
                let gesture = &mut self.doors[at].gestures[number];
                gesture.moves += 1;
                gesture.unnoted = true;
            }
            Act::Note(at, number) => {
                let gesture = &mut self.doors[at].gestures[number];
                gesture.stored = Some(AttemptState::Moved);
                (gesture.runs, gesture.unnoted) = (false, false);
            }
            Act::Crash(at) => {
                for gesture in &mut self.doors[at].gestures {
                    gesture.crashes += u8::from(gesture.runs);
                    (gesture.runs, gesture.unnoted) = (false, false);
                }
            }
            Act::Reconnect(at) => self.doors[at].connection += 1,
            Act::Take(at, spent, line) => {
                // Whoever keeps it, the database says which connection is the newest.
                if line == self.doors[at].connection {
                    let given_back = self.ledger.leases.iter().any(|(other, lease)| {
                        *other != holder(at)
                            && lease.number.count > 1
                            && !lease.is_unconfirmed()
                            && lease.unspent() == 0
                    });
                    let full = self.spent() < i64::from(self.ledger.max_uses);
                    let answer = self.ledger.ask(holder(at), spent, |_| true);
                    self.went_over |= full && given_back && matches!(answer, Answer::Raised(_));
                }
            }
            Act::Obey(at, order) => drop(self.doors[at].held.obey(&order)),
            Act::Hear(at, report) => self.ledger.report(holder(at), &report),
            Act::TakeBack(at) => drop(self.ledger.take_back(|other| other == holder(at))),
            Act::BackUp => self.backup = Some(self.ledger.clone()),
            Act::Restore => {
                self.is_restored = true;
                if let Some(mut ledger) = self.backup.clone() {
                    ledger.restore(2, (0..DOORS).map(holder));
                    self.ledger = ledger;
                }
            }
            Act::Lose(at) => self.doors[at].is_lost = true,
            Act::WriteOff(at) => {
                self.was_written_off = true;
                let lost = self.ledger.write_off(holder(at));
                self.may_be_spent += i64::from(lost);
            }
            Act::Edit => {
                self.was_edited = true;
                let max_uses = model.edit.unwrap_or(model.max_uses);
                let ceilings = self.ceilings();
                self.ledger.edit(max_uses, None);
                self.may_be_spent = self.ledger.budget().max(ceilings);
            }
        }
    }

    fn commit(&mut self, at: usize, number: usize) {
        let door = &mut self.doors[at];
        let gesture = &mut door.gestures[number];
        if gesture.runs {
            // It waits for the one in progress.
            return;
        }
        let known = gesture.stored.map(|state| Known {
            state,
            is_theirs: true,
            age_ms: 0,
        });
        match Meets::of(known, true) {
            Meets::Nothing => {
                if door.held.spend().is_ok() {
                    gesture.stored = Some(AttemptState::Spent);
                    gesture.spends += 1;
                    gesture.runs = true;
                }
            }
            Meets::Spent => gesture.runs = true,
            Meets::Moved | Meets::Refused(_) => {}
        }
    }

    /// Whatever was ordered is sent, whatever a door holds it signs for, and it asks when there is nothing left.
    fn send(&mut self) {
        for at in 0..DOORS {
            let order = self.ledger.unconfirmed(holder(at));
            self.orders.extend(order.map(|order| (at, order)));
            let door = &self.doors[at];
            if door.is_lost {
                continue;
            }
            self.reports.insert((at, door.held.report(BUDGET)));
            let has_asker = door.gestures.iter().any(|gesture| gesture.stored.is_none());
            if door.held.left() == 0 && has_asker {
                self.questions
                    .insert((at, door.held.spent, door.connection));
            }
        }
    }
}

fn check(name: &str, bounds: Bounds) {
    let most = 2_000_000;
    let checker = bounds.checker().threads(2).target_state_count(most);
    let checker = checker.spawn_bfs().join();
    assert!(checker.unique_state_count() < most, "{name} is not bounded");
    println!("{name}: {} states", checker.unique_state_count());
    checker.assert_properties();
}

const SMALL: Bounds = Bounds {
    max_uses: 2,
    gestures: 1,
    orders: 2,
    may_crash: false,
    may_reconnect: true,
    may_restore: false,
    may_write_off: false,
    edit: None,
};

#[test]
fn leases_and_attempts_hold_in_every_order_of_events() {
    let bounds = Bounds { orders: 3, ..SMALL };
    check("leases", bounds);
    let bounds = Bounds {
        max_uses: 1,
        orders: 1,
        may_crash: true,
        ..SMALL
    };
    check("attempts", bounds);
}

#[test]
fn a_lowered_number_holds_in_every_order_of_events() {
    let bounds = Bounds {
        edit: Some(1),
        ..SMALL
    };
    check("a lowered number", bounds);
}

#[test]
fn restores_hold_in_every_order_of_events() {
    let bounds = Bounds {
        max_uses: 1,
        may_reconnect: false,
        may_restore: true,
        ..SMALL
    };
    check("a restore", bounds);
}

#[test]
fn write_offs_hold_in_every_order_of_events() {
    let bounds = Bounds {
        max_uses: 1,
        may_write_off: true,
        ..SMALL
    };
    check("a write-off", bounds);
}
