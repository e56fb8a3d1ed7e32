//! Two properties in one portal: what belongs to one is not there for the other.

use std::sync::Arc;

use latchkey_env::SystemRandom;
use latchkey_portal::{SignerPlace, create_property, property_file};
use latchkey_protocol::ids::PropertyId;
use latchkey_protocol::proof::KeyKind;
use reqwest::Method;
use serde_json::json;

use crate::client::Key as Software;
use crate::door::{Door, find};
use crate::keys::home;
use crate::world::{OWNER, World};

const OTHER: &str = r#"
[property]
name = "Hill House"
zone = "America/New_York"
[owner]
name = "Hugo Hill"
email = "hugo@hill.example"
[[doors]]
name = "Hill gate"
kind = "gate"
reach = "online"
"#;

pub(crate) async fn add(world: &World) -> PropertyId {
    let file = property_file::parse(OTHER, "hill.toml").unwrap();
    let (clock, random) = (Arc::new(world.clock.clone()), Arc::new(SystemRandom));
    // Beside the running portal, as an operator does it.
    create_property(
        world.folder.path(),
        &world.database.database,
        &SignerPlace::Embedded,
        file,
        clock,
        random,
    )
    .await
    .unwrap()
    .property
}

#[tokio::test]
async fn things_of_another_property_are_not_there() {
    let world = World::start().await;
    let other = add(&world).await;
    let hugo = world.device("hugo@hill.example").await;
    let olga = world.device(OWNER).await;
    assert_eq!(hugo.me().await.memberships[0].property, other);
    let key = home(&world, &olga).await.id;
    let north = find(&world, &olga, "North gate").await.id;
    for path in ["", "/doors", "/keys", "/people", "/sync", "/events"] {
        assert_eq!(
            hugo.get(&world.path(path)).await.problem(),
            "not-found",
            "{path}"
        );
    }
    // Under his own property, with ids of the other's things.
    let mine = |rest: &str| format!("/v1/properties/{other}{rest}");
    assert_eq!(
        hugo.get(&mine(&format!("/keys/{key}"))).await.problem(),
        "not-found"
    );
    let path = mine(&format!("/keys/{key}"));
    assert_eq!(
        hugo.call(Method::DELETE, &path, None).await.problem(),
        "not-found"
    );
    let draft = json!({ "name": "Way in", "kind": "qr", "doors": { "some": [north] } });
    assert_eq!(
        hugo.post(&mine("/keys"), draft).await.problem(),
        "invalid-value"
    );
    let relay = mine(&format!("/doors/{north}/relay"));
    assert_eq!(hugo.get(&relay).await.problem(), "not-found");
    let cursor = olga.sync(&world, None).await.cursor;
    let path = mine(&format!("/sync?cursor={cursor}"));
    assert_eq!(hugo.get(&path).await.problem(), "cursor-stale");
    let mut door = Door::install(&world, "North gate").await;
    let state = json!({ "state": door.signed_state() });
    assert_eq!(
        hugo.post(&mine("/door-states"), state).await.problem(),
        "invalid-value"
    );
    // A nonce of one property registers nothing at the other.
    let registration = olga
        .registration(&world, KeyKind::AccessCredential, &Software::new())
        .await;
    assert_eq!(
        hugo.post(&mine("/credentials"), registration)
            .await
            .problem(),
        "bad-proof"
    );
}
