//! A portal whose database was restored from a backup, before doors and phones that know more than it does.
#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it, in its helpers too"
)]

use std::num::NonZeroU32;
use std::time::Duration;

use latchkey_core::error::Error;
use latchkey_core::phone::Phone;
use latchkey_core::staff::Submitted;
use latchkey_core::unlock::CarrierKind;
use latchkey_env::chrono::TimeDelta;
use latchkey_protocol::api::keys::{Key, KeyDraft, WriteOff};
use latchkey_protocol::ids::{Generation, PersonId};
use latchkey_protocol::rules::{AccessRules, Range, Reason};
use latchkey_tests::gate::Gate;
use latchkey_tests::guest::Browser;
use latchkey_tests::house::{Backup, House, done, door, mobile_key, person, qr_key, unlock, until};
use latchkey_tests::scene::{Scene, is_ready};

const REVOKED: Option<Reason> = Some(Reason::Revoked);

async fn refused(phone: &Phone, name: &str) -> Option<Reason> {
    match unlock(phone, name, CarrierKind::Stream).await {
        Ok(()) => None,
        Err(Error::Denied { reason, .. }) => Some(reason),
        Err(other) => panic!("{other:?}"),
    }
}

/// What a door says to a guest's code.
async fn shown(scene: &Scene, gate: &Gate, guest: &Browser, long: bool) -> Option<Reason> {
    // Each code is newer than the last.
    scene.house.time.clock().advance(Duration::from_millis(100));
    let answer = gate.scan(&guest.code(long).unwrap()).await.unwrap();
    answer.reason
}

/// The portal's own word on whether it can work.
async fn is_ready_to_issue(scene: &Scene) -> bool {
    let url = format!("{}/readyz", scene.portal.url());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(url).send().await.unwrap();
    if answer.status().is_success() {
        return true;
    }
    let problem = answer.text().await.unwrap();
    assert!(
        problem.contains("begin-epoch"),
        "says what to do: {problem}"
    );
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_withdrawn_comes_back_after_a_restore_and_nobody_is_locked_out() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let (rita, key) = scene.resident(TimeDelta::zero()).await.unwrap();
    let herself = scene.olga.properties().unwrap()[0].person;
    scene.issue("Master", herself).await.unwrap();
    let pool = |persons| mobile_key("Pool", persons);
    let shared = pool(vec![key.persons[0], herself]);
    let shared = done(scene.desk.issue_key(&shared).await.unwrap()).unwrap();
    until(&scene.olga, is_ready).await.unwrap();
    let clock = scene.house.time.shared();
    let (mira_key, mira) = guest(&scene, "Mira").await;
    let (_, nora) = guest(&scene, "Nora").await;
    // The gate and the cellar know both guests.
    assert_eq!(shown(&scene, &gate, &mira, true).await, None);
    assert_eq!(shown(&scene, &gate, &nora, true).await, None);
    assert_eq!(refused(&scene.olga, "Cellar").await, None);

    let (scene, backup) = scene.backed_up().await.unwrap();
    scene.connected("Gate").await.unwrap();
    done(scene.desk.withdraw_key(key.id).await.unwrap()).unwrap();
    done(scene.desk.withdraw_key(mira_key.id).await.unwrap()).unwrap();
    let hers = pool(vec![herself]);
    done(scene.desk.edit_key(shared.id, &hers).await.unwrap()).unwrap();
    let late = scene.invite("Late").await.unwrap();
    let late = scene.share(&late).await.unwrap();
    let late = Browser::open(&late, clock).await.unwrap();
    while refused(&rita, "Gate").await != REVOKED {}
    while shown(&scene, &gate, &mira, true).await != REVOKED {}
    assert_eq!(refused(&rita, "Cellar").await, None, "nobody was there yet");

    // Restored, the portal issues nothing, and what is wanted of it waits.
    let scene = scene
        .restarted(async |house| house.restore(&backup))
        .await
        .unwrap();
    assert!(!is_ready_to_issue(&scene).await);
    scene.connected("Gate").await.unwrap();
    let waiting = scene.desk.issue_key(&qr_key("Waits")).await.unwrap();
    assert!(matches!(waiting, Submitted::Waiting(_)), "{waiting:?}");
    assert_eq!(refused(&rita, "Gate").await, REVOKED);
    assert_eq!(shown(&scene, &gate, &mira, true).await, REVOKED);

    // Twice: the second time nothing is known here of the first.
    let mut scene = scene;
    for epoch in [2, 3] {
        scene = scene
            .restarted(async |house| {
                house.restore(&backup)?;
                let begun = house.begin_epoch().await?;
                assert_eq!(begun.epoch, epoch);
                let lost = begun.lost.iter();
                let mut lost: Vec<_> = lost.map(|key| (&*key.name, key.withdrawn)).collect();
                lost.sort_unstable();
                assert_eq!(
                    lost,
                    [("Apartment 12", true), ("Mira", true), ("Pool", false)]
                );
                Ok(())
            })
            .await
            .unwrap();
        assert!(is_ready_to_issue(&scene).await);
        scene.connected("Gate").await.unwrap();
        while gate.running.status().await.unwrap().list.epoch != epoch {
            tokio::task::yield_now().await;
        }
        while shown(&scene, &gate, &nora, false).await.is_some() {}
        assert_eq!(refused(&scene.olga, "Gate").await, None);
        assert_eq!(refused(&rita, "Gate").await, REVOKED);
        for long in [false, true] {
            let answer = shown(&scene, &gate, &mira, long).await;
            let known = [REVOKED, Some(Reason::NotYetAtThisDoor)].contains(&answer);
            assert!(known, "{answer:?}");
        }

        // A phone that comes by brings it to the door without a network; one that holds an old list changes nothing.
        scene.olga.sync().await.unwrap();
        assert_eq!(refused(&scene.olga, "Cellar").await, None);
        for _ in 0..2 {
            assert_eq!(refused(&rita, "Cellar").await, REVOKED);
            assert_eq!(shown(&scene, &cellar, &mira, true).await, REVOKED);
        }
        assert_eq!(shown(&scene, &cellar, &nora, true).await, None);
        assert_eq!(shown(&scene, &cellar, &late, true).await, None);
        let list = cellar.running.status().await.unwrap().list;
        assert_eq!(list.epoch, epoch);

        // The desk shows it, and what waited there was issued.
        until(&scene.olga, |_| {
            let keys = scene.desk.keys().unwrap();
            let stands = |name| {
                let mut keys = keys.iter();
                keys.any(|key| key.name == name && key.withdrawal.is_none())
            };
            let waits = epoch == 3 || stands("Waits");
            let pool = keys.iter().find(|key| key.name == "Pool");
            let hers = pool.is_some_and(|key| key.persons == [herself]);
            waits && hers && stands("Master") && !stands("Apartment 12") && !stands("Mira")
        })
        .await
        .unwrap();
        let audited = "SELECT hash FROM audit WHERE action IN ('epoch.begin', 'epoch.list')";
        assert_eq!(scene.house.stored(audited).unwrap().len(), 2);
        assert_eq!(scene.house.audit_breaks().await.unwrap(), None);
    }
    // Rita's phone, at last, hears that it has no key.
    until(&rita, |phone| phone.keys().unwrap().is_empty())
        .await
        .unwrap();
    scene.house.forget(backup);
}

/// A key of three uses.
fn parcel(person: PersonId) -> KeyDraft {
    KeyDraft {
        rules: AccessRules::new(Range::default(), [], false, NonZeroU32::new(3)).unwrap(),
        ..mobile_key("Parcel", vec![person])
    }
}

async fn guest(scene: &Scene, name: &str) -> (Key, Browser) {
    let key = scene.invite(name).await.unwrap();
    let link = scene.share(&key).await.unwrap();
    let clock = scene.house.time.shared();
    (key, Browser::open(&link, clock).await.unwrap())
}

/// Uses that were spent after the backup are not given out again: not before every door has said what it holds.
#[tokio::test(flavor = "multi_thread")]
async fn no_use_is_given_out_twice_after_a_restore() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let second = scene.online("Second gate").await.unwrap();
    let url = scene.portal.url();
    let rita = scene
        .house
        .phone(url, "rita@example.com", TimeDelta::zero());
    let rita = rita.await.unwrap();
    scene.olga.sync().await.unwrap();
    let person = person(&scene.desk, "Rita Resident").unwrap();
    let draft = parcel(person);
    done(scene.desk.issue_key(&draft).await.unwrap()).unwrap();
    until(&rita, is_ready).await.unwrap();

    let (scene, backup) = scene.backed_up().await.unwrap();
    scene.connected("Gate").await.unwrap();
    scene.connected("Second gate").await.unwrap();
    // A denial costs none: the lines are just coming up again.
    while refused(&rita, "Gate").await.is_some() {}
    while refused(&rita, "Second gate").await.is_some() {}

    // The second gate is out of touch meanwhile.
    second.to_portal.set_up(false);
    let scene = scene.restored(&backup).await.unwrap();
    scene.connected("Gate").await.unwrap();
    let held_nowhere = Some(Reason::NoUsesHeldHere);
    for _ in 0..2 {
        assert_eq!(refused(&rita, "Gate").await, held_nowhere);
    }
    // It comes back and says what it has spent: one is left.
    second.to_portal.set_up(true);
    scene.connected("Second gate").await.unwrap();
    while refused(&rita, "Gate").await == held_nowhere {}
    assert_eq!(refused(&rita, "Gate").await, Some(Reason::UsedUp));
    assert_eq!(refused(&rita, "Second gate").await, Some(Reason::UsedUp));
    assert_eq!((gate.openings(), second.openings()), (2, 1));
    scene.house.forget(backup);
}

/// What the signer was never told of, because the portal's disk went with its process: a list that was out already.
async fn without_the_signers_list(house: &House, backup: &Backup) -> anyhow::Result<()> {
    house.restore(backup)?;
    let mut kept = 0;
    for folder in std::fs::read_dir(house.data().join("signer"))? {
        std::fs::remove_file(folder?.path().join("list.cbor"))?;
        kept += 1;
    }
    assert_eq!(kept, 1);
    let begun = house.begin_epoch().await?;
    assert!(begun.lost.is_empty(), "nobody could know: {begun:?}");
    Ok(())
}

/// A scene whose resident has lost her key after the backup, restored without anybody's knowing but what is at the gate
/// and on phones.
async fn forgotten(at_gate: bool) -> (Scene, Gate, Backup) {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let (rita, key) = scene.resident(TimeDelta::zero()).await.unwrap();
    drop(rita);
    let (scene, backup) = scene.backed_up().await.unwrap();
    scene.connected("Gate").await.unwrap();
    if !at_gate {
        gate.to_portal.set_up(false);
        until(&scene.olga, |_| {
            door(&scene.desk, "Gate").is_ok_and(|door| !door.connected)
        })
        .await
        .unwrap();
    }
    let before = gate.running.status().await.unwrap().list;
    done(scene.desk.withdraw_key(key.id).await.unwrap()).unwrap();
    while at_gate && gate.running.status().await.unwrap().list == before {
        tokio::task::yield_now().await;
    }
    // Then only her phone has it.
    if !at_gate {
        scene.olga.sync().await.unwrap();
    }
    let scene = scene
        .restarted(async |house| without_the_signers_list(house, &backup).await)
        .await
        .unwrap();
    (scene, gate, backup)
}

async fn until_withdrawn(scene: &Scene) {
    // What the phone knew before the restore says nothing.
    scene.olga.sync().await.unwrap();
    until(&scene.olga, |_| {
        let keys = scene.desk.keys().unwrap();
        let key = keys.iter().find(|key| key.name == "Apartment 12");
        key.is_some_and(|key| key.withdrawal.is_some())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_hands_over_the_list_that_nobody_else_remembers() {
    let (scene, gate, backup) = forgotten(true).await;
    scene.connected("Gate").await.unwrap();
    until_withdrawn(&scene).await;
    // It was taken, so the newest answers for it: nothing is kept beside it any more.
    loop {
        let list = gate.running.status().await.unwrap().list;
        if (list.epoch, list.version) == (2, 2) {
            break;
        }
        tokio::task::yield_now().await;
    }
    scene.house.forget(backup);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_hands_over_the_list_that_nobody_else_remembers() {
    let (scene, _gate, backup) = forgotten(false).await;
    until_withdrawn(&scene).await;
    scene.house.forget(backup);
}

/// A controller that was put to a door after the backup is forgotten, and its number is not given to another.
#[tokio::test(flavor = "multi_thread")]
async fn no_generation_is_given_out_twice_after_a_restore() {
    let scene = Scene::set().await.unwrap();
    let herself = scene.olga.properties().unwrap()[0].person;
    let key = scene.desk.issue_key(&parcel(herself)).await.unwrap();
    let key = done(key).unwrap();
    let (scene, backup) = scene.backed_up().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let folder = gate.folder.clone();
    gate.shutdown().await;
    std::fs::remove_dir_all(folder).unwrap();
    let scene = scene.restored(&backup).await.unwrap();
    let _gate = scene.online("Gate").await.unwrap();
    let at = door(&scene.desk, "Gate").unwrap();
    assert_eq!(at.generation, Some(Generation(2)));
    // Nor is any use leased before staff say that the forgotten one is lost.
    let awaits = |wanted: bool| {
        let (desk, id) = (&scene.desk, key.id);
        move |_: &Phone| {
            let keys = desk.keys().unwrap();
            let uses = keys.into_iter().find(|key| key.id == id).unwrap().uses;
            uses.is_some_and(|uses| uses.awaiting == wanted)
        }
    };
    until(&scene.olga, awaits(true)).await.unwrap();
    let lost = WriteOff {
        door: at.id,
        generation: Generation(1),
    };
    done(scene.desk.write_off_uses(key.id, &lost).await.unwrap()).unwrap();
    until(&scene.olga, awaits(false)).await.unwrap();
    scene.house.forget(backup);
}
