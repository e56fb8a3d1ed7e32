//! Rotating codes and links, at real gates.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it, in its helpers too"
)]

use std::time::Duration;

use latchkey_core::phone::Phone;
use latchkey_core::unlock::CarrierKind;
use latchkey_env::chrono::TimeDelta;
use latchkey_protocol::rules::Reason;
use latchkey_tests::gate::Gate;
use latchkey_tests::guest::Browser;
use latchkey_tests::house::{unlock, until};
use latchkey_tests::scene::{Scene, first_key, is_ready};

async fn code(phone: &Phone) -> String {
    let key = first_key(phone).unwrap();
    phone.current_code(key, None).await.unwrap().text
}

async fn refused(gate: &Gate, text: &str) -> Option<Reason> {
    let answer = gate.scan(text).await.unwrap();
    assert_eq!(answer.opened, answer.reason.is_none(), "{answer:?}");
    answer.reason
}

/// The same picture before two gates at once, again and again: the portal lets one of them win.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_opens_one_door_of_all() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let second = scene.online("Second gate").await.unwrap();
    let (rita, _) = scene.resident(TimeDelta::zero()).await.unwrap();
    for round in 1..=5 {
        let text = code(&rita).await;
        let answers = tokio::join!(refused(&gate, &text), refused(&second, &text));
        assert!(
            matches!(
                answers,
                (None, Some(Reason::CodeUsedBefore)) | (Some(Reason::CodeUsedBefore), None)
            ),
            "{answers:?}"
        );
        assert_eq!(gate.openings() + second.openings(), round);
        scene.house.time.clock().advance(Duration::from_secs(15));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_code_is_refused() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let (rita, _) = scene.resident(TimeDelta::zero()).await.unwrap();
    for door in [&gate, &cellar] {
        let text = code(&rita).await;
        assert_eq!(refused(door, &text).await, None);
        let used = Some(Reason::CodeUsedBefore);
        assert_eq!(refused(door, &text).await, used);
        scene.house.time.clock().advance(Duration::from_secs(60));
        let late = Some(Reason::CodeTooOld);
        assert_eq!(refused(door, &text).await, late, "its window has passed");
    }
    assert_eq!((gate.openings(), cellar.openings()), (1, 1));
}

/// A copied link finds it taken; a resent one ends the one before, whose codes then open nothing: at once
/// where there is a network, and elsewhere once any phone has been there.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_binds_once() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let (rita, _) = scene.resident(TimeDelta::zero()).await.unwrap();
    let clock = scene.house.time.shared();
    let key = scene.invite("Mira").await.unwrap();
    let link = scene.share(&key).await.unwrap();
    let first = Browser::open(&link, clock.clone()).await.unwrap();
    let copied = Browser::open(&link, clock.clone()).await;
    assert!(copied.is_err(), "a copy of the link binds nothing");
    assert_eq!(refused(&gate, &first.code(true).unwrap()).await, None);
    assert_eq!(refused(&cellar, &first.code(true).unwrap()).await, None);

    let resent = scene.share(&key).await.unwrap();
    let late = Browser::open(&link, clock.clone()).await;
    assert!(late.is_err(), "the link before has ended");
    let second = Browser::open(&resent, clock).await;
    let second = second.unwrap();
    // The gate hears of it by itself.
    let answer = loop {
        scene.house.time.clock().advance(Duration::from_millis(100));
        if let Some(reason) = refused(&gate, &first.code(true).unwrap()).await {
            break reason;
        }
    };
    assert_eq!(answer, Reason::Revoked);
    assert_eq!(refused(&gate, &second.code(true).unwrap()).await, None);
    // The cellar does not, until somebody comes by.
    rita.sync().await.unwrap();
    unlock(&rita, "Cellar", CarrierKind::Stream).await.unwrap();
    let ended = refused(&cellar, &first.code(true).unwrap()).await;
    assert_eq!(ended, Some(Reason::Revoked));
    assert_eq!(refused(&cellar, &second.code(true).unwrap()).await, None);
}

/// In touch once, four minutes wrong either way: it opens by Aliro and by codes, at both kinds of door, the
/// portal gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_four_minutes_wrong() {
    for wrong in [-4, 4] {
        let scene = Scene::set().await.unwrap();
        let gate = scene.online("Gate").await.unwrap();
        let cellar = scene.offline("Cellar").await.unwrap();
        let (rita, _) = scene.resident(TimeDelta::minutes(wrong)).await.unwrap();
        until(&rita, is_ready).await.unwrap();
        scene.portal.shutdown().await;
        for (name, door) in [("Gate", &gate), ("Cellar", &cellar)] {
            unlock(&rita, name, CarrierKind::Stream).await.unwrap();
            assert_eq!(refused(door, &code(&rita).await).await, None, "{name}");
            scene.house.time.clock().advance(Duration::from_secs(15));
        }
    }
}
