//! The description of the portal is what the portal does.

use latchkey_protocol::api::problem::ProblemType;
use reqwest::Method;
use serde_json::Value;

use crate::client::Device;
use crate::world::World;

/// Routes without a description: the description itself, and the guest's page with its files.
const UNDESCRIBED: &[&str] = &["/openapi.json", "/g", "/g/"];

#[tokio::test]
async fn every_described_route_answers_and_refuses_other_methods() {
    let world = World::start().await;
    let device = Device::new(world.portal.url());
    let document: Value = device.bare(Method::GET, "/openapi.json", None).await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20, "{}", paths.len());
    for (path, operations) in paths {
        let operations = operations.as_object().unwrap();
        let path = filled(path);
        for (name, method) in METHODS {
            let answer = device.bare(method.clone(), &path, None).await;
            let refused = answer.status == 405;
            assert_eq!(
                refused,
                !operations.contains_key(*name),
                "{name} {path}: {}",
                answer.status
            );
            if !answer.status.is_success() {
                answer.problem();
            }
        }
    }
}

#[tokio::test]
async fn every_route_of_the_source_is_described() {
    let metrics = "127.0.0.1:0".parse().unwrap();
    let world = World::start_with(|config| config.metrics = Some(metrics)).await;
    let device = Device::new(world.portal.url());
    let document: Value = device.bare(Method::GET, "/openapi.json", None).await.ok();
    let described: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    // The metrics name every route that has answered: after asking for each, both lists are the same.
    for path in &described {
        device.bare(Method::GET, &filled(path), None).await;
    }
    let watcher = format!("http://{}", world.portal.metrics_addr().unwrap());
    let metrics = Device::new(&watcher)
        .bare(Method::GET, "/metrics", None)
        .await
        .text();
    let answered = metrics.lines().filter_map(|line| {
        let route = line.split("route=\"").nth(1)?.split('"').next()?;
        Some(route.to_owned())
    });
    let mut answered: Vec<String> = answered.collect();
    answered.sort();
    answered.dedup();
    for route in &answered {
        let known = described.contains(&route) || UNDESCRIBED.contains(&route.as_str());
        assert!(known, "{route} answers and is not described");
    }
    for path in described {
        assert!(answered.contains(path), "{path} is described only");
    }
    let refused = device.bare(Method::GET, "/metrics", None).await;
    assert_eq!(
        refused.problem(),
        "not-found",
        "for whoever runs the portal, nobody else"
    );
}

#[tokio::test]
async fn every_operation_names_its_problems_and_the_problem_is_described() {
    let world = World::start().await;
    let device = Device::new(world.portal.url());
    let document: Value = device.bare(Method::GET, "/openapi.json", None).await.ok();
    assert!(document["components"]["schemas"]["Problem"].is_object());
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if path == "/healthz" {
                continue;
            }
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert!(problem.is_object(), "{method} {path}");
        }
    }
    assert!(ProblemType::ALL.len() > 20);
}

const METHODS: &[(&str, Method)] = &[
    ("get", Method::GET),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("delete", Method::DELETE),
];

/// A path with something in place of its parameters.
fn filled(path: &str) -> String {
    path.replace("{property}", &"0".repeat(32))
        .replace("{door}", &"0".repeat(24))
        .replace("{key}", &"0".repeat(32))
        .replace("{slug}", "not-found")
        .replace("{code}", "ABCDE")
        .replace("{sign_in}", "AAAA")
}
