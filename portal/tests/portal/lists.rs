//! What stands on the revocation list, and when it may leave: by the doors' own word alone.

use std::time::Duration;

use latchkey_env::Clock as _;
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::proof::KeyKind;
use latchkey_protocol::revocation::RevocationList;
use reqwest::Method;
use serde_json::json;

use crate::client::{Device, Key as Software};
use crate::door::{Door, find};
use crate::grants::{issuer, list};
use crate::keys::{home, person};
use crate::world::{RESIDENT, STAFF, World};

const DAY: Duration = Duration::from_secs(86_400);

/// Issues a key to a resident with a phone and withdraws it: one entry more. The list that this makes.
async fn withdraw_one(world: &World, staff: &Device) -> RevocationList {
    let south = find(world, staff, "South gate").await.id;
    let rita = person(world, staff, "Rita Resident").await.id;
    let draft = json!({ "name": "Extra", "kind": "mobile", "persons": [rita], "doors": { "some": [south] } });
    let key: Key = staff.post(&world.path("/keys"), draft).await.ok();
    let path = world.path(&format!("/keys/{}", key.id));
    staff.call(Method::DELETE, &path, None).await.ok::<Key>();
    let issuer = issuer(world, staff).await;
    list(world, &staff.sync(world, None).await, &issuer)
}

/// Somebody's phone was at the door: it obeys this list, and its word comes back.
async fn visit(world: &World, phone: &Device, door: &mut Door, list: &RevocationList) {
    door.state.list = list.number();
    let state = json!({ "state": door.signed_state() });
    let taken = phone.post(&world.path("/door-states"), state).await;
    assert_eq!(taken.status, 204, "{}", taken.text());
}

#[tokio::test]
async fn an_entry_leaves_once_every_door_has_shown_a_list_of_after_its_end_and_not_before() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    rita.register(&world, KeyKind::AccessCredential, &Software::new())
        .await;
    let mut gate = Door::install(&world, "North gate").await;
    let mut flat = Door::install(&world, "Flat 7").await;
    let staff = world.device(STAFF).await;
    let elements = |list: &RevocationList| list.content().elements.len();

    let first = withdraw_one(&world, &staff).await;
    assert_eq!(elements(&first), 1);
    visit(&world, &staff, &mut gate, &first).await;
    visit(&world, &staff, &mut flat, &first).await;

    // By now what the first entry ends is over; but no door has shown that it knows.
    world.clock.advance(32 * DAY);
    let staff = world.device(STAFF).await;
    let second = withdraw_one(&world, &staff).await;
    assert_eq!(elements(&second), 2);

    visit(&world, &staff, &mut gate, &second).await;
    let third = withdraw_one(&world, &staff).await;
    assert_eq!(elements(&third), 3, "the flat's door was not visited");

    visit(&world, &staff, &mut flat, &second).await;
    let fourth = withdraw_one(&world, &staff).await;
    assert_eq!(elements(&fourth), 3, "the first has left, the others stand");
    assert!(
        first
            .content()
            .elements
            .is_disjoint(&fourth.content().elements)
    );
}

#[tokio::test]
async fn a_controller_that_has_shown_nothing_keeps_every_entry() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    rita.register(&world, KeyKind::AccessCredential, &Software::new())
        .await;
    let mut gate = Door::install(&world, "North gate").await;
    Door::install(&world, "Flat 7").await;
    let staff = world.device(STAFF).await;
    withdraw_one(&world, &staff).await;
    for withdrawn in 2..5 {
        world.clock.advance(32 * DAY);
        let staff = world.device(STAFF).await;
        let list = withdraw_one(&world, &staff).await;
        assert_eq!(list.content().elements.len(), withdrawn);
        visit(&world, &staff, &mut gate, &list).await;
    }
}

/// Entries of years ago, as a property with a door that nobody visits would have gathered them.
fn fill(world: &World, over_since: chrono::DateTime<chrono::Utc>) {
    let until = over_since.timestamp();
    world.database.alter(world.folder.path(), |bytes| {
        let property = bytes(&world.property.0);
        let row = |id: u64| {
            let id = bytes(&id.to_be_bytes());
            format!("({property}, 'element', {id}, {id}, 0, 0, {until}, 1, 1)")
        };
        let rows: Vec<String> = (0..24_000).map(row).collect();
        format!(
            "INSERT INTO revoked
                 (property, what, id, key_id, superseded, since, until, version, epoch)
             VALUES {}",
            rows.join(", ")
        )
    });
}

#[tokio::test]
async fn a_full_list_makes_room_for_a_withdrawal_with_what_is_over_and_never_with_what_is_not() {
    for (over, room) in [(true, true), (false, false)] {
        let world = World::start().await;
        let rita = world.device(RESIDENT).await;
        rita.register(&world, KeyKind::AccessCredential, &Software::new())
            .await;
        Door::install(&world, "Flat 7").await;
        let staff = world.device(STAFF).await;
        let now = latchkey_env::Clock::now(&world.clock);
        fill(&world, if over { now } else { now + DAY });
        let key = home(&world, &staff).await;
        let path = world.path(&format!("/keys/{}", key.id));
        let answer = staff.call(Method::DELETE, &path, None).await;
        if room {
            answer.ok::<Key>();
            let issuer = issuer(&world, &staff).await;
            let list = list(&world, &staff.sync(&world, None).await, &issuer);
            assert!(list.content().elements.len() > 1000);
        } else {
            assert_eq!(answer.problem(), "signer-unavailable");
            let key: Key = staff.get(&path).await.ok();
            assert!(key.withdrawal.is_none(), "nothing is half done");
        }
    }
}

#[tokio::test]
async fn how_often_a_door_shows_a_list_is_forgotten_and_what_proves_a_withdrawal_is_not() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    rita.register(&world, KeyKind::AccessCredential, &Software::new())
        .await;
    let mut gate = Door::install(&world, "South gate").await;
    let staff = world.device(STAFF).await;
    let south = find(&world, &staff, "South gate").await.id;
    let holder = person(&world, &staff, "Rita Resident").await.id;
    let issuer = issuer(&world, &staff).await;
    let dead_at = async |key: &Key| {
        let shown: Key = staff
            .get(&world.path(&format!("/keys/{}", key.id)))
            .await
            .ok();
        shown.withdrawal.unwrap().doors[0].dead_at
    };
    let draft = |name: &str, from: &str| {
        let rules = json!({ "range": { "from": from } });
        json!({ "name": name, "kind": "mobile", "persons": [holder], "doors": { "some": [south] }, "rules": rules })
    };
    let keys = world.path("/keys");
    let first: Key = staff.post(&keys, draft("First", "2026-11-01")).await.ok();
    let edited: Key = staff.post(&keys, draft("Edited", "2026-11-01")).await.ok();
    let path = world.path(&format!("/keys/{}", first.id));
    staff.call(Method::DELETE, &path, None).await.ok::<Key>();
    let shown = list(&world, &staff.sync(&world, None).await, &issuer);
    visit(&world, &staff, &mut gate, &shown).await;
    let proved = dead_at(&first).await;
    assert_eq!(proved, Some(world.clock.now()));

    // Each cut of the other key is a list of its own, and the door shows each.
    let path = world.path(&format!("/keys/{}", edited.id));
    for day in 2..12 {
        world.clock.advance(Duration::from_secs(20));
        let cut = draft("Edited", &format!("2026-11-{day:02}"));
        staff.call(Method::PUT, &path, Some(cut)).await.ok::<Key>();
        let next = list(&world, &staff.sync(&world, None).await, &issuer);
        assert!(next.number() > gate.state.list);
        visit(&world, &staff, &mut gate, &next).await;
        assert_eq!(dead_at(&first).await, proved);
    }
    let last = world.clock.now();
    staff.call(Method::DELETE, &path, None).await.ok::<Key>();
    let next = list(&world, &staff.sync(&world, None).await, &issuer);
    visit(&world, &staff, &mut gate, &next).await;
    assert_eq!(
        (dead_at(&first).await, dead_at(&edited).await),
        (proved, Some(last))
    );
    if world.database.address.is_none() {
        let file = world.folder.path().join("portal.db");
        let database = rusqlite::Connection::open(file).unwrap();
        let rows = database.query_row("SELECT COUNT(*) FROM list_seen", [], |row| {
            row.get::<_, i64>(0)
        });
        assert!(rows.unwrap() <= 4, "one a key, the present one, the first");
    }
}
