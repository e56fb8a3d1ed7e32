//! Two processes of one portal, on one PostgreSQL, before real doors and phones.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use latchkey_core::error::Error;
use latchkey_core::phone::Phone;
use latchkey_core::staff::{StaffDesk, Submitted};
use latchkey_core::unlock::CarrierKind;
use latchkey_env::{Clock as _, SystemClock};
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::api::people::NewPerson;
use latchkey_protocol::roles::Role;
use latchkey_protocol::rules::Reason;
use latchkey_tests::house::{House, done, door, mobile_key, person, unlock, until};
use latchkey_tests::instances::Crowd;
use latchkey_tests::scene::is_ready;
use latchkey_tests::wire::Wire;

const FILE: &str = r#"
[property]
name = "Harbour View"
zone = "Europe/Lisbon"

[owner]
name = "Olga Owner"
email = "olga@example.com"

[[doors]]
name = "Gate"
kind = "gate"
reach = "online"

[[people]]
name = "Mara Manager"
role = "manager"
email = "mara@example.com"

[[people]]
name = "Rita Resident"
role = "resident"
email = "rita@example.com"
"#;

/// How many writes are acknowledged at each instance before one is killed, and at the moved phone after.
const BEFORE: usize = 20;
const AFTER: usize = 10;

async fn issue(olga: &Phone, desk: &StaffDesk, name: &str) -> anyhow::Result<Key> {
    olga.sync().await?;
    let draft = mobile_key(name, vec![person(desk, "Rita Resident")?]);
    done(desk.issue_key(&draft).await?)
}

/// Enters people one after the other until it is told to stop; those that were acknowledged.
async fn load(desk: StaffDesk, who: &str, enough: usize, go_on: Arc<AtomicBool>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut count = 0;
    while acknowledged.len() < enough || go_on.load(Ordering::Relaxed) {
        count += 1;
        let new = NewPerson {
            name: format!("{who} {count}"),
            role: Role::Resident,
            email: None,
        };
        match desk.add_person(&new).await {
            Ok(Submitted::Done(person)) => acknowledged.push(person.name),
            // It waits in the phone's outbox: nothing has been promised.
            Ok(Submitted::Waiting(_)) | Err(Error::Offline { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn one_of_two_instances_is_killed_under_load_and_nothing_acknowledged_is_lost() {
    let house = House::build(FILE).await.unwrap();
    let mut crowd = Crowd::of(Path::new(env!("CARGO_BIN_EXE_instance")));
    let stays = crowd.start(&house).await.unwrap();
    let dies = crowd.start(&house).await.unwrap();
    // As a load balancer spreads them.
    let [to_olga, to_mara, to_rita] = [stays.addr(), dies.addr(), dies.addr()];
    let wires = [
        Wire::open().await.unwrap(),
        Wire::open().await.unwrap(),
        Wire::open().await.unwrap(),
    ];
    for (wire, addr) in wires.iter().zip([to_olga, to_mara, to_rita]) {
        wire.lead_to(addr);
    }
    let url = |wire: &Wire| format!("http://{}", wire.addr());
    let mut phones = Vec::new();
    for (wire, who) in wires.iter().zip(["olga", "mara", "rita"]) {
        let email = format!("{who}@example.com");
        phones.push(crowd.phone(&house, &url(wire), &email).await.unwrap());
    }
    let [olga, mara, rita] = &phones[..] else {
        unreachable!()
    };
    let property = olga.properties().unwrap()[0].id;
    let desk = olga.staff(property).unwrap();
    let gate = house.online(dies.addr(), &desk, "Gate").await.unwrap();
    let is_connected = |_: &Phone| door(&desk, "Gate").is_ok_and(|door| door.connected);
    until(olga, is_connected).await.unwrap();

    // Withdrawn at one instance, refused by a door that is connected to the other.
    let key = issue(olga, &desk, "First").await.unwrap();
    until(rita, is_ready).await.unwrap();
    unlock(rita, "Gate", CarrierKind::Stream).await.unwrap();
    done(desk.withdraw_key(key.id).await.unwrap()).unwrap();
    let acknowledged = SystemClock.monotonic();
    let reason = loop {
        match unlock(rita, "Gate", CarrierKind::Stream).await {
            Ok(()) => {}
            Err(Error::Denied { reason, .. }) => break reason,
            Err(other) => panic!("{other:?}"),
        }
    };
    let took = SystemClock.monotonic() - acknowledged;
    assert_eq!(reason, Reason::Revoked);
    println!(
        "a withdrawal reached a door at the other instance {took:?} after it was acknowledged"
    );

    // A phone at one, a door at the other.
    issue(olga, &desk, "Second").await.unwrap();
    let holds_second = |rita: &Phone| {
        let keys = rita.keys().unwrap();
        is_ready(rita) && keys.iter().all(|key| key.name == "Second")
    };
    until(rita, holds_second).await.unwrap();
    wires[2].lead_to(stays.addr());
    wires[2].set_up(false);
    wires[2].set_up(true);
    unlock(rita, "Gate", CarrierKind::Relay).await.unwrap();

    let (more_before, more_after) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicBool::new(true)),
    );
    let here = tokio::spawn(load(
        olga.staff(property).unwrap(),
        "Here",
        BEFORE,
        more_after.clone(),
    ));
    let there = tokio::spawn(load(
        mara.staff(property).unwrap(),
        "There",
        BEFORE,
        more_before.clone(),
    ));
    // Both have written, and both are in the middle of it.
    until(olga, |_| {
        let people = desk.people().unwrap();
        let of = |who: &str| people.iter().filter(|p| p.name.starts_with(who)).count();
        of("Here") >= BEFORE && of("There") >= BEFORE
    })
    .await
    .unwrap();
    dies.kill().unwrap();
    wires[1].lead_to(stays.addr());
    gate.to_portal.lead_to(stays.addr());
    more_before.store(false, Ordering::Relaxed);
    let mut acknowledged = there.await.unwrap();
    // The phone goes on at the instance that is left.
    let goes_on = load(
        mara.staff(property).unwrap(),
        "Moved",
        AFTER,
        Arc::new(AtomicBool::new(false)),
    );
    acknowledged.extend(goes_on.await);
    more_after.store(false, Ordering::Relaxed);
    acknowledged.extend(here.await.unwrap());
    println!("{} writes were acknowledged", acknowledged.len());

    olga.sync().await.unwrap();
    let names: Vec<String> = desk.people().unwrap().into_iter().map(|p| p.name).collect();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|name| !names.contains(name))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
    let each: BTreeSet<&String> = names.iter().collect();
    assert_eq!(each.len(), names.len(), "what was sent twice counts once");

    // The door has moved over by itself.
    loop {
        match unlock(rita, "Gate", CarrierKind::Relay).await {
            Ok(()) => break,
            Err(Error::Denied { reason, .. }) => panic!("{reason:?}"),
            Err(_) => {}
        }
    }
}
