//! Every error is a problem detail of a type that the portal explains.

use latchkey_protocol::api::problem::ProblemType;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::client::{Device, http};
use crate::world::{OWNER, World};

#[tokio::test]
async fn what_no_handler_answers_is_a_problem_too() {
    let world = World::start().await;
    let device = world.device(OWNER).await;
    let bare = async |method, path: &str| device.bare(method, path, None).await.problem();
    assert_eq!(bare(Method::GET, "/nothing/here").await, "not-found");
    assert_eq!(bare(Method::GET, "/v1/properties/xyz").await, "bad-request");
    assert_eq!(bare(Method::PATCH, "/v1/me").await, "method-not-allowed");
    assert_eq!(bare(Method::GET, "/v1/door/socket").await, "bad-request");
    assert_eq!(bare(Method::GET, "/v1/me").await, "not-signed-in");
    assert_eq!(bare(Method::GET, "/problems/unheard-of").await, "not-found");
    let unknown = device.get(&world.path("/sync?colour=red")).await;
    assert_eq!(unknown.problem(), "bad-request");
}

#[tokio::test]
async fn bodies_that_do_not_read_are_told_apart() {
    let world = World::start().await;
    let _ = &world.clock;
    let url = format!("{}/v1/sign-in", world.portal.url());
    let send = async |kind: &str, body: Vec<u8>| {
        let response = http()
            .post(&url)
            .header("content-type", kind)
            .body(body)
            .send()
            .await;
        let response = response.unwrap();
        crate::client::Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
        .problem()
    };
    let json = "application/json";
    assert_eq!(send(json, b"{".to_vec()).await, "bad-request");
    assert_eq!(send(json, b"{\"email\":7}".to_vec()).await, "invalid-value");
    assert_eq!(
        send(json, b"{\"mail\":\"a@b\"}".to_vec()).await,
        "invalid-value"
    );
    assert_eq!(send(json, Vec::new()).await, "bad-request");
    assert_eq!(
        send("text/plain", b"{}".to_vec()).await,
        "unsupported-media-type"
    );
    let long = format!("{{\"email\":\"{}\"}}", "a".repeat(300_000));
    assert_eq!(send(json, long.into_bytes()).await, "too-large");
}

#[tokio::test]
async fn every_type_has_a_page_and_every_answer_a_name_in_the_log() {
    let world = World::start().await;
    let device = Device::new(world.portal.url());
    for kind in ProblemType::ALL {
        let page = device
            .bare(Method::GET, &format!("/problems/{}", kind.slug()), None)
            .await;
        assert!(
            page.status.is_success() && page.text().contains(kind.title()),
            "{kind:?}"
        );
    }
    let answer = device.bare(Method::GET, "/v1/me", None).await;
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    assert!(answer.text().contains(&id));
    assert!(answer.headers.contains_key("www-authenticate"));
    let headers = HeaderMap::new();
    let written = device
        .send(Method::POST, "/v1/sign-in", Some(json!({})), headers)
        .await;
    assert_eq!(written.problem(), "invalid-value");
}

#[test]
fn the_docs_list_every_type_with_its_status_and_title() {
    let docs = include_str!("../../../docs/problems.md");
    for kind in ProblemType::ALL {
        let row = format!(
            "| `{}` | {} | {} |",
            kind.slug(),
            kind.status(),
            kind.title()
        );
        assert!(docs.contains(&row), "docs/problems.md lacks: {row}");
    }
    let rows = docs.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(
        rows,
        ProblemType::ALL.len(),
        "docs/problems.md lists what is no longer there"
    );
}
