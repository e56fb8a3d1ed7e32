//! A portal instance that has not got the signer: everything between a door and the portal goes through
//! it, and it changes whatever it likes.

use std::time::Duration;

use latchkey_core::unlock::CarrierKind;
use latchkey_env::chrono::TimeDelta;
use latchkey_tests::guest::Browser;
use latchkey_tests::house::{done, door, hurried, unlock, until};
use latchkey_tests::meddler::Meddler;
use latchkey_tests::scene::Scene;

/// How many messages it changes at least.
const CHANGES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_without_its_signer_opens_nothing() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let (rita, key) = scene.resident(TimeDelta::zero()).await.unwrap();
    let meddler = Meddler::before(scene.portal.addr()).await.unwrap();
    let connected = |wanted: bool| {
        let desk = &scene.desk;
        move |_: &_| door(desk, "Gate").is_ok_and(|door| door.connected == wanted)
    };
    gate.to_portal.lead_to(meddler.addr());
    gate.to_portal.set_up(false);
    until(&scene.olga, connected(false)).await.unwrap();
    gate.to_portal.set_up(true);
    until(&scene.olga, connected(true)).await.unwrap();
    unlock(&rita, "Gate", CarrierKind::Relay).await.unwrap();
    assert_eq!(gate.openings(), 1, "it carries faithfully at first");

    meddler.set_meddling(true);
    // A guest of whom the gate hears only through it: without the pass's statement, no code opens.
    let guest = scene.invite("Mira").await.unwrap();
    let link = scene.share(&guest).await.unwrap();
    let clock = scene.house.time.shared();
    let guest = Browser::open(&link, clock).await;
    let guest = guest.unwrap();
    while meddler.changed() < CHANGES {
        let relayed = unlock(&rita, "Gate", CarrierKind::Relay);
        let outcome = hurried(&scene.house.time, &gate.to_portal, relayed).await;
        assert!(outcome.is_err(), "{outcome:?}");
        let answer = gate.scan(&guest.code(false).unwrap()).await.unwrap();
        assert!(!answer.opened, "{answer:?}");
        scene.house.time.clock().advance(Duration::from_secs(15));
    }
    assert_eq!(gate.openings(), 1);

    // It cannot make up the proof that a withdrawal has arrived, either: it holds it back, and that shows.
    done(scene.desk.withdraw_key(key.id).await.unwrap()).unwrap();
    let changed = meddler.changed();
    while meddler.changed() < changed + 5 {
        scene.house.time.clock().advance(Duration::from_secs(1));
        scene.olga.sync().await.unwrap();
    }
    let keys = scene.desk.keys().unwrap();
    let withdrawn = keys.into_iter().find(|k| k.id == key.id).unwrap();
    let doors = withdrawn.withdrawal.unwrap().doors;
    assert!(doors.iter().all(|door| door.dead_at.is_none()), "{doors:?}");

    // With the portal itself again, all of it arrives.
    meddler.set_meddling(false);
    let answer = loop {
        scene.house.time.clock().advance(Duration::from_secs(1));
        let answer = gate.scan(&guest.code(false).unwrap()).await.unwrap();
        if answer.opened {
            break answer;
        }
    };
    assert_eq!(answer.reason, None);
    assert_eq!(gate.openings(), 2);
}
