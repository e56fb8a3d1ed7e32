//! Lock sync by phone: what is issued and withdrawn reaches a door without a network by the staff's phones, and what
//! happened there comes back.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it, in its helpers too"
)]

use std::time::Duration;

use latchkey_core::error::Error;
use latchkey_core::unlock::{CarrierKind, UnlockOptions};
use latchkey_core::views::DoorRef;
use latchkey_env::{SystemRandom, random_array};
use latchkey_protocol::api::events::Means;
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::ids::DoorId;
use latchkey_protocol::rules::Reason;
use latchkey_tests::gate::Gate;
use latchkey_tests::guest::Browser;
use latchkey_tests::house::{done, door, unlock, until};
use latchkey_tests::scene::{Scene, is_ready};

const CELLAR: &str = "Cellar";

/// A property with its cellar, and the owner's phone with a key for all doors, whose pass the cellar knows.
async fn scene() -> (Scene, Gate) {
    let scene = Scene::set().await.unwrap();
    let cellar = scene.offline(CELLAR).await.unwrap();
    let herself = scene.olga.properties().unwrap()[0].person;
    scene.issue("Master", herself).await.unwrap();
    until(&scene.olga, is_ready).await.unwrap();
    carry_until(&scene, &cellar, 1).await;
    (scene, cellar)
}

/// Carries what there is until the cellar knows so many passes and has said so, and nothing waits for it. A phone brings
/// statements too, so the cellar may know before the bundle is made that says the same.
async fn carry_until(scene: &Scene, cellar: &Gate, passes: u64) {
    loop {
        // What was carried is told first: the same bundle again would bring nothing new.
        scene.olga.sync().await.unwrap();
        if !pending(scene).is_empty() {
            carry(scene).await.unwrap();
        } else if cellar.running.status().await.unwrap().passes == passes {
            return;
        }
    }
}

/// A guest who has bound a link.
async fn guest(scene: &Scene, name: &str) -> (Key, Browser) {
    let key = scene.invite(name).await.unwrap();
    let link = scene.share(&key).await.unwrap();
    let clock = scene.house.time.shared();
    (key, Browser::open(&link, clock).await.unwrap())
}

/// What the cellar says to a guest's code.
async fn shown(scene: &Scene, cellar: &Gate, guest: &Browser, long: bool) -> Option<Reason> {
    // Each code is newer than the last.
    scene.house.time.clock().advance(Duration::from_millis(100));
    let answer = cellar.scan(&guest.code(long).unwrap()).await.unwrap();
    assert_eq!(answer.opened, answer.reason.is_none(), "{answer:?}");
    answer.reason
}

fn pending(scene: &Scene) -> Vec<DoorId> {
    let awaiting = scene.desk.awaiting_lock_sync().unwrap();
    awaiting.into_iter().map(|awaiting| awaiting.door).collect()
}

/// Syncs until lock sync has to be carried to the cellar, or need not be any more.
async fn until_pending(scene: &Scene, is_pending: bool) {
    until(&scene.olga, |_| pending(scene).is_empty() != is_pending)
        .await
        .unwrap();
}

async fn carry(scene: &Scene) -> Result<(), Error> {
    let at = DoorRef {
        property: scene.olga.properties()?[0].id,
        door: door(&scene.desk, CELLAR).unwrap().id,
    };
    let options = UnlockOptions {
        carriers: vec![CarrierKind::Stream],
        ..UnlockOptions::default()
    };
    scene.olga.carry_lock_sync(at, &options, &|_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staff_phone_brings_a_guests_pass_and_its_withdrawal_and_takes_the_log_along() {
    let (scene, cellar) = scene().await;
    let (key, mira) = guest(&scene, "Mira").await;
    let unknown = Some(Reason::NotYetAtThisDoor);
    assert_eq!(shown(&scene, &cellar, &mira, false).await, unknown);
    until_pending(&scene, true).await;
    assert_eq!(pending(&scene), [cellar.running.door()]);

    unlock(&scene.olga, CELLAR, CarrierKind::Stream)
        .await
        .unwrap();
    let status = cellar.running.status().await.unwrap();
    assert_eq!(status.passes, 2);
    assert_eq!(shown(&scene, &cellar, &mira, false).await, None);
    until_pending(&scene, false).await;

    // Withdrawn, until somebody has been there it opens all the same; somebody who need open nothing.
    done(scene.desk.withdraw_key(key.id).await.unwrap()).unwrap();
    assert_eq!(shown(&scene, &cellar, &mira, false).await, None);
    until_pending(&scene, true).await;
    let opened = cellar.openings();
    carry(&scene).await.unwrap();
    assert_eq!(cellar.openings(), opened);
    assert_eq!(shown(&scene, &cellar, &mira, false).await, unknown);
    let revoked = Some(Reason::Revoked);
    assert_eq!(shown(&scene, &cellar, &mira, true).await, revoked);
    until_pending(&scene, false).await;

    // What happened there before that visit has come to the portal with it, each entry once.
    let sorted = |events: Vec<(Means, Option<Reason>)>| {
        let mut events: Vec<_> = events.iter().map(|event| format!("{event:?}")).collect();
        events.sort_unstable();
        events
    };
    let events = || {
        let events = scene.desk.events().unwrap().into_iter();
        sorted(events.map(|event| (event.means, event.denied)).collect())
    };
    let before = sorted(vec![
        (Means::Code, unknown),
        (Means::Stream, None),
        (Means::Code, None),
        (Means::Code, None),
    ]);
    until(&scene.olga, |_| events().len() >= before.len())
        .await
        .unwrap();
    assert_eq!(events(), before);
    // The receipt comes with the next visit, and the rest goes out.
    let unreported = cellar.running.status().await.unwrap().unreported;
    assert_eq!(unreported, 4);
    carry(&scene).await.unwrap();
    assert_eq!(cellar.running.status().await.unwrap().unreported, 2);
    until(&scene.olga, |_| events().len() == 6).await.unwrap();
    carry(&scene).await.unwrap();
    assert_eq!(cellar.running.status().await.unwrap().unreported, 0);
}

/// The phone's connection breaks at any byte, again and again: each bundle arrives whole in the end, and nobody is let in
/// or kept out by a part of one.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_at_any_byte_delays_a_bundle_and_spoils_none() {
    let from_env = |name| std::env::var(name).ok()?.parse::<usize>().ok();
    let seed = from_env("LATCHKEY_SEED")
        .unwrap_or_else(|| usize::from_be_bytes(random_array(&SystemRandom)));
    println!("LATCHKEY_SEED={seed}");
    let cuts = from_env("LATCHKEY_CUTS").unwrap_or(6);
    let (scene, cellar) = scene().await;
    let mut guests = Vec::new();
    for at in 0..cuts + 8 {
        guests.push(guest(&scene, &format!("Guest {at}")).await);
    }
    let mut passes = guests.len() as u64 + 1;
    carry_until(&scene, &cellar, passes).await;

    // How many bytes one takes that nothing breaks.
    let (last, _) = guests.pop().unwrap();
    done(scene.desk.withdraw_key(last.id).await.unwrap()).unwrap();
    passes -= 1;
    carry_until(&scene, &cellar, passes).await;
    let whole = cellar.on_the_spot.carried().out.len();

    let mut random = seed;
    for (key, browser) in guests.iter().take(cuts) {
        done(scene.desk.withdraw_key(key.id).await.unwrap()).unwrap();
        until_pending(&scene, true).await;
        let number = cellar.running.status().await.unwrap().bundle.number;
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let cut = (random >> 33) % whole;
        cellar.on_the_spot.break_after(Some(cut));
        let _ = carry(&scene).await;
        let status = cellar.running.status().await.unwrap();
        let arrived = status.bundle.number > number;
        assert_eq!(
            status.passes,
            passes - u64::from(arrived),
            "cut at {cut} of {whole}"
        );
        cellar.on_the_spot.break_after(None);
        passes -= 1;
        carry(&scene).await.unwrap();
        carry_until(&scene, &cellar, passes).await;
        let status = cellar.running.status().await.unwrap();
        assert_eq!(
            (status.passes, status.bundle.number > number),
            (passes, true)
        );
        let revoked = Some(Reason::Revoked);
        assert_eq!(shown(&scene, &cellar, browser, true).await, revoked);
    }
}

/// A door that has lost its time, and a phone there that is online.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_online_lends_a_door_its_time() {
    let (scene, cellar) = scene().await;
    let folder = cellar.folder.clone();
    let addr = cellar.on_the_spot.addr();
    cellar.shutdown().await;
    let cellar = scene.house.again(folder).await.unwrap();
    let far = cellar.running.stream_addr().unwrap();
    // Phones go on dialling where it was, once what listened there is gone.
    let lead = loop {
        match tokio::net::TcpListener::bind(addr).await {
            Ok(lead) => break lead,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let task = tokio::spawn(async move {
        while let Ok((mut near, _)) = lead.accept().await {
            let mut far = tokio::net::TcpStream::connect(far).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    assert!(cellar.running.status().await.unwrap().clock.unsure);
    carry(&scene).await.unwrap();
    let clock = cellar.running.status().await.unwrap().clock;
    assert!(!clock.unsure, "{clock:?}");
    task.abort();
}
