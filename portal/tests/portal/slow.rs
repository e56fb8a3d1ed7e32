//! Clients that take their time.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{OWNER, World};

pub(crate) const HEAD: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Reads one answer's head and its body `ok`.
pub(crate) async fn is_answered(stream: &mut (impl AsyncRead + Unpin)) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// Lets time go on, second by second, until something comes; how many it took.
async fn seconds_until(
    world: &World,
    mut each: impl AsyncFnMut(),
    something: impl Future,
) -> usize {
    let mut something = std::pin::pin!(something);
    let mut seconds = 0;
    loop {
        tokio::select! {
            _ = &mut something => return seconds,
            () = tokio::task::yield_now() => {}
        }
        world.clock.advance(Duration::from_secs(1));
        seconds += 1;
        each().await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_ten_seconds() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.portal.addr()).await.unwrap();
    let head = "POST /v1/sign-in HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64];
    let seconds = seconds_until(&world, async || {}, stream.read_exact(&mut answer)).await;
    assert!(seconds >= 10, "answered after {seconds} seconds");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn a_client_that_sends_a_byte_a_second_is_cut_off_in_the_midst_of_its_head() {
    let world = World::start().await;
    let slow = TcpStream::connect(world.portal.addr()).await.unwrap();
    let (mut reading, mut writing) = slow.into_split();
    // The second head of a connection as well as its first.
    writing.write_all(HEAD).await.unwrap();
    is_answered(&mut reading).await;
    writing
        .write_all(b"GET /healthz HTTP/1.1\r\nx: ")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let drips = async || {
        // May fail once it is cut off.
        let _ = writing.write_all(b"a").await;
    };
    let seconds = seconds_until(&world, drips, reading.read_to_end(&mut rest)).await;
    assert!(seconds >= 10, "cut off after {seconds} seconds");
    let rest = String::from_utf8(rest).unwrap();
    assert!(
        rest.is_empty(),
        "cut off for its length, not its time: {rest}"
    );
    world.device(OWNER).await.me().await;
}

#[tokio::test]
async fn a_connection_may_rest_between_its_requests_but_not_for_ever() {
    let world = World::start().await;
    let mut patient = TcpStream::connect(world.portal.addr()).await.unwrap();
    for _ in 0..3 {
        patient.write_all(HEAD).await.unwrap();
        is_answered(&mut patient).await;
        world.clock.advance(Duration::from_secs(600));
    }
    patient.write_all(HEAD).await.unwrap();
    is_answered(&mut patient).await;
    let mut rest = Vec::new();
    let seconds = seconds_until(&world, async || {}, patient.read_to_end(&mut rest)).await;
    assert!(seconds >= 660, "closed after {seconds} seconds");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_connection_that_never_asks_for_anything_is_closed() {
    let world = World::start().await;
    let mut silent = TcpStream::connect(world.portal.addr()).await.unwrap();
    let mut rest = Vec::new();
    let seconds = seconds_until(&world, async || {}, silent.read_to_end(&mut rest)).await;
    assert!(seconds >= 660, "closed after {seconds} seconds");
    assert!(rest.is_empty());
}
