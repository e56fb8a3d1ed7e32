//! Bad weather on every wire at once: connections that are lost, broken off, silent, late, and whole conversations that
//! arrive twice. What people do gets done all the same, once, and a withdrawal gets to its door.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails its test, and says where"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use latchkey_core::error::Error;
use latchkey_core::phone::Phone;
use latchkey_core::staff::{StaffDesk, Submitted};
use latchkey_core::unlock::CarrierKind;
use latchkey_env::chrono::TimeDelta;
use latchkey_env::{SystemClock, sleep};
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::api::people::NewPerson;
use latchkey_protocol::roles::Role;
use latchkey_protocol::rules::Reason;
use latchkey_test_faults::Dice;
use latchkey_tests::house::{House, door, mobile_key, person, unlock, until};
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
name = "Rita Resident"
role = "resident"
email = "rita@example.com"
"#;

const OPENINGS: usize = 8;
const PEOPLE: usize = 8;
/// When nothing has been on any wire for so long, everybody waits for what will not come.
const QUIET: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn people_get_in_staff_get_on_and_a_withdrawal_gets_to_its_door() {
    let dice = Arc::new(Dice::throw());
    let house = House::build(FILE).await.unwrap();
    let portal = house.portal().await.unwrap();
    let (olgas, ritas) = (Wire::open().await.unwrap(), Wire::open().await.unwrap());
    for wire in [&olgas, &ritas] {
        wire.lead_to(portal.addr());
    }
    let olga = phone(&house, &olgas, "olga@example.com").await;
    let rita = phone(&house, &ritas, "rita@example.com").await;
    let desk = olga.staff(olga.properties().unwrap()[0].id).unwrap();
    let gate = house.online(portal.addr(), &desk, "Gate").await.unwrap();
    let is_connected = |_: &Phone| door(&desk, "Gate").is_ok_and(|door| door.connected);
    until(&olga, is_connected).await.unwrap();
    let first = issue(&olga, &desk, "First").await;
    until(&rita, is_ready).await.unwrap();

    let wires = [&olgas, &ritas, &*gate.to_portal, &*gate.on_the_spot];
    for wire in wires {
        wire.set_weather(Some(dice.clone()));
    }
    let all = async {
        // Those who stand before the door come in, and each gesture opens it once at most.
        let mut gestures = 0;
        let mut opened = 0;
        while opened < OPENINGS {
            gestures += 1;
            match unlock(&rita, "Gate", CarrierKind::Stream).await {
                Ok(()) => opened += 1,
                Err(Error::Denied { reason, .. }) => panic!("{reason:?}"),
                Err(_) => {}
            }
        }
        let openings = gate.lock.openings();
        let events: BTreeSet<_> = openings.iter().map(|it| it.release.event).collect();
        assert!((opened..=gestures).contains(&openings.len()));
        assert_eq!(events.len(), openings.len(), "an opening twice");

        // What staff enter is there once, whether its answer came back or not.
        for number in 0..PEOPLE {
            let name = format!("Person {number}");
            let new = NewPerson {
                name,
                role: Role::Resident,
                email: None,
            };
            match desk.add_person(&new).await {
                Ok(Submitted::Done(_) | Submitted::Waiting(_)) | Err(Error::Offline(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        let second = issue(&olga, &desk, "Second").await;
        let knows = |name: &str| {
            let keys = rita.keys().unwrap();
            keys.iter().any(|key| key.name == name)
        };
        stubbornly(&rita, || knows("Second")).await;

        for key in [&first, &second] {
            withdraw(&olga, &desk, key).await;
        }
        // Her phone may not know it yet: the door does, before long.
        let reason = loop {
            let unlocked = unlock(&rita, "Gate", CarrierKind::Stream).await;
            if let Err(Error::Denied { reason, .. }) = unlocked {
                break reason;
            }
        };
        assert_eq!(reason, Reason::Revoked);
        stubbornly(&rita, || rita.keys().unwrap().is_empty()).await;
    };
    patiently(&house, &wires, all).await;

    for wire in wires {
        wire.set_weather(None);
    }
    until(&olga, |_| {
        let people = desk.people().unwrap();
        people
            .iter()
            .filter(|it| it.name.starts_with("Person"))
            .count()
            >= PEOPLE
    })
    .await
    .unwrap();
    let mut names: Vec<_> = desk
        .people()
        .unwrap()
        .into_iter()
        .map(|it| it.name)
        .collect();
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "somebody was entered twice");
}

async fn phone(house: &House, wire: &Wire, email: &str) -> Arc<Phone> {
    let url = format!("http://{}", wire.addr());
    house.phone(&url, email, TimeDelta::zero()).await.unwrap()
}

/// Issues the resident a key, in any weather.
async fn issue(olga: &Phone, desk: &StaffDesk, name: &str) -> Key {
    let draft = mobile_key(name, vec![person(desk, "Rita Resident").unwrap()]);
    desk.issue_key(&draft).await.unwrap();
    let found = || {
        let keys = desk.keys().unwrap();
        keys.into_iter().find(|key| key.name == name)
    };
    stubbornly(olga, || found().is_some()).await;
    found().unwrap()
}

/// Withdraws a key, in any weather.
async fn withdraw(olga: &Phone, desk: &StaffDesk, key: &Key) {
    desk.withdraw_key(key.id).await.unwrap();
    stubbornly(olga, || {
        let keys = desk.keys().unwrap();
        let found = keys.iter().find(|it| it.id == key.id);
        found.is_none_or(|key| key.withdrawal.is_some())
    })
    .await;
}

/// Syncs until it is so, however often that fails.
async fn stubbornly(phone: &Phone, is_so: impl Fn() -> bool) {
    while !is_so() {
        match phone.sync().await {
            Ok(_) | Err(Error::Offline(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Carries something out while time goes on faster whenever all wires are quiet.
async fn patiently<T>(house: &House, wires: &[&Wire; 4], work: impl Future<Output = T>) -> T {
    let hurry = async {
        let mut before = Vec::new();
        loop {
            sleep(&SystemClock, QUIET).await;
            let now: Vec<_> = wires
                .iter()
                .map(|wire| wire.carried())
                .map(|carried| (carried.out.len(), carried.back.len()))
                .collect();
            if now == before {
                house.time.clock().advance(PATIENCE);
            }
            before = now;
        }
    };
    tokio::select! {
        done = work => done,
        () = hurry => unreachable!("time does not end"),
    }
}
