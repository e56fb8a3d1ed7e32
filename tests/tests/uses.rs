//! A key with a number of uses, from the desk to two gates and back.

use latchkey_core::error::Error;
use latchkey_core::phone::Phone;
use latchkey_core::unlock::CarrierKind;
use latchkey_env::chrono::TimeDelta;
use latchkey_protocol::api::keys::KeyDraft;
use latchkey_protocol::rules::{AccessRules, Reason, Status};
use latchkey_tests::house::{done, mobile_key, person, unlock, until};
use latchkey_tests::scene::{Scene, is_ready};

async fn refused(phone: &Phone, door: &str) -> Option<Reason> {
    match unlock(phone, door, CarrierKind::Stream).await {
        Ok(()) => None,
        Err(Error::Denied { reason, .. }) => Some(reason),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_two_uses_opens_twice_over_two_gates_and_no_third_time() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let second = scene.online("Second gate").await.unwrap();
    let url = scene.portal.url();
    let zero = TimeDelta::zero();
    let rita = scene.house.phone(url, "rita@example.com", zero);
    let rita = rita.await.unwrap();
    scene.olga.sync().await.unwrap();
    let person = person(&scene.desk, "Rita Resident").unwrap();
    let draft = |uses| KeyDraft {
        rules: serde_json::from_value::<AccessRules>(serde_json::json!({ "max_uses": uses }))
            .unwrap(),
        ..mobile_key("Parcel", vec![person])
    };
    let key = done(scene.desk.issue_key(&draft(2)).await.unwrap()).unwrap();
    until(&rita, is_ready).await.unwrap();

    assert_eq!(refused(&rita, "Gate").await, None);
    assert_eq!(refused(&rita, "Second gate").await, None);
    assert_eq!(refused(&rita, "Gate").await, Some(Reason::UsedUp));
    second.to_portal.set_up(false);
    assert_eq!(
        refused(&rita, "Second gate").await,
        Some(Reason::NoUsesHeldHere)
    );
    assert_eq!((gate.openings(), second.openings()), (1, 1));
    let shows = |status, left| {
        move |phone: &Phone| {
            let key = &phone.keys().unwrap()[0];
            key.status == status && key.uses_left == Some(left)
        }
    };
    until(&rita, shows(Status::UsedUp, 0)).await.unwrap();

    done(scene.desk.edit_key(key.id, &draft(3)).await.unwrap()).unwrap();
    until(&rita, shows(Status::Active, 1)).await.unwrap();
    assert_eq!(refused(&rita, "Gate").await, None);
    assert_eq!(refused(&rita, "Gate").await, Some(Reason::UsedUp));
    assert_eq!((gate.openings(), second.openings()), (2, 1));
    until(&scene.olga, |_| {
        let keys = scene.desk.keys().unwrap();
        let uses = keys.into_iter().find(|k| k.id == key.id).unwrap().uses;
        uses.is_some_and(|uses| (uses.spent, uses.left, uses.doors.len()) == (3, 0, 2))
    })
    .await
    .unwrap();
}
