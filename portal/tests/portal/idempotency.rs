//! Writes that may be repeated.

use latchkey_protocol::api::Page;
use latchkey_protocol::api::people::Person;
use reqwest::Method;
use serde_json::json;

use crate::world::{MANAGER, OWNER, World};

#[tokio::test]
async fn the_same_write_again_gets_the_same_answer_and_does_nothing() {
    let world = World::start().await;
    let mara = world.device(MANAGER).await;
    let path = world.path("/people");
    let body = json!({ "name": "Vera Vendor", "role": "vendor" });
    let write = async || {
        mara.call_with_key(
            Method::POST,
            &path,
            Some(body.clone()),
            Some("the-same-key"),
        )
        .await
    };
    let first: Person = write().await.ok();
    let second: Person = write().await.ok();
    assert_eq!(first, second);
    let people: Page<Person> = mara.get(&path).await.ok();
    assert_eq!(
        people
            .items
            .iter()
            .filter(|person| person.name == "Vera Vendor")
            .count(),
        1
    );

    let other = json!({ "name": "Viktor Vendor", "role": "vendor" });
    let reused = mara.call_with_key(
        Method::POST,
        &path,
        Some(other.clone()),
        Some("the-same-key"),
    );
    assert_eq!(reused.await.problem(), "idempotency-reused");
    let elsewhere = world.path("/doors");
    let reused = mara.call_with_key(
        Method::POST,
        &elsewhere,
        Some(json!({ "name": "Shed", "kind": "unit", "reach": "offline" })),
        Some("the-same-key"),
    );
    assert_eq!(reused.await.problem(), "idempotency-reused");
    let missing = mara
        .call_with_key(Method::POST, &path, Some(other.clone()), None)
        .await;
    assert_eq!(missing.problem(), "idempotency-missing");
    let olga = world.device(OWNER).await;
    let hers = olga
        .call_with_key(Method::POST, &path, Some(other), Some("the-same-key"))
        .await;
    assert_eq!(
        hers.ok::<Person>().name,
        "Viktor Vendor",
        "keys of two callers do not meet"
    );
}

#[tokio::test]
async fn a_refused_write_may_be_repeated_with_its_key() {
    let world = World::start().await;
    let mara = world.device(MANAGER).await;
    let path = world.path("/people");
    let write = async |name: &str| {
        let body = json!({ "name": name, "role": "vendor" });
        mara.call_with_key(Method::POST, &path, Some(body), Some("a-key-of-ours"))
            .await
    };
    assert_eq!(write("").await.problem(), "invalid-value");
    assert!(write("Vera Vendor").await.status.is_success());
}
