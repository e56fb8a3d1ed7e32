//! What HTTP carries in bodies, taken between its two ends.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// An address that leads to another one and keeps the bodies of both ways.
pub(crate) struct Meter {
    listener: TcpListener,
    addr: SocketAddr,
    bodies: Bodies,
}

/// What came through so far.
#[derive(Clone, Default)]
pub(crate) struct Bodies(Arc<Mutex<Vec<Vec<u8>>>>);

impl Bodies {
    /// Those since the last time.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.0.lock().expect("nobody panicked"))
    }

    /// How many bytes they have.
    pub(crate) fn take_length(&self) -> u64 {
        self.take().iter().map(|body| body.len() as u64).sum()
    }

    fn keep(&self, body: Vec<u8>) {
        self.0.lock().expect("nobody panicked").push(body);
    }
}

impl Meter {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        Self {
            addr: listener.local_addr().expect("an address"),
            listener,
            bodies: Bodies::default(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Leads there from now on.
    pub(crate) fn lead_to(self, portal: SocketAddr) -> Bodies {
        let bodies = self.bodies.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = self.listener.accept().await {
                let far = TcpStream::connect(portal).await.expect("the other end");
                let (from_near, to_near) = near.into_split();
                let (from_far, to_far) = far.into_split();
                tokio::spawn(carry(from_near, to_far, self.bodies.clone()));
                tokio::spawn(carry(from_far, to_near, self.bodies.clone()));
            }
        });
        bodies
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, bodies: Bodies) {
    let mut buffer = vec![0; 64 * 1024];
    let mut messages = Messages::default();
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        // Before whoever waits for it has it.
        messages.read(&buffer[..length], &bodies);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// One way of a connection, HTTP/1.1.
#[derive(Default)]
struct Messages {
    /// Of the next message, as far as they have come.
    headers: Vec<u8>,
    /// The same of its body, once its headers are there.
    body: Vec<u8>,
    /// Bytes of the body that are still to come.
    missing: usize,
}

impl Messages {
    fn read(&mut self, mut bytes: &[u8], bodies: &Bodies) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.missing == 0 {
                self.headers.push(first);
                bytes = rest;
                if self.headers.ends_with(b"\r\n\r\n") {
                    self.missing = length_of_body(&std::mem::take(&mut self.headers));
                }
                continue;
            }
            let (of_body, rest) = bytes.split_at(bytes.len().min(self.missing));
            self.body.extend_from_slice(of_body);
            self.missing -= of_body.len();
            bytes = rest;
            if self.missing == 0 {
                bodies.keep(std::mem::take(&mut self.body));
            }
        }
    }
}

fn length_of_body(headers: &[u8]) -> usize {
    let headers = String::from_utf8_lossy(headers).to_lowercase();
    let field = |name: &str| headers.lines().find_map(|line| line.strip_prefix(name));
    let chunked = field("transfer-encoding:");
    assert!(chunked.is_none(), "a body without a length: {headers}");
    let length = field("content-length:").map(|length| length.trim().parse());
    length.map_or(0, |length| length.expect("a length"))
}
