//! What becomes of guest keys when their parent changes or ends.

use std::collections::BTreeSet;

use latchkey_protocol::api::keys::{Key, KeyDoors};
use latchkey_protocol::api::sync::{Entity, EntityKind, SyncPage};
use latchkey_protocol::ids::KeyId;
use latchkey_protocol::rules::Status;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Device;
use crate::door::find;
use crate::guest_keys::{granted, grants_from, guest_with, parent, parent_draft, seen};
use crate::guests::Browser;
use crate::world::{NEIGHBOUR, RESIDENT, STAFF, World};

/// The newest revocation list that a sync brings.
fn list_version(page: &SyncPage) -> Option<u64> {
    let mut newest = page.changes.iter().rev();
    newest.find_map(|change| match &change.value {
        Some(Entity::Revocation(list)) => Some(list.version),
        _ => None,
    })
}

/// The keys that a sync takes away.
fn gone(page: &SyncPage) -> BTreeSet<String> {
    let gone = page
        .changes
        .iter()
        .filter(|change| change.kind == EntityKind::Key && change.value.is_none());
    gone.map(|change| change.id.clone()).collect()
}

async fn put(world: &World, staff: &Device, key: KeyId, draft: &Value) -> Key {
    let path = world.path(&format!("/keys/{key}"));
    staff
        .call(Method::PUT, &path, Some(draft.clone()))
        .await
        .ok()
}

#[tokio::test]
async fn all_that_was_granted_from_a_key_ends_with_it_by_one_list() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    let parent = parent(&world, &stefan, &["Rita Resident"], json!({})).await;
    let mut guests = Vec::new();
    for _ in 0..3 {
        let key = granted(&world, &rita, parent.id, json!({})).await;
        let browser = guest_with(&world, &rita, &key).await;
        guests.push((key.id, browser));
    }
    // Never shared: there is nothing to refuse, and nothing may come of it any more.
    let unshared = granted(&world, &rita, parent.id, json!({})).await.id;
    let page = rita.sync(&world, None).await;
    let before = list_version(&page).unwrap();

    let path = world.path(&format!("/keys/{}", parent.id));
    stefan.call(Method::DELETE, &path, None).await.ok::<Key>();
    let page = rita.sync(&world, Some(&page.cursor)).await;
    assert_eq!(list_version(&page), Some(before + 1), "one list for all");
    let mut all: BTreeSet<String> = guests.iter().map(|(id, _)| id.to_string()).collect();
    all.extend([unshared.to_string(), parent.id.to_string()]);
    assert_eq!(gone(&page), all, "her phone forgets them");
    for (id, mut browser) in guests {
        assert_eq!(browser.pass().await.problem(), "link-ended");
        assert_eq!(browser.bind().await.problem(), "link-ended");
        let key = seen(&world, &stefan, id).await;
        assert_eq!(key.status, Status::Revoked);
        assert_eq!(key.withdrawal.unwrap().doors.len(), 2);
        let path = world.path(&format!("/keys/{id}"));
        assert_eq!(rita.get(&path).await.problem(), "not-found");
        assert_eq!(
            rita.call(Method::DELETE, &path, None).await.problem(),
            "not-allowed"
        );
    }
    assert_eq!(
        seen(&world, &stefan, unshared).await.status,
        Status::Revoked
    );
    let draft = json!({ "name": "Guest", "kind": "qr", "doors": "all" });
    let refused = rita.post(&grants_from(&world, parent.id), draft).await;
    assert_eq!(refused.problem(), "not-found");
    assert!(
        world
            .audit()
            .await
            .iter()
            .all(|chain| chain.broken_at.is_none())
    );
}

#[tokio::test]
async fn who_loses_a_key_loses_what_they_granted_from_it_and_nobody_else() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let rolf = world.device(NEIGHBOUR).await;
    let stefan = world.device(STAFF).await;
    let both = ["Rita Resident", "Rolf Resident"];
    let parent = parent(&world, &stefan, &both, json!({})).await;
    let hers = granted(&world, &rita, parent.id, json!({})).await;
    let his = granted(&world, &rolf, parent.id, json!({})).await;
    let her_guest = guest_with(&world, &rita, &hers).await;
    let his_guest = guest_with(&world, &rolf, &his).await;
    // She moves out.
    let draft = parent_draft(&world, &stefan, &["Rolf Resident"], json!({})).await;
    put(&world, &stefan, parent.id, &draft).await;
    assert_eq!(her_guest.pass().await.problem(), "link-ended");
    assert_eq!(seen(&world, &stefan, hers.id).await.status, Status::Revoked);
    assert!(his_guest.pass().await.status.is_success());
    assert_eq!(
        seen(&world, &rolf, his.id).await,
        seen(&world, &stefan, his.id).await
    );
    // Moving in again brings nothing of it back.
    let draft = parent_draft(&world, &stefan, &both, json!({})).await;
    put(&world, &stefan, parent.id, &draft).await;
    assert_eq!(her_guest.pass().await.problem(), "link-ended");
    assert_eq!(seen(&world, &rita, hers.id).await.status, Status::Revoked);
}

#[tokio::test]
async fn a_parent_that_narrows_cuts_its_guest_keys_and_one_that_widens_gives_back_what_was_asked_for()
 {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    let parent = parent(&world, &stefan, &["Rita Resident"], json!({})).await;
    let asked = json!({
        "range": { "until": "2026-12-10" },
        "windows": [{ "days": ["mon", "tue"], "from": "09:00", "to": "18:00" }],
    });
    let key = granted(&world, &rita, parent.id, asked).await;
    let guest = guest_with(&world, &rita, &key).await;
    let statement = async || guest.pass().await.ok::<Value>()["pass"].clone();
    let first = statement().await;

    let full = parent_draft(&world, &stefan, &["Rita Resident"], json!({})).await;
    let mut narrow = full.clone();
    let north = find(&world, &stefan, "North gate").await.id;
    narrow["doors"] = json!({ "some": [north] });
    narrow["rules"] = json!({
        "range": { "from": "2026-11-01", "until": "2026-12-01" },
        "windows": [{ "days": ["tue", "wed"], "from": "08:00", "to": "12:00" }],
        "closed_on_holidays": true,
    });
    put(&world, &stefan, parent.id, &narrow).await;
    let cut = seen(&world, &rita, key.id).await;
    assert_eq!(cut.doors, KeyDoors::Some(vec![north]));
    let rules = json!({
        "range": { "from": "2026-11-01", "until": "2026-12-01" },
        "windows": [{ "days": ["tue"], "from": "09:00", "to": "12:00" }],
        "closed_on_holidays": true,
    });
    assert_eq!(cut.rules, serde_json::from_value(rules).unwrap());
    let second = statement().await;
    assert_ne!(
        second, first,
        "the old statement is out in long codes: its id is cut off"
    );

    put(&world, &stefan, parent.id, &full).await;
    let again = seen(&world, &rita, key.id).await;
    assert_eq!((&again.doors, &again.rules), (&key.doors, &key.rules));
    assert_eq!(statement().await, second, "what only adds revokes nothing");
}

#[tokio::test]
async fn a_guest_key_of_which_nothing_is_left_ends() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    let full = parent_draft(&world, &stefan, &["Rita Resident"], json!({})).await;
    let north = find(&world, &stefan, "North gate").await.id;
    let south = find(&world, &stefan, "South gate").await.id;
    for (what, field, value) in [
        ("other doors", "doors", json!({ "some": [south] })),
        (
            "over before it begins",
            "rules",
            json!({ "range": { "until": "2026-11-30" } }),
        ),
        (
            "other days",
            "rules",
            json!({ "windows": [{ "days": ["wed"], "from": "08:00", "to": "12:00" }] }),
        ),
        ("counted", "rules", json!({ "max_uses": 5 })),
    ] {
        let parent: Key = stefan.post(&world.path("/keys"), full.clone()).await.ok();
        let draft = json!({ "name": "Guest", "kind": "qr", "doors": { "some": [north] }, "rules": {
            "range": { "from": "2026-12-01" },
            "windows": [{ "days": ["mon"], "from": "09:00", "to": "18:00" }],
        }});
        let path = grants_from(&world, parent.id);
        let key: Key = rita.post(&path, draft).await.ok();
        let guest = guest_with(&world, &rita, &key).await;
        let mut narrow = full.clone();
        narrow[field] = value;
        put(&world, &stefan, parent.id, &narrow).await;
        assert_eq!(guest.pass().await.problem(), "link-ended", "{what}");
        put(&world, &stefan, parent.id, &full).await;
        assert_eq!(
            seen(&world, &stefan, key.id).await.status,
            Status::Revoked,
            "{what}"
        );
        let path = world.path(&format!("/keys/{}", parent.id));
        stefan.call(Method::DELETE, &path, None).await.ok::<Key>();
    }
}

#[tokio::test]
async fn a_guest_key_of_all_doors_opens_those_that_come_later() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    let mut draft = parent_draft(&world, &stefan, &["Rita Resident"], json!({})).await;
    draft["doors"] = json!("all");
    let parent: Key = stefan.post(&world.path("/keys"), draft.clone()).await.ok();
    let key = granted(&world, &rita, parent.id, json!({})).await;
    assert_eq!(key.doors, KeyDoors::All);
    let north = find(&world, &stefan, "North gate").await.id;
    draft["doors"] = json!({ "some": [north] });
    put(&world, &stefan, parent.id, &draft).await;
    assert_eq!(
        seen(&world, &rita, key.id).await.doors,
        KeyDoors::Some(vec![north])
    );
}

/// A resident at one instance grants a guest key, and a guest binds the link of another one, while staff at the other
/// withdraw the key that both are of.
pub(crate) async fn race(world: &World, rita: &Device, stefan: &Device) {
    let (mut granted_first, mut withdrawn_first) = (0, 0);
    for _ in 0..12 {
        let parent = parent(world, stefan, &["Rita Resident"], json!({})).await;
        let earlier = granted(world, rita, parent.id, json!({})).await;
        let path = world.path(&format!("/keys/{}/link", earlier.id));
        let link = rita.call(Method::POST, &path, None).await.ok();
        let mut browser = Browser::open(world, &link);
        let draft = json!({ "name": "Late guest", "kind": "qr", "doors": "all" });
        let (grants, key) = (
            grants_from(world, parent.id),
            world.path(&format!("/keys/{}", parent.id)),
        );
        let (late, _, withdrawn) = tokio::join!(
            rita.post(&grants, draft),
            browser.bind(),
            stefan.call(Method::DELETE, &key, None)
        );
        withdrawn.ok::<Key>();
        if late.status.is_success() {
            granted_first += 1;
            let late = seen(world, stefan, late.ok::<Key>().id).await;
            assert_eq!(late.status, Status::Revoked);
        } else {
            withdrawn_first += 1;
            assert_eq!(late.problem(), "not-found");
        }
        let earlier = seen(world, stefan, earlier.id).await;
        assert_eq!(earlier.status, Status::Revoked);
        let pass = browser.pass().await.problem();
        assert!(
            ["link-ended", "not-signed-in"].contains(&pass.as_str()),
            "{pass}"
        );
    }
    println!("granted first {granted_first} times, withdrawn first {withdrawn_first} times");
}

#[tokio::test]
async fn a_key_granted_while_its_parent_is_withdrawn_is_dead_or_was_never_made() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    race(&world, &rita, &stefan).await;
}
