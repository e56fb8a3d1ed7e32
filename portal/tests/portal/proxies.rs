//! Behind a proxy: whose limits count.

use std::sync::Arc;

use latchkey_env::{SystemRandom, VirtualClock};
use latchkey_portal::{Config, Limits, MailRoute, Mailbox, Portal, SignerPlace};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::client::Device;
use crate::world::Place;

/// A portal that takes these proxies' word.
async fn behind(trusted: &[&str], folder: &tempfile::TempDir, place: &Place) -> Portal {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Portal::start(Config {
        data: folder.path().to_owned(),
        database: place.database.clone(),
        signer: SignerPlace::Embedded,
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: None,
        tls: None,
        trusted_proxies: trusted.iter().map(|net| net.parse().unwrap()).collect(),
        limits: Limits::default(),
        metrics: None,
        mail: MailRoute::Memory(Mailbox::new()),
        clock: Arc::new(VirtualClock::at("2026-11-24T09:00:00Z")),
        random: Arc::new(SystemRandom),
    })
    .await
    .unwrap()
}

/// Asks for a code as a proxy passes it on; whether there was one.
async fn ask(device: &Device, forwarded_for: &str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", forwarded_for.parse().unwrap());
    let body = Some(json!({ "email": "somebody@else.example" }));
    let answer = device.send(Method::POST, "/v1/sign-in", body, headers);
    let answer = answer.await;
    if !answer.status.is_success() {
        assert_eq!(answer.problem(), "too-many-requests");
    }
    answer.status.is_success()
}

#[tokio::test]
async fn a_trusted_proxys_clients_have_limits_of_their_own_whatever_they_write_themselves() {
    let (folder, place) = (tempfile::tempdir().unwrap(), Place::make());
    let portal = behind(&["127.0.0.0/8"], &folder, &place).await;
    let proxy = Device::new(portal.url());
    for n in 0..10 {
        assert!(ask(&proxy, &format!("198.51.100.{n}, 192.0.2.1")).await);
    }
    assert!(!ask(&proxy, "198.51.100.77, 192.0.2.1").await);
    assert!(ask(&proxy, "192.0.2.2").await);
}

#[tokio::test]
async fn whom_a_stranger_names_counts_for_nothing() {
    let (folder, place) = (tempfile::tempdir().unwrap(), Place::make());
    let portal = behind(&["192.0.2.0/24"], &folder, &place).await;
    let stranger = Device::new(portal.url());
    for n in 0..10 {
        assert!(ask(&stranger, &format!("198.51.100.{n}")).await);
    }
    assert!(!ask(&stranger, "198.51.100.77").await);
}
