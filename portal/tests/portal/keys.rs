//! Keys, and who may issue them to whom.

use latchkey_protocol::api::Page;
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::api::people::Person;
use latchkey_protocol::rules::Status;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Device;
use crate::door::find;
use crate::world::{MANAGER, OWNER, RESIDENT, STAFF, World};

pub(crate) async fn person(world: &World, device: &Device, name: &str) -> Person {
    let page: Page<Person> = device.get(&world.path("/people")).await.ok();
    page.items
        .into_iter()
        .find(|person| person.name == name)
        .unwrap()
}

pub(crate) async fn home(world: &World, device: &Device) -> Key {
    let page: Page<Key> = device.get(&world.path("/keys")).await.ok();
    page.items
        .into_iter()
        .find(|key| key.name == "Home")
        .unwrap()
}

async fn draft(world: &World, device: &Device, holder: &str, door: &str) -> Value {
    json!({
        "name": "Test key",
        "kind": "mobile",
        "persons": [person(world, device, holder).await.id],
        "doors": { "some": [find(world, device, door).await.id] },
    })
}

#[tokio::test]
async fn staff_issue_edit_and_withdraw_a_residents_key() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let mut draft = draft(&world, &stefan, "Rita Resident", "South gate").await;
    let key: Key = stefan.post(&world.path("/keys"), draft.clone()).await.ok();
    assert_eq!(key.status, Status::Active);
    let path = world.path(&format!("/keys/{}", key.id));
    draft["name"] = "Renamed".into();
    draft["rules"] = json!({ "range": { "from": "2027-01-01" } });
    let edited: Key = stefan
        .call(Method::PUT, &path, Some(draft.clone()))
        .await
        .ok();
    assert_eq!(
        (edited.name.as_str(), edited.status),
        ("Renamed", Status::Upcoming)
    );
    let withdrawn: Key = stefan.call(Method::DELETE, &path, None).await.ok();
    assert_eq!(withdrawn.status, Status::Revoked);
    let withdrawal = withdrawn.withdrawal.unwrap();
    assert!(
        withdrawal.doors.iter().all(|door| door.dead_at.is_some()),
        "no phone had it"
    );
    assert_eq!(
        stefan.call(Method::PUT, &path, Some(draft)).await.problem(),
        "conflict"
    );
    let revoked: Page<Key> = stefan.get(&world.path("/keys?status=revoked")).await.ok();
    assert_eq!(revoked.items.len(), 1);
}

#[tokio::test]
async fn nobody_acts_upwards_and_a_resident_issues_nothing() {
    let world = World::start().await;
    let olga = world.device(OWNER).await;
    let stefan = world.device(STAFF).await;
    let rita = world.device(RESIDENT).await;
    let keys = world.path("/keys");
    for above in ["Olga Owner", "Mara Manager"] {
        let draft = draft(&world, &stefan, above, "South gate").await;
        assert_eq!(
            stefan.post(&keys, draft).await.problem(),
            "not-allowed",
            "{above}"
        );
    }
    let hers = draft(&world, &olga, "Olga Owner", "South gate").await;
    let key: Key = olga.post(&keys, hers.clone()).await.ok();
    let path = world.path(&format!("/keys/{}", key.id));
    assert_eq!(
        stefan.call(Method::DELETE, &path, None).await.problem(),
        "not-allowed"
    );
    assert_eq!(
        stefan.call(Method::PUT, &path, Some(hers)).await.problem(),
        "not-allowed"
    );
    let own = draft(&world, &olga, "Rita Resident", "South gate").await;
    assert_eq!(rita.post(&keys, own).await.problem(), "not-allowed");
    assert_eq!(rita.get(&path).await.problem(), "not-found");
    assert_eq!(
        rita.get(&world.path("/people")).await.problem(),
        "not-allowed"
    );
    let owner = json!({ "name": "Second Owner", "role": "owner" });
    assert_eq!(
        stefan
            .post(&world.path("/people"), owner.clone())
            .await
            .problem(),
        "not-allowed"
    );
    let mara = world.device(MANAGER).await;
    assert_eq!(
        mara.post(&world.path("/people"), owner).await.problem(),
        "not-allowed"
    );
    let door = json!({ "name": "Shed", "kind": "unit", "reach": "offline" });
    assert_eq!(
        stefan.post(&world.path("/doors"), door).await.problem(),
        "not-allowed"
    );
}

#[tokio::test]
async fn a_holder_sees_the_own_keys_and_doors_and_nobody_elses() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let rita = world.device(RESIDENT).await;
    let theirs = draft(&world, &stefan, "Stefan Staff", "South gate").await;
    stefan.post(&world.path("/keys"), theirs).await.ok::<Key>();
    let keys: Page<Key> = rita.get(&world.path("/keys")).await.ok();
    assert_eq!(
        keys.items
            .iter()
            .map(|key| key.name.as_str())
            .collect::<Vec<_>>(),
        ["Home"]
    );
    let doors: Page<latchkey_protocol::api::doors::Door> =
        rita.get(&world.path("/doors")).await.ok();
    let names: Vec<_> = doors.items.iter().map(|door| door.name.as_str()).collect();
    assert_eq!(names, ["North gate", "Flat 7"]);
}

#[tokio::test]
async fn a_draft_that_is_no_key_is_refused_and_the_field_named() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let right = draft(&world, &stefan, "Rita Resident", "South gate").await;
    let nobody = "00".repeat(16);
    let nowhere = "00".repeat(12);
    for (field, value, says) in [
        ("name", json!(" "), "`name`"),
        ("persons", json!([]), "`persons`"),
        ("persons", json!([nobody]), "`persons`"),
        ("doors", json!({ "some": [] }), "`doors`"),
        ("doors", json!({ "some": [nowhere] }), "`doors`"),
        ("rules", json!({ "max_uses": 0 }), "uses"),
        (
            "rules",
            json!({ "range": { "from": "2027-01-02", "until": "2027-01-01" } }),
            "end",
        ),
        ("colour", json!("red"), "colour"),
    ] {
        let mut draft = right.clone();
        draft[field] = value;
        let answer = stefan.post(&world.path("/keys"), draft).await;
        assert_eq!(answer.problem(), "invalid-value", "{field}");
        assert!(answer.text().contains(says), "{}", answer.text());
    }
    let mut qr = right.clone();
    qr["kind"] = "qr".into();
    assert_eq!(
        stefan.post(&world.path("/keys"), qr).await.problem(),
        "invalid-value"
    );
}

#[tokio::test]
async fn a_property_is_not_there_for_those_who_do_not_belong_to_it() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let other = "0123456789abcdef0123456789abcdef";
    for path in ["", "/doors", "/people", "/keys", "/sync", "/events"] {
        let answer = rita.get(&format!("/v1/properties/{other}{path}")).await;
        assert_eq!(answer.problem(), "not-found", "{path}");
    }
}

#[tokio::test]
async fn more_keys_at_a_door_than_a_grant_can_hold_are_refused_before_there_is_a_phone() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let draft = |n: u32, draft: &Value| {
        let mut draft = draft.clone();
        // Each with eight windows of its own: no two fit into one element.
        let windows = (0..8).map(|hour| {
            json!({ "days": ["mon"], "from": format!("{hour:02}:{n:02}"), "to": format!("{hour:02}:30") })
        });
        draft["rules"] = json!({ "windows": windows.collect::<Vec<_>>() });
        draft
    };
    let plain = self::draft(&world, &stefan, "Rita Resident", "South gate").await;
    for n in 0..4 {
        let answer = stefan.post(&world.path("/keys"), draft(n, &plain)).await;
        assert!(answer.status.is_success(), "{}", answer.text());
    }
    let fifth = stefan.post(&world.path("/keys"), draft(4, &plain)).await;
    assert_eq!(fifth.problem(), "invalid-value");
    assert!(fifth.text().contains("too many keys"), "{}", fifth.text());
    let rita = world.device(RESIDENT).await;
    let key = crate::client::Key::new();
    rita.register(
        &world,
        latchkey_protocol::proof::KeyKind::AccessCredential,
        &key,
    )
    .await;
}
