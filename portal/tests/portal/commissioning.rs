//! How a controller joins a property.

use latchkey_protocol::api::doors::InstalledController;
use reqwest::Method;
use serde_json::json;

use crate::client::Device;
use crate::door::{Controller, Door, find};
use crate::world::{INSTALLER, MANAGER, STAFF, World};

#[tokio::test]
async fn a_controller_that_called_in_is_installed_by_its_code_and_collects_what_it_needs() {
    let world = World::start().await;
    let controller = Controller::new();
    let device = Device::new(world.portal.url());
    let collect = format!("/v1/commissioning/{}", controller.code());
    let offer = Some(json!({ "offer": controller.signed_offer() }));
    let laid = device.bare(Method::POST, "/v1/commissioning", offer).await;
    assert_eq!(laid.status, 202, "{}", laid.text());
    assert_eq!(
        device.bare(Method::GET, &collect, None).await.problem(),
        "not-found"
    );

    let ines = world.device(INSTALLER).await;
    let north = find(&world, &ines, "North gate").await;
    let body = json!({ "code": controller.code(), "stream_address": "192.0.2.7:4117" });
    let path = world.path(&format!("/doors/{}/controllers", north.id));
    let installed: InstalledController = ines.post(&path, body).await.ok();
    let collected: InstalledController = device.bare(Method::GET, &collect, None).await.ok();
    assert_eq!(installed, collected);

    // The package holds together: certificate, statements, list, time.
    let door = Door::commission(&world, controller, &collected);
    assert_eq!(door.generation.0, 1);
    assert_eq!(door.commissioned.door_number, north.number);
    assert!(door.commissioned.numbers.all >= 2);
    assert!(door.commissioned.revocation.is_some());
    assert_eq!(
        door.commissioned.time.as_ref().unwrap().unix_ms,
        u64::try_from(
            chrono::DateTime::parse_from_rfc3339("2026-11-24T09:00:00Z")
                .unwrap()
                .timestamp_millis()
        )
        .unwrap()
    );
    let north = find(&world, &ines, "North gate").await;
    assert_eq!(north.generation.unwrap().0, 1);
    assert_eq!(north.stream_address.as_deref(), Some("192.0.2.7:4117"));
}

#[tokio::test]
async fn only_keys_that_the_code_vouches_for_are_certified() {
    let world = World::start().await;
    let ines = world.device(INSTALLER).await;
    let north = find(&world, &ines, "North gate").await;
    let path = world.path(&format!("/doors/{}/controllers", north.id));
    let (shown, other) = (Controller::new(), Controller::new());
    let swapped = json!({ "code": shown.code(), "offer": other.signed_offer() });
    assert_eq!(
        ines.post(&path, swapped).await.problem(),
        "commissioning-mismatch"
    );
    let mut spoilt = shown.signed_offer();
    *spoilt.0.last_mut().unwrap() ^= 1;
    let spoilt = json!({ "code": shown.code(), "offer": spoilt });
    assert_eq!(ines.post(&path, spoilt).await.problem(), "invalid-value");
    assert_eq!(
        ines.post(&path, json!({ "code": "ABC" })).await.problem(),
        "invalid-value"
    );
    assert_eq!(
        ines.post(&path, json!({ "code": shown.code() }))
            .await
            .problem(),
        "not-found"
    );
    let right = json!({ "code": shown.code(), "offer": shown.signed_offer() });
    let stefan = world.device(STAFF).await;
    assert_eq!(stefan.post(&path, right).await.problem(), "not-allowed");
    assert!(
        find(&world, &ines, "North gate").await.generation.is_none(),
        "nothing was certified"
    );
}

#[tokio::test]
async fn a_replacement_gets_the_next_generation_and_the_old_controller_is_not_let_in() {
    let world = World::start().await;
    let old = Door::install(&world, "North gate").await;
    let new = Door::install(&world, "North gate").await;
    assert_eq!((old.generation.0, new.generation.0), (1, 2));
    let mut line = crate::door::Line::open(&world).await;
    line.sign_in(&old).await;
    assert_eq!(
        line.closed_with().await,
        latchkey_protocol::doorlink::close::NOT_SIGNED_IN
    );
    new.connect(&world).await;
    let mara = world.device(MANAGER).await;
    let south = find(&world, &mara, "South gate").await;
    let path = world.path(&format!("/doors/{}/controllers", south.id));
    let elsewhere = json!({
        "code": new.controller.code(), "offer": new.controller.signed_offer(),
    });
    assert_eq!(mara.post(&path, elsewhere).await.problem(), "conflict");
}

#[tokio::test]
async fn a_controller_that_calls_in_after_its_installer_was_there_collects_what_it_needs() {
    let world = World::start().await;
    let controller = Controller::new();
    let ines = world.device(INSTALLER).await;
    let north = find(&world, &ines, "North gate").await;
    let path = world.path(&format!("/doors/{}/controllers", north.id));
    let brought = json!({ "code": controller.code(), "offer": controller.signed_offer() });
    let installed: InstalledController = ines.post(&path, brought).await.ok();
    // Its network comes up long after.
    world
        .clock
        .advance(std::time::Duration::from_secs(2 * 86_400));
    let device = Device::new(world.portal.url());
    let offer = Some(json!({ "offer": controller.signed_offer() }));
    let laid = device.bare(Method::POST, "/v1/commissioning", offer).await;
    assert_eq!(laid.status, 202, "{}", laid.text());
    let collect = format!("/v1/commissioning/{}", controller.code());
    let collected: InstalledController = device.bare(Method::GET, &collect, None).await.ok();
    assert_eq!(installed, collected);
}
