//! Many at once: how many connections, and answers that wait for something to happen, a network and all together hold.

use std::time::Duration;

use latchkey_portal::Limits;
use latchkey_protocol::api::auth::CredentialChallenge;
use latchkey_protocol::api::problem::Problem;
use latchkey_protocol::proof::KeyKind;
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::client::Key as Software;
use crate::door::Door;
use crate::slow::{HEAD, is_answered};
use crate::world::{RESIDENT, World};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connected(world: &World) -> TcpStream {
    TcpStream::connect(world.portal.addr()).await.unwrap()
}

/// Opens a door socket as a proxy passes it on; the slug of the problem when there is no place, which says when to come
/// back.
async fn door_socket(world: &World, forwarded_for: &str) -> Result<Socket, String> {
    let url = world.portal.url().replacen("http", "ws", 1);
    let mut request = format!("{url}/v1/door/socket")
        .into_client_request()
        .unwrap();
    let client = forwarded_for.parse().unwrap();
    request.headers_mut().insert("x-forwarded-for", client);
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(WsError::Http(refused)) => {
            assert_eq!(refused.headers()["retry-after"], "10");
            let problem: Problem =
                serde_json::from_slice(refused.body().as_ref().unwrap()).unwrap();
            assert_eq!(problem.status, refused.status().as_u16());
            Err(problem.kind.rsplit('/').next().unwrap().to_owned())
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn one_connection_too_many_hears_it_and_a_place_that_is_given_back_is_free() {
    let limits = Limits {
        connections: 3,
        ..Limits::default()
    };
    let world = World::start_with(|config| config.limits = limits).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = connected(&world).await;
        stream.write_all(HEAD).await.unwrap();
        is_answered(&mut stream).await;
        held.push(stream);
    }
    let mut refused = connected(&world).await;
    refused.write_all(HEAD).await.unwrap();
    let mut answer = String::new();
    refused.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nretry-after: 10\r\n"), "{answer}");
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let problem: Problem = serde_json::from_str(body).unwrap();
    assert_eq!(problem.kind, "/problems/full");
    // Those that are there are served as before.
    held[0].write_all(HEAD).await.unwrap();
    is_answered(&mut held[0]).await;
    held.pop();
    loop {
        let mut next = connected(&world).await;
        next.write_all(HEAD).await.unwrap();
        let mut first = [0; 12];
        next.read_exact(&mut first).await.unwrap();
        match &first {
            b"HTTP/1.1 200" => break,
            b"HTTP/1.1 503" => {}
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }
}

#[tokio::test]
async fn what_waits_for_something_to_happen_is_counted_by_network_behind_a_proxy_too() {
    let limits = Limits {
        waiting_per_network: 2,
        ..Limits::default()
    };
    let world = World::start_with(|config| {
        config.limits = limits;
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let rita = world.device(RESIDENT).await;
    let cursor = rita.sync(&world, None).await.cursor;
    let ask = async |path: &str, from: &str| {
        let mut headers = rita.proof_headers(&Method::GET, path, Some(&rita.access));
        headers.insert("x-forwarded-for", from.parse().unwrap());
        rita.send(Method::GET, path, None, headers).await
    };
    let poll = world.path(&format!("/sync?cursor={cursor}&wait=25"));
    let look = world.path(&format!("/sync?cursor={cursor}"));

    let (one, two) = ("192.0.2.1", "192.0.2.2");
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(door_socket(&world, one).await.unwrap());
    }
    let refused = "too-many-requests";
    assert_eq!(
        door_socket(&world, one).await.err().as_deref(),
        Some(refused)
    );
    let long = ask(&poll, one).await;
    assert_eq!(long.problem(), refused);
    assert_eq!(long.headers["retry-after"], "10");
    let mut from = HeaderMap::new();
    from.insert("x-forwarded-for", one.parse().unwrap());
    from.insert("cookie", "latchkey-guest=anybody".parse().unwrap());
    let page = rita.send(Method::GET, "/v1/guest/stream", None, from).await;
    assert_eq!(page.problem(), refused);
    // What is answered at once needs no place, and another network has its own.
    assert_eq!(ask(&look, one).await.status, 200);
    let _other = door_socket(&world, two).await.unwrap();
    held.pop();
    while door_socket(&world, one).await.is_err() {}
}

#[tokio::test]
async fn doors_that_have_signed_in_take_nobodys_place() {
    let limits = Limits {
        waiting: 1,
        ..Limits::default()
    };
    let world = World::start_with(|config| config.limits = limits).await;
    let doors = [
        Door::install(&world, "North gate").await,
        Door::install(&world, "South gate").await,
    ];
    let _lines = [
        doors[0].connect(&world).await,
        doors[1].connect(&world).await,
    ];
    let _nobody = door_socket(&world, "192.0.2.1").await.unwrap();
    assert_eq!(
        door_socket(&world, "192.0.2.1").await.err().as_deref(),
        Some("full")
    );
}

#[tokio::test]
async fn a_phone_has_a_bounded_number_of_nonces_open_and_the_latest_counts() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let key = Software::new();
    let first = rita
        .registration(&world, KeyKind::AccessCredential, &key)
        .await;
    world.clock.advance(Duration::from_secs(1));
    let path = world.path("/credentials/challenge");
    for _ in 0..15 {
        rita.call(Method::POST, &path, None)
            .await
            .ok::<CredentialChallenge>();
    }
    let latest = rita
        .registration(&world, KeyKind::AccessCredential, &key)
        .await;
    let credentials = world.path("/credentials");
    assert_eq!(rita.post(&credentials, first).await.problem(), "bad-proof");
    assert_eq!(rita.post(&credentials, latest).await.status, 201);
}
