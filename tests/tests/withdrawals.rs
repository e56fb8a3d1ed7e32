//! Withdrawn keys, at doors with a network and without.

use std::time::Duration;

use latchkey_core::error::Error;
use latchkey_core::phone::Phone;
use latchkey_core::unlock::CarrierKind;
use latchkey_env::chrono::TimeDelta;
use latchkey_protocol::rules::Reason;
use latchkey_tests::guest::Browser;
use latchkey_tests::house::{done, unlock, until};
use latchkey_tests::scene::{Scene, is_ready};

async fn refused(phone: &Phone, name: &str) -> Option<Reason> {
    match unlock(phone, name, CarrierKind::Stream).await {
        Ok(()) => None,
        Err(Error::Denied { reason, .. }) => Some(reason),
        Err(other) => panic!("{other:?}"),
    }
}

/// A phone that never hears of it, and a guest's browser, at a door with a network: it hears by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_key_is_refused() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let (rita, key) = scene.resident(TimeDelta::zero()).await.unwrap();
    let guests = scene.invite("Mira").await.unwrap();
    let link = scene.share(&guests).await.unwrap();
    let clock = scene.house.time.shared();
    let mira = Browser::open(&link, clock).await.unwrap();
    assert_eq!(refused(&rita, "Gate").await, None);
    let answer = gate.scan(&mira.code(true).unwrap()).await.unwrap();
    assert!(answer.opened, "{answer:?}");

    done(scene.desk.withdraw_key(key.id).await.unwrap()).unwrap();
    done(scene.desk.withdraw_key(guests.id).await.unwrap()).unwrap();
    let reason = loop {
        if let Some(reason) = refused(&rita, "Gate").await {
            break reason;
        }
    };
    assert_eq!(reason, Reason::Revoked);
    let reason = loop {
        // Each code is newer than the last.
        scene.house.time.clock().advance(Duration::from_millis(100));
        let answer = gate.scan(&mira.code(true).unwrap()).await.unwrap();
        if let Some(reason) = answer.reason {
            break reason;
        }
    };
    assert_eq!(reason, Reason::Revoked);
}

/// At a door without one, any phone that comes by brings the news.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_key_is_refused_offline_once_a_phone_has_been_there() {
    let scene = Scene::set().await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let (rita, key) = scene.resident(TimeDelta::zero()).await.unwrap();
    let herself = scene.olga.properties().unwrap()[0].person;
    scene.issue("Master", herself).await.unwrap();
    until(&scene.olga, is_ready).await.unwrap();
    let guests = scene.invite("Mira").await.unwrap();
    let link = scene.share(&guests).await.unwrap();
    let clock = scene.house.time.shared();
    let mira = Browser::open(&link, clock).await.unwrap();
    done(scene.desk.withdraw_key(key.id).await.unwrap()).unwrap();
    done(scene.desk.withdraw_key(guests.id).await.unwrap()).unwrap();
    assert_eq!(refused(&rita, "Cellar").await, None, "nobody was there yet");
    let answer = cellar.scan(&mira.code(true).unwrap()).await.unwrap();
    assert!(answer.opened, "{answer:?}");

    scene.olga.sync().await.unwrap();
    assert_eq!(refused(&scene.olga, "Cellar").await, None);
    let revoked = Some(Reason::Revoked);
    assert_eq!(refused(&rita, "Cellar").await, revoked);
    scene.house.time.clock().advance(Duration::from_millis(100));
    let answer = cellar.scan(&mira.code(true).unwrap()).await.unwrap();
    assert_eq!(answer.reason, revoked);
}
