//! A request's head comes within ten seconds of its first byte, or its connection ends. Without it, a client that sends
//! a byte now and then holds a connection for ever. Between requests a connection may rest for a while.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use latchkey_env::{SharedClock, Sleep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may rest. Proxies keep theirs for up to ten minutes, and mind when it is the other end that closes.
const REST: Duration = Duration::from_secs(660);

/// Where a connection is between one request and the next.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<AtomicU8>);

/// No byte of a request has come.
const RESTING: u8 = 0;
/// Some of its head has.
const IN_HEAD: u8 = 1;
/// All of its head has; it is being answered.
const ANSWERING: u8 = 2;

impl Progress {
    fn new() -> Self {
        Self(Arc::new(AtomicU8::new(RESTING)))
    }

    /// A request's head is complete.
    pub(crate) fn head_is_here(&self) {
        self.0.store(ANSWERING, Ordering::Relaxed);
    }

    /// It is answered: what comes now is the head of another one.
    pub(crate) fn answered(&self) {
        self.0.store(RESTING, Ordering::Relaxed);
    }

    /// Bytes came: they begin a head, unless one is on its way or being answered.
    fn begins_head(&self) {
        let (from, to) = (RESTING, IN_HEAD);
        let order = Ordering::Relaxed;
        // Otherwise it stays as it is.
        let _ = self.0.compare_exchange(from, to, order, order);
    }

    fn stage(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection with this limit.
pub(crate) struct Impatient<S> {
    stream: S,
    clock: SharedClock,
    progress: Progress,
    /// By when a head has to begin, or to be here.
    limit: Option<Limit>,
}

/// A time limit, and where the connection stood when it began.
struct Limit {
    stage: u8,
    until: Sleep,
}

impl<S> Impatient<S> {
    pub(crate) fn new(stream: S, clock: SharedClock) -> Self {
        Self {
            stream,
            clock,
            progress: Progress::new(),
            limit: None,
        }
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The limit of where the connection stands now.
    fn limit(&mut self) -> Option<&mut Limit> {
        let stage = self.progress.stage();
        if self.limit.as_ref().map(|limit| limit.stage) != Some(stage) {
            let within = match stage {
                RESTING => Some(REST),
                IN_HEAD => Some(WITHIN),
                _ => None,
            };
            self.limit = within.map(|within| {
                let until = self.clock.monotonic().saturating_add(within);
                Limit {
                    stage,
                    until: self.clock.sleep_until(until),
                }
            });
        }
        self.limit.as_mut()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(limit) = self.limit()
            && limit.until.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.progress.begins_head();
            // From now on, not from when more is asked for.
            self.limit();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Connections of another listener, with this limit.
pub(crate) struct Limited<L> {
    listener: L,
    clock: SharedClock,
}

impl<L> Limited<L> {
    pub(crate) fn new(listener: L, clock: SharedClock) -> Self {
        Self { listener, clock }
    }
}

impl<L: axum::serve::Listener> axum::serve::Listener for Limited<L> {
    type Io = Impatient<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, peer) = self.listener.accept().await;
        (Impatient::new(stream, Arc::clone(&self.clock)), peer)
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
