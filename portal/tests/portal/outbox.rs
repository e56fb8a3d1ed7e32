//! Letters leave at least once, whatever happens between.

use std::sync::Arc;

use latchkey_env::{SystemRandom, VirtualClock};
use latchkey_portal::{
    Config, Limits, MailRoute, Mailbox, Portal, SignerPlace, create_property, property_file,
};
use reqwest::Method;
use serde_json::json;

use crate::client::Device;
use crate::world::{OWNER, Place, World};

const FILE: &str = r#"
[property]
name = "Yard"
zone = "UTC"
[owner]
name = "Olga"
email = "olga@harbour.example"
"#;

#[tokio::test]
async fn a_letter_that_could_not_be_sent_is_sent_after_a_restart() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let clock = VirtualClock::at("2026-11-24T09:00:00Z");
    let file = property_file::parse(FILE, "yard.toml").unwrap();
    let (shared, random) = (Arc::new(clock.clone()), Arc::new(SystemRandom));
    let place = Place::make();
    create_property(
        folder.path(),
        &place.database,
        &SignerPlace::Embedded,
        file,
        shared.clone(),
        random.clone(),
    )
    .await
    .unwrap();
    // Nobody listens on this port: the first try fails.
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = dead.local_addr().unwrap().port();
    drop(dead);
    let mut config = Config {
        data: folder.path().to_owned(),
        database: place.database.clone(),
        signer: SignerPlace::Embedded,
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: None,
        tls: None,
        trusted_proxies: Vec::new(),
        limits: Limits::default(),
        metrics: None,
        mail: MailRoute::Smtp {
            url: format!("smtp://127.0.0.1:{port}"),
            from: "keys@harbour.example".to_owned(),
        },
        clock: shared,
        random,
    };
    let portal = Portal::start(config.clone()).await.unwrap();
    Device::new(portal.url()).ask_for_code(OWNER).await;
    portal.shutdown().await;

    let mailbox = Mailbox::new();
    config.mail = MailRoute::Memory(mailbox.clone());
    // Its next try lies ahead, and its code's ten minutes are not over yet.
    clock.advance(std::time::Duration::from_secs(60));
    let portal = Portal::start(config).await.unwrap();
    let mail = mailbox.next_to(OWNER, 0).await;
    assert!(mail.body.starts_with("code "), "{}", mail.body);
    portal.shutdown().await;
}

#[tokio::test]
async fn a_letter_is_sent_once_when_all_goes_well() {
    let world = World::start().await;
    let device = Device::new(world.portal.url());
    device.ask_for_code(OWNER).await;
    world.mail.next_to(OWNER, 0).await;
    let world = world.restart().await;
    let device = Device::new(world.portal.url());
    let body = Some(json!({ "email": OWNER }));
    assert!(
        device
            .bare(Method::POST, "/v1/sign-in", body)
            .await
            .status
            .is_success()
    );
    world.mail.next_to(OWNER, 1).await;
    assert_eq!(world.mail.len(), 2);
}
