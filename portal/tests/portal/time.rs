//! What the passing of time does: renewals, and a clock that steps.

use std::time::Duration;

use chrono::TimeDelta;
use latchkey_protocol::api::sync::SyncPage;
use latchkey_protocol::proof::KeyKind;
use serde_json::json;

use crate::client::Key as Software;
use crate::door::find;
use crate::grants::grants;
use crate::keys::person;
use crate::world::{RESIDENT, STAFF, World};

#[tokio::test]
async fn a_grant_is_renewed_by_itself_from_half_of_its_life_on() {
    let world = World::start().await;
    let mut rita = world.device(RESIDENT).await;
    rita.register(&world, KeyKind::AccessCredential, &Software::new())
        .await;
    let first = rita.sync(&world, None).await;
    let until = grants(&first)[0].valid_until;
    world.clock.advance(Duration::from_secs(4 * 86_400));
    let answer = rita.refresh_with(&rita.refresh).await;
    rita.take(&answer);
    let mut cursor = first.cursor;
    loop {
        let path = world.path(&format!("/sync?cursor={cursor}&wait=25"));
        let page: SyncPage = rita.get(&path).await.ok();
        cursor = page.cursor.clone();
        if let Some(grant) = grants(&page).pop() {
            assert!(grant.valid_until > until);
            return;
        }
    }
}

#[tokio::test]
async fn a_signer_whose_clock_has_stepped_signs_nothing_and_nothing_is_changed() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let rita = world.device(RESIDENT).await;
    rita.register(&world, KeyKind::AccessCredential, &Software::new())
        .await;
    let south = find(&world, &stefan, "South gate").await.id;
    let rita_id = person(&world, &stefan, "Rita Resident").await.id;
    let draft = json!({
        "name": "Extra", "kind": "mobile", "persons": [rita_id], "doors": { "some": [south] },
    });
    world.clock.jump_wall(TimeDelta::minutes(-5));
    let refused = stefan.post(&world.path("/keys"), draft.clone()).await;
    assert_eq!(refused.problem(), "signer-unavailable");
    world.clock.jump_wall(TimeDelta::minutes(5));
    let keys: serde_json::Value = stefan.get(&world.path("/keys")).await.ok();
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    assert!(
        stefan
            .post(&world.path("/keys"), draft)
            .await
            .status
            .is_success()
    );
}
