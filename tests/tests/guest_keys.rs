//! Guest keys that a resident grants: what they open, and that they die and narrow with their parent, at doors with a
//! network and without.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it, in its helpers too"
)]

use std::sync::Arc;
use std::time::Duration;

use latchkey_core::error::Error;
use latchkey_core::host::HostDesk;
use latchkey_core::phone::Phone;
use latchkey_core::unlock::CarrierKind;
use latchkey_env::chrono::TimeDelta;
use latchkey_protocol::api::keys::{Key, KeyDoors, KeyDraft, KeyKind};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::rules::{AccessRules, LocalMoment, Range, Reason, Status};
use latchkey_tests::gate::Gate;
use latchkey_tests::guest::Browser;
use latchkey_tests::house::{done, door, person, qr_key, unlock, until};
use latchkey_tests::scene::{Scene, is_ready};

/// The resident's phone, her key for all doors, and a guest with a key that she granted from it.
struct Visit {
    rita: Arc<Phone>,
    parent: Key,
    desk: HostDesk,
    guests: Key,
    mira: Browser,
}

fn draft(doors: KeyDoors, rules: AccessRules) -> KeyDraft {
    KeyDraft {
        doors,
        rules,
        ..qr_key("Mira")
    }
}

async fn visit(scene: &Scene) -> Visit {
    let (rita, parent) = scene.resident(TimeDelta::zero()).await.unwrap();
    let desk = rita.host(rita.properties().unwrap()[0].id).unwrap();
    assert_eq!(desk.may_grant().unwrap().iter().count(), 1);
    let everything = draft(KeyDoors::All, AccessRules::default());
    let guests = done(desk.grant(parent.id, &everything).await.unwrap()).unwrap();
    let link = done(desk.share(guests.id).await.unwrap()).unwrap().url;
    let mira = Browser::open(&link, scene.house.time.shared()).await;
    Visit {
        rita,
        parent,
        desk,
        guests,
        mira: mira.unwrap(),
    }
}

/// What a door says to the guest's code.
async fn shown(scene: &Scene, gate: &Gate, mira: &Browser) -> Option<Reason> {
    // Each code is newer than the last.
    scene.house.time.clock().advance(Duration::from_millis(100));
    let answer = gate.scan(&mira.code(true).unwrap()).await.unwrap();
    assert_eq!(answer.opened, answer.reason.is_none(), "{answer:?}");
    answer.reason
}

/// Waits until a door with a network, which hears by itself, refuses the guest.
async fn refused(scene: &Scene, gate: &Gate, mira: &Browser) -> Reason {
    loop {
        if let Some(reason) = shown(scene, gate, mira).await {
            return reason;
        }
    }
}

/// The owner's phone, with a key of hers, goes to the cellar and opens it.
async fn olga_visits_the_cellar(scene: &Scene) {
    scene.olga.sync().await.unwrap();
    unlock(&scene.olga, "Cellar", CarrierKind::Stream)
        .await
        .unwrap();
}

async fn olga_has_a_key(scene: &Scene) {
    let herself = scene.olga.properties().unwrap()[0].person;
    scene.issue("Master", herself).await.unwrap();
    until(&scene.olga, is_ready).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_key_dies_with_its_parent_at_once_online_and_offline_once_a_phone_was_there() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let mut visit = visit(&scene).await;
    olga_has_a_key(&scene).await;
    assert_eq!(shown(&scene, &gate, &visit.mira).await, None);
    assert_eq!(shown(&scene, &cellar, &visit.mira).await, None);
    let bound = visit.desk.guest_keys().unwrap();
    visit.rita.sync().await.unwrap();
    let link = visit.desk.guest_keys().unwrap()[0].link.clone().unwrap();
    assert!(
        link.bound_at.is_some(),
        "her app shows each binding: {bound:?}"
    );
    scene.olga.sync().await.unwrap();
    let keys = scene.desk.keys().unwrap();
    let seen = keys.iter().find(|key| key.id == visit.guests.id).unwrap();
    assert_eq!(
        seen.parent,
        Some(visit.parent.id),
        "staff see where it is from"
    );

    // Staff withdraw her key. Of the guest's nobody says a word.
    done(scene.desk.withdraw_key(visit.parent.id).await.unwrap()).unwrap();
    assert_eq!(refused(&scene, &gate, &visit.mira).await, Reason::Revoked);
    assert_eq!(
        shown(&scene, &cellar, &visit.mira).await,
        None,
        "nobody was there yet"
    );
    olga_visits_the_cellar(&scene).await;
    let answer = shown(&scene, &cellar, &visit.mira).await;
    assert_eq!(answer, Some(Reason::Revoked));
    visit.mira.look().await.unwrap_err();
    visit.rita.sync().await.unwrap();
    assert!(visit.desk.guest_keys().unwrap().is_empty());
    let keys = scene.desk.keys().unwrap();
    let seen = keys.iter().find(|key| key.id == visit.guests.id).unwrap();
    assert_eq!(seen.status, Status::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_key_narrows_with_its_parent_and_opens_what_is_left() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let mut visit = visit(&scene).await;
    olga_has_a_key(&scene).await;
    assert_eq!(shown(&scene, &cellar, &visit.mira).await, None);
    // Her key is for the gate alone from now on.
    let mut narrow = draft(
        KeyDoors::Some(vec![door(&scene.desk, "Gate").unwrap().id]),
        AccessRules::default(),
    );
    narrow.name = visit.parent.name.clone();
    narrow.kind = KeyKind::Mobile;
    narrow.persons = visit.parent.persons.clone();
    let edited = scene.desk.edit_key(visit.parent.id, &narrow).await.unwrap();
    done(edited).unwrap();
    // What the guest has in hand is cut off, here by the push and there by a phone; what the page gets anew opens the
    // gate and no cellar.
    assert_eq!(refused(&scene, &gate, &visit.mira).await, Reason::Revoked);
    olga_visits_the_cellar(&scene).await;
    let answer = shown(&scene, &cellar, &visit.mira).await;
    assert_eq!(answer, Some(Reason::Revoked));
    visit.mira.look().await.unwrap();
    let names: Vec<_> = visit
        .mira
        .pass
        .doors
        .iter()
        .map(|door| &door.name)
        .collect();
    assert_eq!(names, ["Gate"]);
    assert_eq!(shown(&scene, &gate, &visit.mira).await, None);
    let answer = shown(&scene, &cellar, &visit.mira).await;
    assert_eq!(answer, Some(Reason::WrongDoor));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_hears_what_of_a_guest_key_is_wider_than_its_parent() {
    let scene = Scene::set().await.unwrap();
    let _gate = scene.online("Gate").await.unwrap();
    let rita = scene.resident(TimeDelta::zero()).await.unwrap().0;
    let desk = rita.host(rita.properties().unwrap()[0].id).unwrap();
    scene.olga.sync().await.unwrap();
    let person = person(&scene.desk, "Rita Resident").unwrap();
    let until_may = Range::new(None, Some(LocalMoment::parse_end("2030-05-31").unwrap()));
    let rules = AccessRules::new(until_may.unwrap(), [], false, None).unwrap();
    let limited = KeyDraft {
        kind: KeyKind::Mobile,
        persons: vec![person],
        ..draft(
            KeyDoors::Some(vec![door(&scene.desk, "Gate").unwrap().id]),
            rules.clone(),
        )
    };
    let parent = done(scene.desk.issue_key(&limited).await.unwrap()).unwrap();
    let wider = draft(KeyDoors::All, AccessRules::default());
    match desk.grant(parent.id, &wider).await {
        Err(Error::Refused(problem)) => {
            assert_eq!(problem.problem_type(), Some(ProblemType::InvalidValue));
            let detail = problem.detail.unwrap();
            assert!(
                detail.contains("`rules.range.until`: it ends 2030-05-31"),
                "{detail}"
            );
        }
        other => panic!("{other:?}"),
    }
    let within = draft(KeyDoors::All, rules);
    let key = done(desk.grant(parent.id, &within).await.unwrap()).unwrap();
    assert_eq!(key.doors, parent.doors);
}
