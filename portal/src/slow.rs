//! A request's head comes within ten seconds of its first byte, or its connection ends. Without it, a client that sends
//! a byte now and then holds a connection for ever. Between requests a connection may rest.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use latchkey_env::{SharedClock, Sleep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const WITHIN: Duration = Duration::from_secs(10);

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

    /// Bytes came; whether they begin a head.
    fn begins_head(&self) -> bool {
        let (from, to) = (RESTING, IN_HEAD);
        let order = Ordering::Relaxed;
        self.0.compare_exchange(from, to, order, order).is_ok()
    }

    fn is_in_head(&self) -> bool {
        self.0.load(Ordering::Relaxed) == IN_HEAD
    }
}

/// A connection with this limit.
pub(crate) struct Impatient<S> {
    stream: S,
    clock: SharedClock,
    progress: Progress,
    /// While a head is on its way, the moment by which it has to be here.
    until: Option<Sleep>,
}

impl<S> Impatient<S> {
    pub(crate) fn new(stream: S, clock: SharedClock) -> Self {
        Self {
            stream,
            clock,
            progress: Progress::new(),
            until: None,
        }
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.progress.is_in_head() {
            self.until = None;
        }
        if let Some(until) = &mut self.until
            && until.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before && self.progress.begins_head() {
            let until = self.clock.monotonic().saturating_add(WITHIN);
            self.until = Some(self.clock.sleep_until(until));
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
