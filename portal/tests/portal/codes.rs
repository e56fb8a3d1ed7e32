//! Codes are accepted once over all online doors.

use latchkey_protocol::api::keys::{Key, SharedLink};
use latchkey_protocol::api::links::GuestPass;
use latchkey_protocol::doorlink::{FromDoor, FromPortal};
use latchkey_protocol::ids::PassId;
use latchkey_protocol::rules::Reason;
use reqwest::Method;
use serde_json::json;

use crate::client::Device;
use crate::door::{Door, Line, find};
use crate::guests::{Browser, share};
use crate::world::{STAFF, World};

async fn ask(line: &mut Line, pass: PassId, issued: u64) -> Option<Reason> {
    line.say(&FromDoor::CodeCheck {
        request: issued,
        pass,
        issued,
    })
    .await;
    loop {
        if let FromPortal::CodeAnswer { request, denied } = line.next().await {
            assert_eq!(request, issued);
            return denied;
        }
    }
}

/// A QR key for both gates, and its link.
async fn share_two(world: &World, staff: &Device) -> (Key, SharedLink) {
    let (north, south) = (
        find(world, staff, "North gate").await.id,
        find(world, staff, "South gate").await.id,
    );
    share(world, staff, &[north, south], json!({})).await
}

/// Both gates on their lines, and a guest's pass for these doors.
async fn gates(world: &World, link: &SharedLink) -> (Line, Line, PassId) {
    let north = Door::install(world, "North gate").await;
    let south = Door::install(world, "South gate").await;
    let bound: GuestPass = Browser::open(world, link).bind().await.ok();
    (
        north.connect(world).await,
        south.connect(world).await,
        bound.pass,
    )
}

#[tokio::test]
async fn a_door_that_the_pass_does_not_name_uses_up_none_of_its_codes() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let only = find(&world, &stefan, "North gate").await.id;
    let (_, link) = share(&world, &stefan, &[only], json!({})).await;
    let (mut north, mut south, pass) = gates(&world, &link).await;
    assert_eq!(ask(&mut south, pass, 100).await, Some(Reason::WrongDoor));
    assert_eq!(ask(&mut north, pass, 100).await, None);
}

#[tokio::test]
async fn the_first_door_wins_a_code_and_only_a_newer_one_counts_after_it() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let north = Door::install(&world, "North gate").await;
    let south = Door::install(&world, "South gate").await;
    let (key, link) = share_two(&world, &stefan).await;
    let mut browser = Browser::open(&world, &link);
    let pass = browser.bind().await.ok::<GuestPass>().pass;
    let mut north = north.connect(&world).await;
    let mut south = south.connect(&world).await;

    assert_eq!(ask(&mut north, pass, 100).await, None);
    assert_eq!(
        ask(&mut north, pass, 100).await,
        None,
        "the same door is answered alike"
    );
    assert_eq!(
        ask(&mut south, pass, 100).await,
        Some(Reason::CodeUsedBefore)
    );
    assert_eq!(
        ask(&mut south, pass, 99).await,
        Some(Reason::CodeUsedBefore)
    );
    assert_eq!(ask(&mut south, pass, 101).await, None);
    assert_eq!(
        ask(&mut north, pass, 100).await,
        Some(Reason::CodeUsedBefore),
        "an older one by now"
    );
    assert_eq!(
        ask(&mut north, PassId([9; 8]), 1).await,
        Some(Reason::Unknown)
    );
    let told: GuestPass = browser.pass().await.ok();
    assert_eq!(told.last_used, Some(101));

    let path = world.path(&format!("/keys/{}", key.id));
    stefan.call(Method::DELETE, &path, None).await.ok::<Key>();
    assert_eq!(ask(&mut north, pass, 102).await, Some(Reason::Revoked));
    assert_eq!(
        ask(&mut south, pass, 101).await,
        None,
        "a yes is never taken back"
    );
}

#[tokio::test]
async fn of_two_doors_that_ask_at_once_one_wins() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let (_, link) = share_two(&world, &stefan).await;
    let (mut north, mut south, pass) = gates(&world, &link).await;
    for issued in 1..40 {
        let (one, other) =
            tokio::join!(ask(&mut north, pass, issued), ask(&mut south, pass, issued));
        assert_ne!(
            one.is_none(),
            other.is_none(),
            "{issued}: {one:?} {other:?}"
        );
    }
}

#[tokio::test]
async fn a_door_cannot_use_up_the_codes_of_days_to_come() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let (_, link) = share_two(&world, &stefan).await;
    let (mut north, mut south, pass) = gates(&world, &link).await;
    let now: chrono::DateTime<chrono::Utc> = "2026-11-24T09:00:00Z".parse().unwrap();
    let now = u64::try_from(now.timestamp_millis()).unwrap() / 10;
    for ahead in [now + 6 * 60 * 100, u64::MAX / 2] {
        assert_eq!(ask(&mut north, pass, ahead).await, Some(Reason::CodeTooOld));
    }
    assert_eq!(ask(&mut south, pass, now).await, None);
}
