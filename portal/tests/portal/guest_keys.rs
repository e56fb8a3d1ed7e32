//! Guest keys: who grants them, and that none opens what its parent does not.

use latchkey_protocol::api::Page;
use latchkey_protocol::api::keys::{Key, KeyDoors, SharedLink};
use latchkey_protocol::api::property::Property;
use latchkey_protocol::ids::KeyId;
use latchkey_protocol::roles::{GuestKind, GuestKinds};
use latchkey_protocol::rules::Status;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Device;
use crate::door::find;
use crate::guests::Browser;
use crate::keys::{home, person};
use crate::world::{NEIGHBOUR, OWNER, RESIDENT, STAFF, World};

/// A key of these residents for both gates, with these rules.
pub(crate) async fn parent(world: &World, staff: &Device, holders: &[&str], rules: Value) -> Key {
    let draft = parent_draft(world, staff, holders, rules).await;
    staff.post(&world.path("/keys"), draft).await.ok()
}

pub(crate) async fn parent_draft(
    world: &World,
    staff: &Device,
    holders: &[&str],
    rules: Value,
) -> Value {
    let mut persons = Vec::new();
    for holder in holders {
        persons.push(person(world, staff, holder).await.id);
    }
    let north = find(world, staff, "North gate").await.id;
    let south = find(world, staff, "South gate").await.id;
    json!({
        "name": "Both gates", "kind": "mobile", "persons": persons,
        "doors": { "some": [north, south] }, "rules": rules,
    })
}

pub(crate) fn grants_from(world: &World, parent: KeyId) -> String {
    world.path(&format!("/keys/{parent}/guest-keys"))
}

/// A guest key for all that the parent opens, with these rules.
pub(crate) async fn granted(world: &World, host: &Device, parent: KeyId, rules: Value) -> Key {
    let draft = json!({ "name": "Gustav Guest", "kind": "qr", "doors": "all", "rules": rules });
    host.post(&grants_from(world, parent), draft).await.ok()
}

/// Its link, opened and bound by a guest.
pub(crate) async fn guest_with(world: &World, host: &Device, key: &Key) -> Browser {
    let path = world.path(&format!("/keys/{}/link", key.id));
    let link: SharedLink = host.call(Method::POST, &path, None).await.ok();
    let mut browser = Browser::open(world, &link);
    assert_eq!(browser.bind().await.status, 200);
    browser
}

/// A key as this person sees it.
pub(crate) async fn seen(world: &World, device: &Device, key: KeyId) -> Key {
    device.get(&world.path(&format!("/keys/{key}"))).await.ok()
}

#[tokio::test]
async fn a_resident_grants_shares_edits_and_withdraws_and_staff_see_who_did() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let rolf = world.device(NEIGHBOUR).await;
    let stefan = world.device(STAFF).await;
    let property: Property = rita.get(&world.path("")).await.ok();
    assert_eq!(
        property.may_grant,
        GuestKinds::from_iter([GuestKind::IndividualQr])
    );
    let home = home(&world, &rita).await;
    let KeyDoors::Some(doors) = &home.doors else {
        panic!("{home:?}");
    };
    let key = granted(&world, &rita, home.id, json!({})).await;
    assert_eq!(key.doors, home.doors, "all that the parent opens");
    assert_eq!(
        (key.parent, key.created_by),
        (Some(home.id), home.persons[0])
    );
    let browser = guest_with(&world, &rita, &key).await;
    assert!(
        seen(&world, &rita, key.id)
            .await
            .link
            .unwrap()
            .bound_at
            .is_some()
    );

    // Staff see who granted it and from what; the neighbour nothing.
    let by_staff = seen(&world, &stefan, key.id).await;
    assert_eq!(by_staff.parent, Some(home.id));
    assert_eq!(
        by_staff.created_by,
        person(&world, &stefan, "Rita Resident").await.id
    );
    let path = world.path(&format!("/keys/{}", key.id));
    assert_eq!(rolf.get(&path).await.problem(), "not-found");
    let theirs: Page<Key> = rolf.get(&world.path("/keys")).await.ok();
    assert!(theirs.items.is_empty());
    let hers: Page<Key> = rita.get(&world.path("/keys")).await.ok();
    assert_eq!(
        hers.items.iter().map(|key| key.id).collect::<Vec<_>>(),
        [home.id, key.id]
    );

    let draft = json!({ "name": "Gina Guest", "kind": "qr", "doors": { "some": [doors[0]] } });
    for refused in [
        rolf.call(Method::PUT, &path, Some(draft.clone())).await,
        rolf.call(Method::DELETE, &path, None).await,
        rolf.call(Method::POST, &format!("{path}/link"), None).await,
    ] {
        assert_eq!(refused.problem(), "not-allowed");
    }
    let edited: Key = rita.call(Method::PUT, &path, Some(draft)).await.ok();
    assert_eq!(edited.name, "Gina Guest");
    assert_eq!(edited.doors, KeyDoors::Some(vec![doors[0]]));
    assert!(
        browser.pass().await.status.is_success(),
        "it goes on with what is left"
    );
    let withdrawn: Key = rita.call(Method::DELETE, &path, None).await.ok();
    assert_eq!(withdrawn.status, Status::Revoked);
    assert!(withdrawn.withdrawal.is_some());
    assert_eq!(browser.pass().await.problem(), "link-ended");
}

#[tokio::test]
async fn a_guest_key_wider_than_its_parent_is_refused_and_what_is_wider_is_named() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    let limits = json!({
        "range": { "from": "2026-11-20", "until": "2026-12-20" },
        "windows": [{ "days": ["mon", "tue"], "from": "08:00", "to": "20:00" }],
        "closed_on_holidays": true,
    });
    let parent = parent(&world, &stefan, &["Rita Resident"], limits.clone()).await;
    let path = grants_from(&world, parent.id);
    let flat = find(&world, &stefan, "Flat 7").await.id;
    let north = find(&world, &stefan, "North gate").await.id;
    let right = json!({ "name": "Guest", "kind": "qr", "doors": "all", "rules": limits });
    let key: Key = rita.post(&path, right.clone()).await.ok();
    let edits = world.path(&format!("/keys/{}", key.id));
    let hours =
        |days: Value, from: &str, to: &str| json!([{ "days": days, "from": from, "to": to }]);
    for (field, value, says) in [
        (
            "/doors",
            json!({ "some": [north, flat] }),
            format!("`doors`: it does not open {flat}"),
        ),
        (
            "/rules/range/from",
            json!("2026-11-19"),
            "`rules.range.from`: it starts 2026-11-20".to_owned(),
        ),
        (
            "/rules/range/from",
            Value::Null,
            "`rules.range.from`".to_owned(),
        ),
        (
            "/rules/range/until",
            json!("2026-12-20T24:01"),
            "24:01".to_owned(),
        ),
        (
            "/rules/range/until",
            json!("2026-12-21"),
            "`rules.range.until`: it ends 2026-12-20".to_owned(),
        ),
        (
            "/rules/range/until",
            Value::Null,
            "`rules.range.until`".to_owned(),
        ),
        ("/rules/windows", json!([]), "`rules.windows`".to_owned()),
        (
            "/rules/windows",
            hours(json!(["mon"]), "07:59", "20:00"),
            "`rules.windows`".to_owned(),
        ),
        (
            "/rules/windows",
            hours(json!(["mon"]), "08:00", "20:01"),
            "`rules.windows`".to_owned(),
        ),
        (
            "/rules/windows",
            hours(json!(["tue", "wed"]), "08:00", "20:00"),
            "`rules.windows`".to_owned(),
        ),
        (
            "/rules/closed_on_holidays",
            json!(false),
            "`rules.closed_on_holidays`".to_owned(),
        ),
    ] {
        let mut wider = right.clone();
        *wider.pointer_mut(field).unwrap() = value;
        for answer in [
            rita.post(&path, wider.clone()).await,
            rita.call(Method::PUT, &edits, Some(wider.clone())).await,
            stefan.call(Method::PUT, &edits, Some(wider.clone())).await,
        ] {
            assert_eq!(answer.problem(), "invalid-value", "{wider}");
            assert!(answer.text().contains(&says), "{}", answer.text());
        }
    }
    assert_eq!(
        seen(&world, &rita, key.id).await,
        key,
        "nothing of it was kept"
    );
    // Everything that is wider is named at once.
    let widest = json!({ "name": "Guest", "kind": "qr", "doors": { "some": [flat] } });
    let answer = rita.post(&path, widest).await;
    for field in [
        "`doors`",
        "range.from",
        "range.until",
        "windows",
        "closed_on_holidays",
    ] {
        assert!(answer.text().contains(field), "{}", answer.text());
    }
    // Narrower in each is fine, and a number of uses of its own.
    let narrower = json!({ "name": "Guest", "kind": "qr", "doors": { "some": [north] }, "rules": {
        "range": { "from": "2026-12-01", "until": "2026-12-02" },
        "windows": hours(json!(["tue"]), "09:00", "10:00"), "closed_on_holidays": true, "max_uses": 2,
    }});
    let narrower: Key = rita.post(&path, narrower).await.ok();
    assert_eq!(narrower.uses.unwrap().left, 2);
}

#[tokio::test]
async fn guest_keys_come_only_from_a_key_that_one_holds_and_that_counts_no_uses() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let rolf = world.device(NEIGHBOUR).await;
    let stefan = world.device(STAFF).await;
    let home = home(&world, &rita).await;
    let draft = json!({ "name": "Guest", "kind": "qr", "doors": "all" });
    let path = grants_from(&world, home.id);
    assert_eq!(rolf.post(&path, draft.clone()).await.problem(), "not-found");
    assert_eq!(
        stefan.post(&path, draft.clone()).await.problem(),
        "not-allowed"
    );
    let nowhere = grants_from(&world, KeyId([0; 16]));
    for device in [&rita, &stefan] {
        assert_eq!(
            device.post(&nowhere, draft.clone()).await.problem(),
            "not-found"
        );
    }
    // A guest key is nobody's, so nothing is granted from it: not even by whoever granted it.
    let guests = granted(&world, &rita, home.id, json!({})).await;
    let again = grants_from(&world, guests.id);
    assert_eq!(
        rita.post(&again, draft.clone()).await.problem(),
        "not-found"
    );
    let mut mobile = draft.clone();
    mobile["kind"] = "mobile".into();
    mobile["persons"] = json!([guests.created_by]);
    assert_eq!(rita.post(&path, mobile).await.problem(), "invalid-value");
    let counted = parent(
        &world,
        &stefan,
        &["Rita Resident"],
        json!({ "max_uses": 5 }),
    )
    .await;
    let path = grants_from(&world, counted.id);
    let with_uses =
        json!({ "name": "Guest", "kind": "qr", "doors": "all", "rules": { "max_uses": 1 } });
    assert_eq!(rita.post(&path, with_uses).await.problem(), "conflict");
    // The way of staff stays closed.
    assert_eq!(
        rita.post(&world.path("/keys"), draft).await.problem(),
        "not-allowed"
    );
}

#[tokio::test]
async fn unless_the_manager_says_so_residents_grant_nothing() {
    let world = World::start().await;
    let hill = crate::tenants::add(&world).await;
    let hugo = world.device("hugo@hill.example").await;
    let at_hill = |rest: &str| format!("/v1/properties/{hill}{rest}");
    let rea = json!({ "name": "Rea Resident", "role": "resident", "email": "rea@hill.example" });
    let rea: Value = hugo.post(&at_hill("/people"), rea).await.ok();
    let draft = json!({ "name": "Home", "kind": "mobile", "persons": [rea["id"]], "doors": "all" });
    let home: Key = hugo.post(&at_hill("/keys"), draft).await.ok();
    let rea = world.device("rea@hill.example").await;
    let property: Property = rea.get(&at_hill("")).await.ok();
    assert_eq!(property.may_grant, GuestKinds::NONE);
    let path = at_hill(&format!("/keys/{}/guest-keys", home.id));
    let guest = json!({ "name": "Guest", "kind": "qr", "doors": "all" });
    let refused = rea.post(&path, guest).await;
    assert_eq!(refused.problem(), "not-allowed");
    assert!(refused.text().contains("guest keys"), "{}", refused.text());
}

#[tokio::test]
async fn one_person_has_so_many_guest_keys_and_may_always_withdraw() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let home = home(&world, &rita).await;
    let mut keys = Vec::new();
    for _ in 0..50 {
        keys.push(granted(&world, &rita, home.id, json!({})).await.id);
    }
    let path = grants_from(&world, home.id);
    let draft = json!({ "name": "Guest", "kind": "qr", "doors": "all" });
    assert_eq!(rita.post(&path, draft.clone()).await.problem(), "conflict");
    let one = |key: KeyId| world.path(&format!("/keys/{key}"));
    rita.call(Method::DELETE, &one(keys[0]), None)
        .await
        .ok::<Key>();
    rita.post(&path, draft.clone()).await.ok::<Key>();
    // What is refused was no write: 51 are, of 100 a day.
    for _ in 51..100 {
        let path = one(keys[1]);
        let edited = rita.call(Method::PUT, &path, Some(draft.clone()));
        edited.await.ok::<Key>();
    }
    let link = format!("{}/link", one(keys[1]));
    let refused = rita.call(Method::POST, &link, None).await;
    assert_eq!(refused.problem(), "too-many-requests");
    rita.call(Method::DELETE, &one(keys[1]), None)
        .await
        .ok::<Key>();
    let olga = world.device(OWNER).await;
    let link = format!("{}/link", one(keys[2]));
    olga.call(Method::POST, &link, None)
        .await
        .ok::<SharedLink>();
}
