//! What the passing of time does: renewals, and a clock that steps.

use std::time::Duration;

use chrono::TimeDelta;
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::api::sync::SyncPage;
use latchkey_protocol::proof::KeyKind;
use serde_json::json;

use crate::client::Key as Software;
use crate::door::find;
use crate::grants::grants;
use crate::keys::person;
use crate::world::{OWNER, RESIDENT, STAFF, World};

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

#[tokio::test]
async fn what_cannot_be_signed_at_one_property_keeps_no_other_from_its_renewal() {
    let world = World::start().await;
    let other = crate::tenants::add(&world).await;
    let mut owners = Vec::new();
    for (property, email) in [(world.property, OWNER), (other, "hugo@hill.example")] {
        let owner = world.device(email).await;
        let at = |rest: &str| format!("/v1/properties/{property}{rest}");
        let person = owner.me().await.memberships[0].person;
        let draft = json!({ "name": "All", "kind": "mobile", "persons": [person], "doors": "all" });
        owner.post(&at("/keys"), draft).await.ok::<Key>();
        let phone = Software::new();
        let body = owner
            .registration_at(property, KeyKind::AccessCredential, &phone)
            .await;
        assert_eq!(owner.post(&at("/credentials"), body).await.status, 201);
        let first: SyncPage = owner.get(&at("/sync")).await.ok();
        owners.push((property, owner, first));
    }
    // The one that comes first in each round loses its keys.
    owners.sort_by_key(|(property, ..)| *property.as_bytes());
    let (broken, ..) = owners.remove(0);
    let signer = world.folder.path().join("signer").join(broken.to_string());
    std::fs::rename(&signer, world.folder.path().join("taken away")).unwrap();
    let world = world.restart().await;
    let (property, mut owner, first) = owners.remove(0);
    owner.move_to(world.portal.url());
    let until = grants(&first)[0].valid_until;
    world.clock.advance(Duration::from_secs(4 * 86_400));
    let answer = owner.refresh_with(&owner.refresh).await;
    owner.take(&answer);
    let mut cursor = first.cursor;
    loop {
        let path = format!("/v1/properties/{property}/sync?cursor={cursor}&wait=25");
        let page: SyncPage = owner.get(&path).await.ok();
        cursor = page.cursor.clone();
        if let Some(grant) = grants(&page).pop() {
            assert!(grant.valid_until > until);
            return;
        }
        // A page that was held back for nothing: the next round.
        world.clock.advance(Duration::from_secs(301));
    }
}
