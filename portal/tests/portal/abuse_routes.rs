//! Every route, as `/openapi.json` names them: whose property it is, and bodies that are too long.

use latchkey_protocol::api::keys::Key;
use latchkey_protocol::ids::PropertyId;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Answer, Device};
use crate::world::{OWNER, World};

/// Every operation of the portal: method and path with its parameters in braces.
async fn operations(world: &World) -> Vec<(Method, String)> {
    let device = Device::new(world.portal.url());
    let document: Value = device.bare(Method::GET, "/openapi.json", None).await.ok();
    let mut all = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            all.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    all
}

/// A body that reads, for every write below a property. Whoever adds a route adds its body.
fn body(method: &Method, route: &str) -> Option<Value> {
    let hex = |length: usize| "0".repeat(2 * length);
    let base64 = "AAAA";
    let draft = json!({ "name": "Way in", "kind": "qr", "doors": "all" });
    if [Method::GET, Method::DELETE].contains(method) {
        return None;
    }
    Some(match route {
        "" | "/credentials/challenge" | "/keys/{key}/link" => return None,
        "/credentials" => json!({
            "use": "access", "public_key": base64, "nonce": base64, "signature": base64,
            "hardware": false,
        }),
        "/door-logs" => json!({ "parcel": base64 }),
        "/door-states" => json!({ "state": base64 }),
        "/doors" => json!({ "name": "Back door", "kind": "gate", "reach": "online" }),
        "/doors/{door}/controllers" => json!({ "code": "ABCDE" }),
        "/doors/{door}/time" => json!({ "nonce": base64 }),
        "/keys" | "/keys/{key}" | "/keys/{key}/guest-keys" => draft,
        "/keys/{key}/write-offs" => json!({ "door": hex(12), "generation": 1 }),
        "/people" => json!({ "name": "Mallory", "role": "vendor" }),
        "/revocation-lists" => json!({ "document": base64 }),
        route => panic!("say here what {method} {route} takes"),
    })
}

/// What an answer says, without what names the single request.
fn said(answer: &Answer) -> (u16, Value) {
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
    body.as_object_mut().unwrap().remove("instance");
    (answer.status.as_u16(), body)
}

#[tokio::test]
async fn to_a_stranger_every_route_of_a_property_answers_as_if_there_were_none() {
    let world = World::start().await;
    let hill = crate::tenants::add(&world).await;
    let hugo = world.device("hugo@hill.example").await;
    let at_hill = |rest: &str| format!("/v1/properties/{hill}{rest}");
    let draft = json!({ "name": "All", "kind": "qr", "doors": "all" });
    let key: Key = hugo.post(&at_hill("/keys"), draft).await.ok();
    let doors: Value = hugo.get(&at_hill("/doors")).await.ok();
    let door = doors["items"][0]["id"].as_str().unwrap();
    let all = async || {
        let mut all = Vec::new();
        for list in ["/keys", "/doors", "/people"] {
            all.push(hugo.get(&at_hill(list)).await.ok::<Value>());
        }
        all
    };
    let before = all().await;

    let olga = world.device(OWNER).await;
    let nowhere = PropertyId([0x5a; 16]);
    let mut tried = 0;
    for (method, path) in operations(&world).await {
        let Some(route) = path.strip_prefix("/v1/properties/{property}") else {
            assert!(!path.contains("{property}"), "{path}");
            continue;
        };
        let mut answers = Vec::new();
        for property in [hill, nowhere] {
            let path = path
                .replace("{property}", &property.to_string())
                .replace("{key}", &key.id.to_string())
                .replace("{door}", door);
            assert!(!path.contains('{'), "say here what stands for it: {path}");
            let answer = olga.call(method.clone(), &path, body(&method, route));
            let answer = answer.await;
            assert_eq!(answer.problem(), "not-found", "{method} {path}");
            answers.push(said(&answer));
        }
        assert_eq!(answers[0], answers[1], "{method} {route}");
        tried += 1;
    }
    assert!(tried > 15, "{tried}");
    assert_eq!(all().await, before);
}

#[tokio::test]
async fn a_body_of_a_megabyte_is_refused_by_every_route_and_changes_nothing() {
    let world = World::start().await;
    let olga = world.device(OWNER).await;
    let everything = olga.sync(&world, None).await;
    let long = json!({ "name": "A".repeat(1 << 20) });
    let mut tried = 0;
    for (method, path) in operations(&world).await {
        if [Method::GET, Method::DELETE].contains(&method) {
            continue;
        }
        let path = path
            .replace("{property}", &world.property.to_string())
            .replace("{door}", &"0".repeat(24))
            .replace("{key}", &"0".repeat(32))
            .replace("{sign_in}", "AAAA");
        let refused = olga.call(method.clone(), &path, Some(long.clone()));
        assert_eq!(refused.await.problem(), "too-large", "{method} {path}");
        tried += 1;
    }
    assert!(tried > 15, "{tried}");
    let path = world.path(&format!("/sync?cursor={}", everything.cursor));
    let page: Value = olga.get(&path).await.ok();
    assert_eq!(page["changes"], json!([]));
}

#[tokio::test]
async fn after_a_body_that_was_too_long_its_connection_serves_on() {
    let world = World::start().await;
    let mut stream = tokio::net::TcpStream::connect(world.portal.addr())
        .await
        .unwrap();
    let length = 1 << 20;
    let head = format!(
        "POST /v1/sign-in HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; length]).await.unwrap();
    let next = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(next.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert!(answers.starts_with("HTTP/1.1 413"), "{answers}");
    assert!(answers.ends_with("ok\n"), "{answers}");
}
