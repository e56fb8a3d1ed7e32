//! The ledger, case by case.

use latchkey_protocol::ids::{BudgetId, DoorId, Generation};
use latchkey_protocol::uses::*;

const BUDGET: BudgetId = BudgetId([1; 8]);

fn at(door: u8) -> Holder {
    Holder {
        door: DoorId([door; 12]),
        generation: Generation(1),
    }
}

fn ledger(max_uses: u32) -> Ledger {
    Ledger::new(BUDGET, 1, max_uses, None)
}

fn reachable(_: Holder) -> bool {
    true
}

/// What a door says after it has obeyed.
fn obey(ledger: &mut Ledger, door: u8, held: &mut Held, order: &Ceiling) {
    held.obey(order);
    ledger.report(at(door), &held.report(BUDGET));
}

/// One use at a door in touch with the portal; false when it was given none.
fn open(ledger: &mut Ledger, door: u8, held: &mut Held) -> bool {
    if held.left() == 0 {
        let Answer::Raised(order) = ledger.ask(at(door), held.spent, reachable) else {
            return false;
        };
        obey(ledger, door, held, &order);
    }
    held.spend().unwrap();
    ledger.report(at(door), &held.report(BUDGET));
    true
}

#[test]
fn a_key_of_two_uses_opens_twice_over_two_doors_and_is_used_up() {
    let mut ledger = ledger(2);
    let (mut one, mut two) = (Held::default(), Held::default());
    assert!(open(&mut ledger, 1, &mut one));
    assert!(open(&mut ledger, 2, &mut two));
    assert!(ledger.is_used_up());
    assert_eq!(ledger.ask(at(1), one.spent, reachable), Answer::UsedUp);
    assert_eq!(ledger.ask(at(3), 0, reachable), Answer::UsedUp);
    assert!(!ledger.edit(3, None), "a higher number is no order");
    assert!(open(&mut ledger, 1, &mut one));
}

#[test]
fn the_same_question_twice_raises_once() {
    let mut ledger = ledger(9);
    let first = ledger.ask(at(1), 0, reachable);
    assert_eq!(ledger.ask(at(1), 0, reachable), first);
    assert_eq!(ledger.left(), 8);
}

#[test]
fn an_order_that_comes_late_or_twice_changes_nothing() {
    let mut ledger = ledger(9);
    let Answer::Raised(first) = ledger.ask(at(1), 0, reachable) else {
        panic!("none left")
    };
    let mut held = Held::default();
    assert!(held.obey(&first));
    held.spend().unwrap();
    let Answer::Raised(second) = ledger.ask(at(1), 1, reachable) else {
        panic!("none left")
    };
    assert!(held.obey(&second));
    assert!(!held.obey(&first) && !held.obey(&second));
    assert_eq!((held.ceiling, held.spent), (2, 1));
}

#[test]
fn what_is_taken_back_counts_only_once_the_door_has_signed_for_it() {
    let mut ledger = ledger(1);
    let Answer::Raised(order) = ledger.ask(at(1), 0, reachable) else {
        panic!("none left")
    };
    // The raise is late: the person has gone, the use stays the door's.
    assert_eq!(ledger.ask(at(2), 0, |_| false), Answer::NoneLeft);
    assert_eq!(ledger.ask(at(2), 0, reachable), Answer::TakingBack);
    let lowering = ledger.unconfirmed(at(1)).unwrap();
    assert_eq!(lowering.ceiling, 0);
    // The door hears the raise after all, and its report of it frees nothing.
    let mut held = Held::default();
    obey(&mut ledger, 1, &mut held, &order);
    assert_eq!(ledger.ask(at(2), 0, reachable), Answer::TakingBack);
    obey(&mut ledger, 1, &mut held, &lowering);
    assert_eq!((held.left(), ledger.left()), (0, 1));
    assert!(matches!(ledger.ask(at(2), 0, reachable), Answer::Raised(_)));
}

#[test]
fn a_door_that_has_spent_more_than_a_lowering_leaves_keeps_what_it_has_spent() {
    let mut ledger = ledger(1);
    let Answer::Raised(order) = ledger.ask(at(1), 0, reachable) else {
        panic!("none left")
    };
    let mut held = Held::default();
    held.obey(&order);
    held.spend().unwrap();
    assert_eq!(ledger.ask(at(2), 0, reachable), Answer::TakingBack);
    let lowering = ledger.unconfirmed(at(1)).unwrap();
    obey(&mut ledger, 1, &mut held, &lowering);
    assert_eq!((held.ceiling, ledger.left()), (1, 0));
    assert_eq!(ledger.ask(at(2), 0, reachable), Answer::UsedUp);
}

#[test]
fn a_lost_doors_ceiling_stays_spent_until_it_is_written_off_once() {
    let mut ledger = ledger(3);
    assert!(ledger.give_ahead(at(1), 2, 0));
    assert_eq!(ledger.left(), 1);
    assert_eq!(ledger.write_off(at(1)), 2);
    assert_eq!((ledger.left(), ledger.budget()), (3, 5));
    assert_eq!(ledger.write_off(at(1)), 0, "a second time gives nothing");
    assert_eq!(ledger.write_off(at(7)), 0, "nor does a door without any");
}

#[test]
fn what_was_written_off_and_comes_back_is_not_given_twice() {
    let mut ledger = ledger(3);
    assert!(ledger.give_ahead(at(1), 2, 0));
    ledger.write_off(at(1));
    let mut held = Held::default();
    held.obey(&ledger.unconfirmed(at(1)).unwrap());
    ledger.report(at(1), &held.report(BUDGET));
    ledger.take_back(reachable);
    let lowering = ledger.unconfirmed(at(1)).unwrap();
    obey(&mut ledger, 1, &mut held, &lowering);
    assert_eq!((ledger.budget(), ledger.left()), (3, 3));
}

#[test]
fn a_number_lowered_below_what_is_leased_raises_no_ceiling_and_shows_the_excess() {
    let mut ledger = ledger(5);
    assert!(ledger.give_ahead(at(1), 4, 0));
    let mut held = Held::default();
    let order = ledger.unconfirmed(at(1)).unwrap();
    obey(&mut ledger, 1, &mut held, &order);
    assert!(ledger.edit(2, None));
    assert_eq!(ledger.left(), -2);
    assert_eq!(ledger.ask(at(2), 0, |_| false), Answer::NoneLeft);
    assert!(!ledger.give_ahead(at(1), 4, 0));
    let lowering = ledger.unconfirmed(at(1)).unwrap();
    obey(&mut ledger, 1, &mut held, &lowering);
    assert_eq!(ledger.left(), 2);
}

#[test]
fn after_a_restore_nothing_is_leased_until_every_controller_has_signed_or_is_written_off() {
    let mut ledger = ledger(3);
    let backup = ledger.clone();
    let (mut one, mut two) = (Held::default(), Held::default());
    assert!(open(&mut ledger, 1, &mut one));
    let Answer::Raised(late) = ledger.ask(at(1), one.spent, reachable) else {
        panic!("none left")
    };

    let mut restored = backup;
    restored.restore(2, [at(1), at(2), at(3)]);
    for door in 1..=3 {
        assert_eq!(restored.ask(at(door), 0, reachable), Answer::NoneLeft);
    }
    // A door that is only heard of has not signed for an order of this epoch.
    restored.report(at(1), &one.report(BUDGET));
    assert!(restored.is_awaiting());
    let asked = restored.unconfirmed(at(1)).unwrap();
    obey(&mut restored, 1, &mut one, &asked);
    assert!(!one.obey(&late), "what the forgotten epoch has on its way");
    let asked = restored.unconfirmed(at(2)).unwrap();
    obey(&mut restored, 2, &mut two, &asked);
    assert!(restored.is_awaiting(), "the third could hold some");
    restored.write_off(at(3));
    assert_eq!((restored.left(), restored.spent()), (2, 1));
    assert!(open(&mut restored, 2, &mut two));
}

#[test]
fn a_door_that_obeyed_what_this_ledger_never_ordered_stops_the_leasing() {
    let mut ledger = ledger(3);
    let backup = ledger.clone();
    let mut one = Held::default();
    assert!(open(&mut ledger, 1, &mut one));
    assert!(open(&mut ledger, 1, &mut one));
    // Set back without a new epoch.
    let mut set_back = backup;
    assert!(matches!(
        set_back.ask(at(1), 0, reachable),
        Answer::Raised(_)
    ));
    set_back.report(at(1), &one.report(BUDGET));
    assert_eq!(set_back.ask(at(2), 0, reachable), Answer::NoneLeft);
    let asked = set_back.unconfirmed(at(1)).unwrap();
    obey(&mut set_back, 1, &mut one, &asked);
    assert_eq!((set_back.spent(), set_back.left()), (2, 1));
}

#[test]
fn a_door_that_claims_more_than_it_was_given_uses_up_nobodys_key() {
    let mut ledger = ledger(3);
    assert!(ledger.give_ahead(at(1), 1, 0));
    let order = ledger.unconfirmed(at(1)).unwrap();
    let claim = LeaseReport {
        budget: BUDGET,
        number: order.number,
        ceiling: 1000,
        spent: 1000,
    };
    ledger.report(at(1), &claim);
    ledger.report(at(2), &claim);
    assert_eq!((ledger.spent(), ledger.left()), (1, 2));
}

#[test]
fn a_door_forgets_a_key_that_is_long_over_once_the_portal_knows_all_that_it_spent() {
    let end = 1_800_000_000;
    let long_after = end + KEPT_AFTER_END + 1;
    let mut ledger = Ledger::new(BUDGET, 1, 3, Some(end));
    let mut held = Held::default();
    assert!(open(&mut ledger, 1, &mut held));
    assert!(!held.may_be_forgotten(long_after), "its use is not known");
    assert!(ledger.settle());
    let last = ledger.unconfirmed(at(1)).unwrap();
    obey(&mut ledger, 1, &mut held, &last);
    assert!(!ledger.settle(), "it is");
    assert!(!held.may_be_forgotten(end + KEPT_AFTER_END));
    assert!(held.may_be_forgotten(long_after));
    // The key is prolonged after all: what it forgot comes with the next order.
    ledger.edit(3, None);
    let mut forgotten = Held::default();
    let order = ledger.unconfirmed(at(1)).unwrap();
    obey(&mut ledger, 1, &mut forgotten, &order);
    assert_eq!((forgotten.spent, forgotten.left()), (1, 0));
}

#[test]
fn a_lock_that_claims_orders_that_nobody_can_have_given_is_not_heard() {
    let mut ledger = ledger(9);
    let mut held = Held::default();
    assert!(open(&mut ledger, 1, &mut held));
    let before = ledger.clone();
    let last = ledger.leases[&at(1)].number;
    for (epoch, count) in [(1, last.count + (1 << 21)), (1, u64::MAX), (2, 1)] {
        let number = LeaseNumber { epoch, count };
        let claim = LeaseReport {
            number,
            ceiling: 9,
            spent: 9,
            ..held.report(BUDGET)
        };
        ledger.report(at(1), &claim);
        assert_eq!(ledger, before, "{number:?}");
    }
}

#[test]
fn a_lock_that_claims_to_be_ahead_is_not_believed_what_it_says_it_has_spent() {
    let mut ledger = ledger(9);
    let mut held = Held::default();
    assert!(open(&mut ledger, 1, &mut held));
    let last = ledger.leases[&at(1)].number;
    let claim = LeaseReport {
        number: LeaseNumber {
            count: last.count + 1,
            ..last
        },
        ceiling: u32::MAX,
        spent: u32::MAX,
        ..held.report(BUDGET)
    };
    ledger.report(at(1), &claim);
    let lease = ledger.leases[&at(1)];
    assert!(ledger.is_awaiting(), "the portal may have been set back");
    assert_eq!((lease.spent, lease.ceiling), (1, 9));
}

#[test]
fn what_was_written_off_and_spent_after_all_hides_no_use_given_later() {
    let mut ledger = ledger(3);
    let mut held = Held::default();
    assert!(ledger.give_ahead(at(1), 3, 0));
    let order = ledger.ceiling(at(1)).unwrap();
    obey(&mut ledger, 1, &mut held, &order);
    for _ in 0..2 {
        held.spend().unwrap();
    }
    ledger.report(at(1), &held.report(BUDGET));
    assert_eq!(ledger.write_off(at(1)), 1);
    // The lost door comes back, and its last use is spent there.
    held.spend().unwrap();
    ledger.report(at(1), &held.report(BUDGET));
    assert!(ledger.give_ahead(at(1), 1, 0), "what the write-off added");
    let order = ledger.ceiling(at(1)).unwrap();
    held.obey(&order);
    ledger.report(at(1), &held.report(BUDGET));
    assert_eq!((held.left(), ledger.left()), (1, 0));
    assert!(!ledger.is_used_up(), "one use is held there");
}
