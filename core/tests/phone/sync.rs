//! In step with a portal: cursors, tombstones, starting over, and what is drawn from it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use latchkey_core::error::Error;
use latchkey_core::follow::PhoneChange;
use latchkey_protocol::api::sync::{Change, Entity, EntityKind, RevocationEntity, SyncPage};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::rules::{AccessRules, Decision, Reason, Status};

use crate::wire::Fault;
use crate::world::{GATE, KEY, PROPERTY, Signer, World, change};

/// What the portal says after all that it has said.
fn then(world: &World, changes: Vec<Change>) {
    let mut state = world.wire.state();
    let page = |changes, cursor: &str| SyncPage {
        changes,
        cursor: cursor.to_owned(),
        more: false,
        server_time: Default::default(),
    };
    state
        .pages
        .insert((PROPERTY, "c2".to_owned()), page(changes, "c3"));
    state
        .pages
        .insert((PROPERTY, "c3".to_owned()), page(Vec::new(), "c3"));
}

fn gone(kind: EntityKind, id: &impl ToString) -> Change {
    Change {
        kind,
        id: id.to_string(),
        value: None,
    }
}

#[tokio::test]
async fn keys_and_doors_are_shown_as_they_stand_now() {
    let mut world = World::new().await;
    world.rules = serde_json::from_value::<AccessRules>(serde_json::json!({
        "windows": [{"days": ["tue"], "from": "10:00", "to": "11:00"}],
    }))
    .unwrap();
    let phone = world.signed_in().await;
    let key = &phone.keys().unwrap()[0];
    assert_eq!((key.status, key.shows_codes), (Status::Active, true));
    let next = Some("2026-11-24T10:00:00Z".parse().unwrap());
    let denied = Decision::Denied {
        reason: Reason::OutsideHours,
        next,
    };
    assert_eq!(key.doors[0].usable, denied);
    world.clock.advance(std::time::Duration::from_secs(3600));
    let until = Some("2026-11-24T11:00:00Z".parse().unwrap());
    assert_eq!(
        phone.doors().unwrap()[0].usable,
        Some(Decision::Allowed { until })
    );
}

#[tokio::test]
async fn a_tombstone_takes_a_key_away() {
    let world = World::new().await;
    let phone = world.signed_in().await;
    then(
        &world,
        vec![gone(EntityKind::Key, &KEY), gone(EntityKind::Grant, &"0")],
    );
    assert_eq!(phone.sync().await.unwrap().changes, 2);
    assert!(phone.keys().unwrap().is_empty());
    assert_eq!(phone.doors().unwrap()[0].usable, None);
}

#[tokio::test]
async fn a_key_without_its_grant_says_that_a_sync_is_needed() {
    let world = World::new().await;
    let phone = world.signed_in().await;
    then(&world, vec![gone(EntityKind::Grant, &"0")]);
    phone.sync().await.unwrap();
    let usable = &phone.keys().unwrap()[0].doors[0].usable;
    assert_eq!(usable.reason(), Some(Reason::NotYetAtThisDoor));
    world
        .clock
        .advance(std::time::Duration::from_secs(8 * 24 * 3600));
    let other = world.signed_in().await;
    drop(other);
}

#[tokio::test]
async fn a_grant_that_has_ended_says_so() {
    let world = World::new().await;
    let phone = world.signed_in().await;
    world
        .clock
        .advance(std::time::Duration::from_secs(7 * 24 * 3600));
    let usable = &phone.keys().unwrap()[0].doors[0].usable;
    assert_eq!(usable.reason(), Some(Reason::GrantTooOld));
}

#[tokio::test]
async fn a_stale_cursor_starts_over_and_what_is_gone_goes_at_the_end() {
    let world = World::new().await;
    let phone = world.signed_in().await;
    {
        let mut state = world.wire.state();
        state.pages.clear();
        // The restored portal has forgotten the pool; its answer comes in two pages.
        let changes = world_changes_without_pool(&world, &mut state);
        let half = changes.len() / 2;
        let page = |changes: &[Change], cursor: &str, more| SyncPage {
            changes: changes.to_vec(),
            cursor: cursor.to_owned(),
            more,
            server_time: Default::default(),
        };
        state.pages.insert(
            (PROPERTY, String::new()),
            page(&changes[..half], "n1", true),
        );
        state.pages.insert(
            (PROPERTY, "n1".to_owned()),
            page(&changes[half..], "n2", false),
        );
        state
            .pages
            .insert((PROPERTY, "n2".to_owned()), page(&[], "n2", false));
    }
    assert_eq!(phone.doors().unwrap().len(), 2);
    phone.sync().await.unwrap();
    let doors = phone.doors().unwrap();
    assert_eq!(doors.len(), 1);
    assert_eq!(doors[0].at.door, GATE);
    assert_eq!(phone.keys().unwrap().len(), 1);
}

fn world_changes_without_pool(world: &World, state: &mut crate::wire::State) -> Vec<Change> {
    // `changes` asks the wire for the registered keys: hand the lock back meanwhile.
    let registered = state.registered.clone();
    let pool = world.doors[1].id.to_string();
    world
        .changes_with(&registered)
        .into_iter()
        .filter(|change| change.id != pool)
        .collect()
}

#[tokio::test]
async fn an_older_revocation_list_and_another_reader_ca_are_not_believed() {
    let world = World::new().await;
    let phone = world.signed_in().await;
    let list = |version, byte| {
        let document = Base64(vec![byte; 8]);
        Entity::Revocation(RevocationEntity {
            epoch: 2,
            version,
            document,
        })
    };
    let mut settings = world.settings();
    settings.reader_ca_key = Base64(Signer::new().public().as_bytes().to_vec());
    settings.name = "Harbour View II".to_owned();
    then(
        &world,
        vec![
            change(EntityKind::Revocation, &"list", list(7, 7)),
            change(EntityKind::Revocation, &"list", list(6, 6)),
            change(
                EntityKind::Property,
                &PROPERTY,
                Entity::Property(Box::new(settings)),
            ),
        ],
    );
    phone.sync().await.unwrap();
    // Shown where it counts: at a door, by what it carries and whom it believes.
    let mut script = crate::door::Script::opening(GATE, 1);
    script.wants = crate::door::wants_all();
    let door = crate::door::TestDoor::start(&world, script).await;
    let mut moved = world.doors[0].clone();
    moved.stream_address = Some(door.address.clone());
    {
        let mut state = world.wire.state();
        let mut page = state.pages[&(PROPERTY, "c3".to_owned())].clone();
        page.changes = vec![change(
            EntityKind::Door,
            &GATE,
            Entity::Door(Box::new(moved)),
        )];
        page.cursor = "c4".to_owned();
        state
            .pages
            .insert((PROPERTY, "c3".to_owned()), page.clone());
        page.changes.clear();
        state.pages.insert((PROPERTY, "c4".to_owned()), page);
    }
    phone.sync().await.unwrap();
    phone
        .unlock(crate::world::at(GATE), &Default::default(), &|_| {})
        .await
        .unwrap();
    assert_eq!(door.seen.lock().unwrap().list, Some(vec![7; 8]));
}

#[tokio::test]
async fn following_tells_what_changes_and_when_the_portal_is_gone() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    let portal_url = world.wire.url();
    let mut follow = phone.follow().unwrap();
    let first = follow.next().await.unwrap();
    assert_eq!(
        first,
        PhoneChange::UpToDate {
            portal_url: portal_url.clone()
        }
    );
    then(&world, vec![gone(EntityKind::Key, &KEY)]);
    let change = follow.next().await.unwrap();
    let kinds = vec![EntityKind::Key];
    assert_eq!(
        change,
        PhoneChange::Changed {
            property: PROPERTY,
            kinds
        }
    );
    assert!(phone.keys().unwrap().is_empty());
    drop(world.wire);
    assert_eq!(
        follow.next().await.unwrap(),
        PhoneChange::Offline { portal_url }
    );
}

/// What the portal says next, with so much nothing behind it.
fn page(changes: Vec<Change>, spaces: usize) -> Vec<u8> {
    let page = SyncPage {
        changes,
        cursor: "c1".to_owned(),
        more: false,
        server_time: "2026-11-24T09:00:00Z".parse().unwrap(),
    };
    let mut json = serde_json::to_vec(&page).unwrap();
    json.resize(json.len() + spaces, b' ');
    json
}

fn packed(json: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(json).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test]
async fn a_packed_page_is_understood() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    assert_eq!(phone.keys().unwrap().len(), 1);
    let page = packed(&page(vec![gone(EntityKind::Key, &KEY)], 1 << 20));
    let said = Fault::Say(Some("gzip"), page);
    world.wire.state().fault("/sync", said);
    assert!(phone.sync().await.unwrap().failures.is_empty());
    assert!(phone.keys().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_is_left_packed_or_not() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    let long = page(vec![gone(EntityKind::Key, &KEY)], 40 << 20);
    let bomb = packed(&long);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    for (encoding, body) in [(None, long), (Some("gzip"), bomb)] {
        let asked = world.wire.count("/sync");
        let said = Fault::Say(encoding, body);
        world.wire.state().fault("/sync", said);
        let report = phone.sync().await.unwrap();
        let [failure] = &report.failures[..] else {
            panic!("{report:?}");
        };
        assert!(matches!(failure.error, Error::BadAnswer(_)), "{failure:?}");
        assert_eq!(world.wire.count("/sync"), asked + 1, "asked for again");
        assert_eq!(phone.keys().unwrap().len(), 1);
    }
    assert!(phone.sync().await.unwrap().failures.is_empty());
}
