//! Keys with a number of uses at a door: leases, one more, and the power that goes.

use std::time::Duration;

use latchkey_door::RunConfig;
use latchkey_protocol::doorlink::FromPortal;
use latchkey_protocol::ids::BudgetId;
use latchkey_protocol::private::Outcome;
use latchkey_protocol::rules::Reason;
use latchkey_protocol::uses::{Ceiling, LeaseNumber, LeaseReport};

use crate::guest::Guest;
use crate::phone::{Phone, Visit};
use crate::portal::{Line, Portal};
use crate::power::{about_to_fail, after};
use crate::property::{BUDGET, Door, Property};

const THREE: &str = r#"{"max_uses": 3}"#;

fn ceiling(count: u64, ceiling: u32, spent: u32) -> Ceiling {
    Ceiling {
        budget: BUDGET,
        number: LeaseNumber { epoch: 1, count },
        ceiling,
        spent,
        until: None,
    }
}

fn report(count: u64, ceiling: u32, spent: u32) -> LeaseReport {
    LeaseReport {
        budget: BUDGET,
        number: LeaseNumber { epoch: 1, count },
        ceiling,
        spent,
    }
}

async fn online(property: &Property) -> (Portal, Door, Line) {
    let portal = Portal::new().await;
    let config = RunConfig {
        portal_url: Some(portal.url.clone()),
        ..RunConfig::default()
    };
    let door = Door::with(property, 7, config).await;
    let (line, _) = portal.signed_in(property, &door).await;
    (portal, door, line)
}

fn outcome(visit: &Visit) -> Result<(), Reason> {
    match visit.record.as_ref().expect("an answer").outcome {
        Outcome::Opened { .. } => Ok(()),
        Outcome::Denied { reason, .. } => Err(reason),
    }
}

#[tokio::test]
async fn a_door_whose_lease_is_spent_asks_for_one_more_and_opens_with_it() {
    let property = Property::new();
    let (_portal, door, mut line) = online(&property).await;
    let phone = Phone::resident(&property, THREE);
    let raising = async {
        let (request, spent) = line.use_wanted().await;
        assert_eq!((spent, door.strike.count()), (0, 0), "it waits");
        assert_eq!(line.order(&door, ceiling(1, 1, 0)).await, report(1, 1, 0));
        let denied = None;
        line.say(&FromPortal::UseAnswer { request, denied }).await;
        line
    };
    let (visit, mut line) = tokio::join!(phone.visit(&door), raising);
    assert_eq!(outcome(&visit), Ok(()));
    let state = visit.record.unwrap().state.unwrap();
    let state = latchkey_protocol::doorstate::SignedDoorState::from_bytes(&state).unwrap();
    let leases = state.verify(&door.reader_key).unwrap().leases;
    assert_eq!(leases, [report(1, 1, 1)], "the phone takes it along");
    assert_eq!(line.lease(&door).await, report(1, 1, 1));
    // The same gesture is answered again and asks for nothing.
    assert_eq!(outcome(&phone.visit(&door).await), Ok(()));
    assert_eq!(door.strike.count(), 1);
}

#[tokio::test]
async fn nobody_waits_longer_than_a_second_and_a_half_and_a_late_use_stays_the_doors() {
    let property = Property::new();
    let (_portal, door, mut line) = online(&property).await;
    let phone = Phone::resident(&property, THREE);
    let silent = async {
        let (request, _) = line.use_wanted().await;
        property.clock.advance(Duration::from_millis(1500));
        (line, request)
    };
    let (visit, (mut line, request)) = tokio::join!(phone.visit(&door), silent);
    assert_eq!(outcome(&visit), Err(Reason::NoUsesHeldHere));
    assert_eq!(line.events().await[0].denied, Some(Reason::NoUsesHeldHere));
    assert_eq!(line.order(&door, ceiling(1, 1, 0)).await, report(1, 1, 0));
    let denied = None;
    line.say(&FromPortal::UseAnswer { request, denied }).await;
    let again = phone.gesture(2).visit(&door).await;
    assert_eq!(outcome(&again), Ok(()));
}

#[tokio::test]
async fn a_word_of_the_portals_says_used_up_and_without_a_line_none_are_held_here() {
    let property = Property::new();
    let (_portal, door, mut line) = online(&property).await;
    let phone = Phone::resident(&property, THREE);
    let refusing = async {
        let (request, _) = line.use_wanted().await;
        let denied = Some(Reason::UsedUp);
        line.say(&FromPortal::UseAnswer { request, denied }).await;
        line
    };
    let (visit, mut line) = tokio::join!(phone.visit(&door), refusing);
    assert_eq!(outcome(&visit), Err(Reason::UsedUp));
    line.events().await;
    line.hang_up().await;
    let door = door.restart(true, RunConfig::default()).await;
    let again = phone.gesture(2).visit(&door).await;
    assert_eq!(outcome(&again), Err(Reason::NoUsesHeldHere));
}

#[tokio::test]
async fn a_key_that_does_not_open_now_asks_for_nothing() {
    let property = Property::new();
    let (_portal, door, mut line) = online(&property).await;
    let other_hours =
        r#"{"max_uses": 3, "windows": [{"days": ["tue"], "from": "12:00", "to": "13:00"}]}"#;
    let visit = Phone::resident(&property, other_hours).visit(&door).await;
    assert_eq!(outcome(&visit), Err(Reason::NoUsesHeldHere));
    assert_eq!(line.events().await[0].denied, Some(Reason::NoUsesHeldHere));
}

#[tokio::test]
async fn codes_count_uses_and_one_that_finds_none_is_not_used() {
    let property = Property::new();
    let (_portal, door, mut line) = online(&property).await;
    let guest = Guest::new(&property, THREE);
    let code = guest.long(property.now());
    let refusing = async {
        let (request, _) = line.use_wanted().await;
        let denied = Some(Reason::NoUsesHeldHere);
        line.say(&FromPortal::UseAnswer { request, denied }).await;
        line
    };
    let (answer, mut line) = tokio::join!(door.running.scan(&code), refusing);
    assert_eq!(answer.unwrap().reason, Some(Reason::NoUsesHeldHere));
    line.events().await;
    line.order(&door, ceiling(1, 1, 0)).await;
    let asked = async {
        let request = line.question().await;
        let denied = None;
        line.say(&FromPortal::CodeAnswer { request, denied }).await;
        line
    };
    let (answer, mut line) = tokio::join!(door.running.scan(&code), asked);
    assert!(answer.unwrap().opened, "the same code");
    assert_eq!(line.lease(&door).await, report(1, 1, 1));
}

#[tokio::test]
async fn a_door_obeys_later_orders_alone_and_keeps_what_it_has_spent() {
    let property = Property::new();
    let (portal, door, mut line) = online(&property).await;
    line.order(&door, ceiling(2, 2, 0)).await;
    let phone = Phone::resident(&property, THREE);
    assert_eq!(outcome(&phone.visit(&door).await), Ok(()));
    assert_eq!(line.lease(&door).await, report(2, 2, 1));
    line.events().await;
    assert_eq!(line.order(&door, ceiling(1, 9, 0)).await, report(2, 2, 1));
    assert_eq!(line.order(&door, ceiling(3, 0, 0)).await, report(3, 1, 1));
    assert_eq!(line.order(&door, ceiling(2, 2, 0)).await, report(3, 1, 1));
    line.hang_up().await;

    // It is told again at each connection, whatever happened in between.
    let config = RunConfig {
        portal_url: Some(portal.url.clone()),
        ..RunConfig::default()
    };
    let door = door.restart(true, config).await;
    let mut line = portal.accept().await;
    line.sign_in(&property, &door).await;
    assert_eq!(line.lease(&door).await, report(3, 1, 1));
}

#[tokio::test]
async fn all_leases_are_told_at_each_connection_in_as_many_states_as_it_takes() {
    let property = Property::new();
    let (portal, door, mut line) = online(&property).await;
    let ceilings: Vec<Ceiling> = (0..40)
        .map(|n| Ceiling {
            budget: BudgetId([n; 8]),
            ..ceiling(1, 1, 0)
        })
        .collect();
    line.say(&FromPortal::Ceilings { ceilings }).await;
    line.state(&door).await;
    line.hang_up().await;
    let mut line = portal.accept_later(&property.clock).await;
    line.sign_in(&property, &door).await;
    let mut told = Vec::new();
    for pages in [16, 16, 8] {
        let leases = line.state(&door).await.leases;
        assert_eq!(leases.len(), pages);
        told.extend(leases.iter().map(|lease| lease.budget.0[0]));
    }
    told.sort_unstable();
    assert_eq!(told, (0..40).collect::<Vec<u8>>());
}

#[tokio::test]
async fn two_carriers_of_one_gesture_spend_one_use() {
    let property = Property::new();
    let (_portal, door, mut line) = online(&property).await;
    line.order(&door, ceiling(1, 2, 0)).await;
    let phone = Phone::resident(&property, THREE);
    let (one, two) = tokio::join!(phone.visit(&door), phone.visit(&door));
    assert_eq!((outcome(&one), outcome(&two)), (Ok(()), Ok(())));
    assert_eq!(line.lease(&door).await, report(1, 2, 1));
    assert_eq!(door.strike.events().len(), 1);
}

/// With one use held and the portal away: whatever point the power goes at, the person gets in for that use, or has it
/// still.
#[tokio::test]
async fn whenever_the_power_goes_the_person_gets_in_for_one_use_or_keeps_it() {
    for (code, point) in [
        (false, Point::Decided),
        (false, Point::Spent),
        (false, Point::Moved),
        (false, Point::Noted),
        (true, Point::Decided),
        (true, Point::Spent),
        (true, Point::Moved),
        (true, Point::Noted),
    ] {
        let property = Property::new();
        let (_portal, door, mut line) = online(&property).await;
        line.order(&door, ceiling(1, 1, 0)).await;
        line.hang_up().await;
        let phone = Phone::resident(&property, THREE);
        let guest = Guest::new(&property, THREE);
        let text = guest.long(property.now());
        let opens = async |door: &Door| {
            if code {
                door.running.scan(&text).await.unwrap().opened
            } else {
                let visit = phone.visit(door).await;
                visit.record.is_some() && outcome(&visit) == Ok(())
            }
        };
        let (mut door, moved_before) = match point {
            // Nothing was stored.
            Point::Decided => (door.restart(true, RunConfig::default()).await, 0),
            Point::Spent | Point::Moved => {
                let (door, cut) = about_to_fail(&property, door).await;
                assert!(!opens(&door).await);
                let moved = usize::from(point == Point::Moved);
                (after(door, cut.picture()).await, moved)
            }
            Point::Noted => {
                assert!(opens(&door).await);
                (door.restart(true, RunConfig::default()).await, 1)
            }
        };
        let movements = door.strike.count();
        let again = opens(&door).await;
        let moved = moved_before + door.strike.count() - movements;
        match point {
            // The person is in.
            Point::Decided | Point::Spent => assert!(again && moved == 1, "{point:?}"),
            // Whether it had moved nobody knows: once more, at no cost.
            Point::Moved => assert!(again && moved == 2, "{point:?}"),
            // A phone hears so again, a picture of a code does not open twice.
            Point::Noted => assert!(again != code && moved == 1, "{point:?}"),
        }
        // In each case the one use is gone, and was spent once.
        let next = Phone::resident(&property, THREE).visit(&door).await;
        assert_eq!(outcome(&next), Err(Reason::NoUsesHeldHere), "{point:?}");
        door = door.restart(true, RunConfig::default()).await;
        assert!(!opens(&door).await || !code);
    }
}

/// Behind which write the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    /// Before the first.
    Decided,
    /// Use and event are stored, the lock has not moved.
    Spent,
    /// It has moved, and that is not stored.
    Moved,
    /// All is stored.
    Noted,
}
