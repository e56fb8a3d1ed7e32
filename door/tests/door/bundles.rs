//! Bundles that phones bring to a door without a network.

use std::time::Duration;

use latchkey_door::RunConfig;
use latchkey_protocol::bundle::{Content, PAGE};
use latchkey_protocol::doorstate::{BundleNumber, DoorState, StatementNumbers};
use latchkey_protocol::ids::Generation;
use latchkey_protocol::pass::{DoorSet, Pass};
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::rules::Reason;
use latchkey_protocol::statement::{Addressee, Body, DoorSettings, SignedStatement};
use latchkey_protocol::uses::{Ceiling, LeaseNumber};

use crate::guest::Guest;
use crate::phone::{Carries, Phone, Sealed, Visit, denied};
use crate::property::{BUDGET, Door, Property};

pub(crate) fn with(bundle: Sealed) -> Carries {
    Carries {
        bundle: Some(bundle),
        ..Carries::default()
    }
}

fn state(visit: &Visit, door: &Door) -> DoorState {
    let state = visit.state.as_ref().expect("the door's state");
    state.verify(&door.reader_key).unwrap()
}

async fn scanned(door: &Door, guest: &Guest, property: &Property) -> Option<Reason> {
    // Each code is newer than the last.
    property.clock.advance(Duration::from_millis(100));
    let answer = door.running.scan(&guest.short(property.now())).await;
    answer.unwrap().reason
}

/// What a bundle says of these guests, whose statements have these numbers.
pub(crate) fn passes(guests: &[(u64, &Guest)]) -> Content {
    Content {
        passes: guests
            .iter()
            .map(|(number, guest)| (*number, guest.signed.clone()))
            .collect(),
        ..Content::default()
    }
}

fn number(number: u64) -> BundleNumber {
    BundleNumber { epoch: 1, number }
}

/// Guest by guest it would have been two statements; the bundle stands for both, and says so.
#[tokio::test]
async fn a_bundle_makes_known_what_statements_told_and_withdraws_what_they_do_not_say_any_more() {
    let mut property = Property::new();
    let door = Door::new(&property).await;
    let (stays, goes, new) = (
        Guest::new(&property, "{}"),
        Guest::new(&property, "{}"),
        Guest::new(&property, "{}"),
    );
    let told = vec![
        property.state(Body::Pass(stays.signed.clone())),
        property.state(Body::Pass(goes.signed.clone())),
    ];
    let phone = Phone::resident(&property, "{}").with_statements(told);
    phone.visit(&door).await;
    assert_eq!(scanned(&door, &goes, &property).await, None);
    assert_eq!(
        scanned(&door, &new, &property).await,
        Some(Reason::NotYetAtThisDoor)
    );

    property.state(Body::Pass(new.signed.clone()));
    let list = property.revoke(Revocations {
        passes: [goes.pass.id].into(),
        ..Revocations::default()
    });
    let content = Content {
        revocations: Some(list),
        ..passes(&[(2, &stays), (4, &new)])
    };
    let bundle = property.bundle(&door, 1, content);
    let staff = Phone::resident(&property, "{}").carries(with(bundle));
    let visit = staff.visit(&door).await;
    let state = state(&visit, &door);
    assert_eq!(state.bundle, number(1));
    let numbers = StatementNumbers {
        epoch: 1,
        all: 4,
        own: 0,
    };
    assert_eq!(state.statements, numbers);
    assert_eq!(state.list.version, 1);
    assert_eq!(scanned(&door, &stays, &property).await, None);
    assert_eq!(scanned(&door, &new, &property).await, None);
    // Not known any more, and its long code says who withdrew it.
    property.clock.advance(Duration::from_millis(100));
    let answer = door.running.scan(&goes.long(property.now())).await;
    assert_eq!(answer.unwrap().reason, Some(Reason::Revoked));

    // All of it survives a loss of power.
    let door = door.restart(true, RunConfig::default()).await;
    let status = door.running.status().await.unwrap();
    assert_eq!((status.bundle, status.passes), (number(1), 2));
    assert_eq!(scanned(&door, &new, &property).await, None);
}

/// Held back until it is old, a bundle changes nothing: neither when a newer one was there, nor against
/// statements that came later by themselves.
#[tokio::test]
async fn an_old_bundle_held_back_revives_nothing() {
    let mut property = Property::new();
    let door = Door::new(&property).await;
    let (gone, narrowed) = (Guest::new(&property, "{}"), Guest::new(&property, "{}"));
    let told = vec![
        property.state(Body::Pass(gone.signed.clone())),
        property.state(Body::Pass(narrowed.signed.clone())),
    ];
    let old = passes(&[(2, &gone), (3, &narrowed)]);
    let (first, second) = (
        property.bundle(&door, 1, old.clone()),
        property.bundle(&door, 2, old),
    );
    let newer = property.bundle(&door, 3, passes(&[(3, &narrowed)]));
    let staff = Phone::resident(&property, "{}").carries(with(newer));
    staff.visit(&door).await;
    assert_eq!(
        scanned(&door, &gone, &property).await,
        Some(Reason::NotYetAtThisDoor)
    );
    for held_back in [first, second] {
        let visit = Phone::resident(&property, "{}").carries(with(held_back));
        let state = state(&visit.visit(&door).await, &door);
        assert_eq!(state.bundle, number(3));
    }
    // Nor do the statements that it stands for, held back as well.
    let phone = Phone::resident(&property, "{}").with_statements(told);
    assert_eq!(state(&phone.visit(&door).await, &door).statements.all, 3);
    assert_eq!(
        scanned(&door, &gone, &property).await,
        Some(Reason::NotYetAtThisDoor)
    );

    // A bundle that never arrived, and stands for less than the door has heard since.
    let held_back = property.bundle_of(&door, 4, 3, passes(&[(2, &gone), (3, &narrowed)]));
    let nowhere = property.sign_pass(&Pass {
        doors: DoorSet::of([]),
        ..narrowed.pass.clone()
    });
    let later = property.statement(Addressee::All, 4, Body::Pass(nowhere));
    let list = property.revoke(Revocations {
        passes: [gone.pass.id].into(),
        ..Revocations::default()
    });
    let phone = Phone::resident(&property, "{}")
        .carrying(&list)
        .with_statements(vec![later]);
    assert_eq!(state(&phone.visit(&door).await, &door).statements.all, 4);
    let late = Phone::resident(&property, "{}").carries(with(held_back));
    let state = state(&late.visit(&door).await, &door);
    assert_eq!((state.bundle, state.statements.all), (number(4), 4));
    assert_eq!(
        scanned(&door, &narrowed, &property).await,
        Some(Reason::WrongDoor),
        "the later statement stands"
    );
    let revoked = Some(Reason::Revoked);
    assert_eq!(scanned(&door, &gone, &property).await, revoked);
}

/// Its header was obeyed in time; before its last page came, the portal began a new epoch.
#[tokio::test]
async fn a_bundle_half_brought_in_one_epoch_is_not_obeyed_in_the_next() {
    let mut property = Property::new();
    let door = Door::new(&property).await;
    let olds: Vec<_> = (0..30).map(|_| Guest::new(&property, "{}")).collect();
    for old in &olds {
        property.state(Body::Pass(old.signed.clone()));
    }
    let numbered: Vec<_> = (2u64..).zip(&olds).collect();
    let bundle = property.bundle(&door, 1, passes(&numbered));
    let mut pages = bundle.pages();
    let last = pages.pop().unwrap();
    assert!(!pages.is_empty());
    let bring = |pages| Carries {
        pages: Some(pages),
        ..with(bundle.clone())
    };
    let carrier = || Phone::resident(&property, "{}");
    let (first, second) = (carrier().carries(bring(pages)), carrier());
    let half = first.visit(&door).await;
    assert_eq!(state(&half, &door).bundle, BundleNumber::default());

    let new = Guest::new(&property, "{}");
    property.begin_epoch();
    let told = property.state(Body::Pass(new.signed.clone()));
    let phone = Phone::resident(&property, "{}").with_statements(vec![told]);
    phone.visit(&door).await;
    assert_eq!(scanned(&door, &new, &property).await, None);

    let second = second.gesture(2).carries(bring(vec![last]));
    let visit = second.visit(&door).await;
    assert_eq!(visit.needs.as_ref().unwrap().assembling, None);
    let state = state(&visit, &door);
    let numbers = StatementNumbers {
        epoch: 2,
        all: 1,
        own: 0,
    };
    assert_eq!(
        (state.bundle, state.statements),
        (BundleNumber::default(), numbers)
    );
    assert_eq!(scanned(&door, &new, &property).await, None);
    let unknown = Some(Reason::NotYetAtThisDoor);
    assert_eq!(scanned(&door, &olds[0], &property).await, unknown);
}

#[tokio::test]
async fn settings_of_a_bundle_replace_those_before_it_and_no_later_ones() {
    let mut property = Property::new();
    let door = Door::new(&property).await;
    let pulse = |ms| Body::DoorSettings(DoorSettings { relay_pulse_ms: ms });
    let short = property.state(pulse(1000));
    let long = property.state(pulse(9000));
    let content = |statement: &[u8]| Content {
        statements: vec![SignedStatement::from_bytes(statement).unwrap()],
        ..Content::default()
    };
    let first = property.bundle_of(&door, 1, 2, content(&short));
    let staff = Phone::resident(&property, "{}").carries(with(first));
    staff.visit(&door).await;
    assert_eq!(pulse_of(&door, &property, 1).await, 1000);
    let phone = Phone::resident(&property, "{}").with_statements(vec![long]);
    phone.visit(&door).await;
    assert_eq!(pulse_of(&door, &property, 2).await, 9000);
    let second = property.bundle_of(&door, 2, 2, content(&short));
    let staff = Phone::resident(&property, "{}").carries(with(second));
    assert_eq!(state(&staff.visit(&door).await, &door).bundle, number(2));
    assert_eq!(pulse_of(&door, &property, 3).await, 9000);
    // A door without a calendar would let nobody in: what a bundle does not say of settings stays.
    let ranged = Phone::resident(&property, r#"{"range": {"until": "2026-12-01"}}"#);
    assert_eq!(denied(&ranged.visit(&door).await), None);
}

async fn pulse_of(door: &Door, property: &Property, gesture: u8) -> u128 {
    let phone = Phone::resident(property, "{}").gesture(gesture);
    assert_eq!(denied(&phone.visit(door).await), None);
    door.strike.last_pulse().as_millis()
}

#[tokio::test]
async fn a_replaced_controllers_bundle_is_nothing_to_the_new_one() {
    let property = Property::new();
    let first = Door::new(&property).await;
    let second = Door::replacing_the_first(&property).await;
    assert_eq!(first.id, second.id);
    let guest = Guest::new(&property, "{}");
    for old in [
        property.bundle(&first, 9, passes(&[(1, &guest)])),
        // Sealed to the right key, under the generation before.
        property.bundle_for(&second.sealing_key, first.id, first.generation, 9, &guest),
    ] {
        let staff = Phone::resident(&property, "{}").carries(with(old));
        let visit = staff.visit(&second).await;
        assert_eq!(state(&visit, &second).bundle, BundleNumber::default());
        assert_eq!(visit.needs.unwrap().generation, Generation(2));
    }
    let new = property.bundle(&second, 10, passes(&[(1, &guest)]));
    let staff = Phone::resident(&property, "{}").carries(with(new));
    assert_eq!(
        state(&staff.visit(&second).await, &second).bundle,
        number(10)
    );
    assert_eq!(scanned(&second, &guest, &property).await, None);
}

/// Another door's carrier, its thief, or the whole property's phones: what is sealed to one door is noise
/// to all others.
#[tokio::test]
async fn a_bundle_for_one_door_tells_another_nothing() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let other = Door::with(&property, 8, RunConfig::default()).await;
    let guest = Guest::new(&property, "{}");
    let bundle = property.bundle(&door, 1, passes(&[(1, &guest)]));
    let staff = Phone::resident(&property, "{}").carries(with(bundle.clone()));
    let visit = staff.visit(&other).await;
    assert_eq!(state(&visit, &other).bundle, BundleNumber::default());

    // Said to be for the other: the key it is sealed to is not there.
    let disguised = property.bundle_for(&door.sealing_key, other.id, other.generation, 1, &guest);
    let mut phone = Phone::resident(&property, "{}").carries(with(disguised));
    phone.grant(&property, 8, "{}");
    let visit = phone.visit(&other).await;
    assert_eq!(state(&visit, &other).bundle, BundleNumber::default());
    // It is not asked for again.
    let again = phone.gesture(2).visit(&other).await.needs.unwrap();
    assert_eq!(again.assembling.unwrap().missing, Vec::<u16>::new());

    let carried = [bundle.header, bundle.body].concat();
    let secrets = [
        guest.pass.id.0.to_vec(),
        guest.pass.code_key.x().to_vec(),
        guest.signed.to_bytes()[..24].to_vec(),
    ];
    for secret in secrets {
        let shown = carried.windows(secret.len()).any(|part| part == secret);
        assert!(!shown, "{secret:x?}");
    }
}

/// Pages out of order, twice, of another bundle, changed, or without a header: only those that the issuer
/// signed at their place count, and only whole.
#[tokio::test]
async fn pages_count_at_their_place_alone() {
    let mut property = Property::new();
    let door = Door::new(&property).await;
    let guests: Vec<_> = (0..60).map(|_| Guest::new(&property, "{}")).collect();
    for guest in &guests {
        property.state(Body::Pass(guest.signed.clone()));
    }
    let numbered = |guests: &[Guest]| {
        let numbers = (2u64..)
            .zip(guests)
            .map(|(number, guest)| (number, guest.signed.clone()));
        Content {
            passes: numbers.collect(),
            ..Content::default()
        }
    };
    let bundle = property.bundle(&door, 1, numbered(&guests));
    let other = property.bundle(&door, 2, numbered(&guests[1..]));
    let count = bundle.body.len().div_ceil(PAGE);
    assert!(count > 2, "{count} pages");

    let bring = async |bundle: &Sealed, pages: Vec<_>, gesture: u8| {
        let carries = Carries {
            pages: Some(pages),
            ..with(bundle.clone())
        };
        let phone = Phone::resident(&property, "{}").gesture(gesture);
        let visit = phone.carries(carries).visit(&door).await;
        state(&visit, &door).bundle
    };
    let nothing = BundleNumber::default();
    // Another bundle's under this one's number.
    let mut mixed = bundle.pages();
    mixed[1].bytes = other.pages()[1].bytes.clone();
    assert_eq!(bring(&bundle, mixed, 1).await, nothing);
    // A changed one, and two that changed places.
    let mut changed = bundle.pages();
    changed[1].bytes[17] ^= 1;
    assert_eq!(bring(&bundle, changed, 2).await, nothing);
    let mut swapped = bundle.pages();
    swapped[1].index = 2;
    swapped[2].index = 1;
    assert_eq!(bring(&bundle, swapped, 3).await, nothing);
    // The missing one alone makes it whole; whatever comes twice counts once.
    let mut rest = bundle.pages();
    rest.reverse();
    rest.push(rest[0].clone());
    assert_eq!(bring(&bundle, rest, 4).await, number(1));
    let status = door.running.status().await.unwrap();
    assert_eq!(status.passes, 60);
    // Pages of a bundle that nobody has announced.
    assert_eq!(bring(&bundle, other.pages(), 5).await, number(1));
}

/// Statements may be for this door and rightly signed, and still have no place in a bundle.
#[tokio::test]
async fn a_bundle_that_cannot_be_obeyed_whole_changes_nothing() {
    let mut property = Property::new();
    let door = Door::new(&property).await;
    let elsewhere = Property::new();
    let guest = Guest::new(&property, "{}");
    let stranger = Guest::new(&elsewhere, "{}");
    property.state(Body::Pass(guest.signed.clone()));
    let statement = |addressee, number, body| {
        let bytes = property.statement(addressee, number, body);
        SignedStatement::from_bytes(&bytes).unwrap()
    };
    let pulse = || Body::DoorSettings(DoorSettings { relay_pulse_ms: 77 });
    let one_statement = |statement| Content {
        statements: vec![statement],
        ..passes(&[(2, &guest)])
    };
    let unfit = [
        passes(&[(2, &stranger)]),
        passes(&[(3, &guest)]),
        one_statement(statement(Addressee::All, 3, pulse())),
        one_statement(statement(Addressee::Door(door.id), 1, pulse())),
        one_statement(statement(
            Addressee::All,
            2,
            Body::Pass(guest.signed.clone()),
        )),
        Content {
            revocations: Some(b"no list".to_vec()),
            ..passes(&[(2, &guest)])
        },
    ];
    for (content, at) in unfit.into_iter().zip(1u8..) {
        let bundle = property.bundle(&door, at.into(), content.clone());
        let staff = Phone::resident(&property, "{}").carries(with(bundle));
        let state = state(&staff.visit(&door).await, &door);
        assert_eq!(
            (state.bundle, state.statements.all),
            (BundleNumber::default(), 1),
            "{content:?}"
        );
        let status = door.running.status().await.unwrap();
        assert_eq!(status.passes, 0);
    }
    let good = property.bundle(&door, 9, passes(&[(2, &guest)]));
    let staff = Phone::resident(&property, "{}").carries(with(good));
    assert_eq!(state(&staff.visit(&door).await, &door).bundle, number(9));
}

/// Who carries need not open: no commit, no event, and no commit behind it either.
#[tokio::test]
async fn somebody_without_a_key_for_the_door_brings_a_bundle_and_opens_nothing() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let guest = Guest::new(&property, "{}");
    let bundle = property.bundle(&door, 1, passes(&[(1, &guest)]));
    let carries = Carries {
        only: true,
        takes_log: true,
        ..with(bundle)
    };
    let visit = Phone::stranger(&property)
        .carries(carries)
        .visit(&door)
        .await;
    assert_eq!(state(&visit, &door).bundle, number(1));
    assert!(visit.record.is_none() && visit.lock.is_none());
    assert_eq!(door.strike.count(), 0);
    assert_eq!(scanned(&door, &guest, &property).await, None);
}

/// Uses of counted keys, ahead: a door that can ask nobody gives them, and no more.
#[tokio::test]
async fn a_bundle_brings_uses_and_an_older_order_in_a_newer_one_brings_none() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let order = |count, ceiling| Content {
        ceilings: vec![Ceiling {
            budget: BUDGET,
            number: LeaseNumber { epoch: 1, count },
            ceiling,
            spent: 0,
            until: None,
        }],
        ..Content::default()
    };
    let bundle = property.bundle(&door, 1, order(2, 1));
    let staff = Phone::resident(&property, "{}").carries(with(bundle));
    let visit = staff.visit(&door).await;
    let leases = state(&visit, &door).leases;
    assert_eq!((leases[0].ceiling, leases[0].spent), (1, 0), "signed for");
    let guest = Guest::new(&property, r#"{"max_uses": 3}"#);
    let comes = async |door: &Door| {
        property.clock.advance(Duration::from_millis(100));
        let answer = door.running.scan(&guest.long(property.now())).await;
        answer.unwrap().reason
    };
    assert_eq!(comes(&door).await, None);
    assert_eq!(comes(&door).await, Some(Reason::NoUsesHeldHere));
    let late = property.bundle(&door, 2, order(1, 9));
    let staff = staff.gesture(2).carries(with(late));
    let visit = staff.visit(&door).await;
    let leases = state(&visit, &door).leases;
    assert_eq!((leases[0].ceiling, leases[0].spent), (1, 1));
    assert_eq!(comes(&door).await, Some(Reason::NoUsesHeldHere));
}
