//! Connections are counted as they come. One too many hears why, when it has asked for something, and is closed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use ipnet::IpNet;
use latchkey_env::SharedClock;
use latchkey_protocol::api::problem::{MEDIA_TYPE, Problem};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::Semaphore;

use crate::room::{Full, Place, RETRY_AFTER, Room};

/// So many are told at a time; more are closed without a word.
const REFUSED_AT_A_TIME: usize = 64;
/// A refused one is gone by then.
const REFUSED_WITHIN: Duration = Duration::from_secs(2);
/// Longest head that is read before the refusal.
const HEAD: usize = 16 * 1024;

/// Connections of another listener, counted.
pub(crate) struct Counted<L> {
    listener: L,
    room: Arc<Room>,
    trusted: Vec<IpNet>,
    clock: SharedClock,
    /// None where words would have to be in TLS: the handshake is what a flood is after.
    refusals: Option<Arc<Semaphore>>,
}

impl<L> Counted<L> {
    /// Those who are refused hear it in HTTP.
    pub(crate) fn plain(
        listener: L,
        room: Arc<Room>,
        trusted: Vec<IpNet>,
        clock: SharedClock,
    ) -> Self {
        Self {
            listener,
            room,
            trusted,
            clock,
            refusals: Some(Arc::new(Semaphore::new(REFUSED_AT_A_TIME))),
        }
    }

    /// Those who are refused are closed.
    pub(crate) fn wordless(self) -> Self {
        Self {
            refusals: None,
            ..self
        }
    }

    fn whose(&self, peer: SocketAddr) -> Option<IpAddr> {
        let address = peer.ip().to_canonical();
        let is_proxy = self.trusted.iter().any(|net| net.contains(&address));
        (!is_proxy).then_some(address)
    }

    fn refuse<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(&self, stream: S, full: Full) {
        tracing::debug!(?full, "a connection too many");
        let Some(refusals) = &self.refusals else {
            return;
        };
        if let Ok(permit) = Arc::clone(refusals).try_acquire_owned() {
            let clock = Arc::clone(&self.clock);
            tokio::spawn(async move {
                let refusal = say_no(stream, full);
                // Whoever does not listen misses it.
                let _ = latchkey_env::timeout(&*clock, REFUSED_WITHIN, refusal).await;
                drop(permit);
            });
        }
    }
}

impl<L: Listener<Addr = SocketAddr>> Listener for Counted<L>
where
    L::Io: 'static,
{
    type Io = Held<L::Io>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, peer) = self.listener.accept().await;
            match self.room.take(self.whose(peer)) {
                Ok(place) => {
                    let held = Held {
                        stream,
                        _place: place,
                    };
                    return (held, peer);
                }
                Err(full) => self.refuse(stream, full),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Reads a head first, and what follows last: whoever is still sending when its connection ends does not see the answer.
async fn say_no(
    mut stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    full: Full,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let problem = Problem::new(full.kind()).with_detail(full.detail());
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 {status} {title}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {length}\r\n\
         retry-after: {RETRY_AFTER}\r\nconnection: close\r\n\r\n{body}",
        status = problem.status,
        title = problem.title,
        length = body.len(),
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// A connection that has its place until it ends.
pub(crate) struct Held<S> {
    stream: S,
    _place: Place,
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use latchkey_env::VirtualClock;
    use tokio::io::DuplexStream;
    use tokio::sync::mpsc;

    use super::*;

    /// Connections from wherever the test says.
    struct Wire(mpsc::UnboundedReceiver<(DuplexStream, SocketAddr)>);

    impl Listener for Wire {
        type Io = DuplexStream;
        type Addr = SocketAddr;

        async fn accept(&mut self) -> (DuplexStream, SocketAddr) {
            match self.0.recv().await {
                Some(accepted) => accepted,
                None => std::future::pending().await,
            }
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    struct Street(mpsc::UnboundedSender<(DuplexStream, SocketAddr)>);

    impl Street {
        fn come(&self, from: &str) -> DuplexStream {
            let (near, far) = tokio::io::duplex(4096);
            let peer = SocketAddr::new(from.parse().unwrap(), 1);
            self.0.send((far, peer)).unwrap();
            near
        }
    }

    fn counted(trusted: &str) -> (Street, Counted<Wire>, VirtualClock) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let clock = VirtualClock::at("2026-11-24T09:00:00Z");
        let trusted = vec![trusted.parse().unwrap()];
        let room = Room::new(5, 2);
        let counted = Counted::plain(Wire(receiver), room, trusted, Arc::new(clock.clone()));
        (Street(sender), counted, clock)
    }

    async fn said(mut stream: DuplexStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn one_too_many_hears_it_and_other_networks_come_in() {
        let (street, mut counted, _clock) = counted("10.0.0.0/8");
        let (_one, _two) = (street.come("192.0.2.1"), street.come("192.0.2.1"));
        let refused = street.come("192.0.2.1");
        let _other = street.come("192.0.2.2");
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(counted.accept().await);
        }
        assert_eq!(held[2].1.ip().to_string(), "192.0.2.2");
        let answer = said(refused).await;
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
        assert!(answer.contains("\r\nretry-after: 10\r\n"), "{answer}");
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        let problem: Problem = serde_json::from_str(body).unwrap();
        assert_eq!(problem.problem_type(), Some(Full::Network.kind()));
        // A place is free again once its connection is gone.
        held.remove(0);
        let _again = street.come("192.0.2.1");
        assert_eq!(counted.accept().await.1.ip().to_string(), "192.0.2.1");
    }

    #[tokio::test]
    async fn a_proxy_has_no_networks_share_and_nobody_more_than_all() {
        let (street, mut counted, _clock) = counted("10.0.0.0/8");
        let _through: Vec<_> = (0..5).map(|_| street.come("::ffff:10.0.0.1")).collect();
        let refused = street.come("192.0.2.1");
        let mut held = Vec::new();
        for _ in 0..5 {
            held.push(counted.accept().await);
        }
        let accepting = tokio::spawn(async move { counted.accept().await.1 });
        let answer = said(refused).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        held.clear();
        let _again = street.come("192.0.2.1");
        assert_eq!(accepting.await.unwrap().ip().to_string(), "192.0.2.1");
    }

    #[tokio::test]
    async fn a_refused_one_that_says_nothing_is_closed_within_seconds() {
        let (street, mut counted, clock) = counted("10.0.0.0/8");
        let _there = [street.come("192.0.2.1"), street.come("192.0.2.1")];
        let mut silent = street.come("192.0.2.1");
        let _other = street.come("192.0.2.2");
        for _ in 0..3 {
            std::mem::forget(counted.accept().await);
        }
        while clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(REFUSED_WITHIN);
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
