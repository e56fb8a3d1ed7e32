//! A portal that speaks TLS itself.

use std::path::Path;
use std::sync::Arc;

use latchkey_env::{SystemRandom, VirtualClock};
use latchkey_portal::{Config, Limits, MailRoute, Mailbox, Portal, SignerPlace, StartError, Tls};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::world::Place;

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn config(folder: &Path, place: &Place, key: &str) -> Config {
    Config {
        data: folder.to_owned(),
        database: place.database.clone(),
        signer: SignerPlace::Embedded,
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: None,
        tls: Some(Tls {
            cert: fixture("localhost.cert.pem"),
            key: fixture(key),
        }),
        trusted_proxies: Vec::new(),
        limits: Limits::default(),
        metrics: None,
        mail: MailRoute::Memory(Mailbox::new()),
        clock: Arc::new(VirtualClock::at("2026-11-24T09:00:00Z")),
        random: Arc::new(SystemRandom),
    }
}

#[tokio::test]
async fn it_answers_over_tls_and_one_silent_client_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::make();
    let portal = Portal::start(config(folder.path(), &place, "localhost.key.pem"))
        .await
        .unwrap();
    assert!(portal.url().starts_with("https://"));
    // Connects and says nothing.
    let _silent = TcpStream::connect(portal.addr()).await.unwrap();

    let mut roots = rustls::RootCertStore::empty();
    let cert = CertificateDer::from_pem_file(fixture("localhost.cert.pem")).unwrap();
    roots.add(cert).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(portal.addr()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await
        .unwrap();
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"),
        "{answer}"
    );
    portal.shutdown().await;
}

#[tokio::test]
async fn a_key_that_does_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Portal::start(config(folder.path(), &Place::make(), "README.md"))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, StartError::Tls(_)));
    assert!(error.to_string().contains("README.md"), "{error}");
}
