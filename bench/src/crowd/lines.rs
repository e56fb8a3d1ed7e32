//! Thousands of WebSockets in this process, each read by a task of its own, so that pings are answered at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use latchkey_env::SystemClock;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::doors::Line;

/// When nobody comes any more.
const LOST: Duration = Duration::from_secs(60);

/// Counts messages.
#[derive(Clone, Default)]
pub(super) struct Arrivals(Arc<Counted>);

#[derive(Default)]
struct Counted {
    count: AtomicUsize,
    wanted: AtomicUsize,
    /// Bytes of the last one.
    length: AtomicUsize,
    all: Notify,
}

impl Arrivals {
    /// Counts from nothing again, up to so many.
    pub(super) fn expect(&self, wanted: usize) {
        self.0.count.store(0, Ordering::SeqCst);
        self.0.wanted.store(wanted, Ordering::SeqCst);
    }

    fn one_more(&self, length: usize) {
        self.0.length.store(length, Ordering::SeqCst);
        let count = self.0.count.fetch_add(1, Ordering::SeqCst) + 1;
        if count == self.0.wanted.load(Ordering::SeqCst) {
            self.0.all.notify_one();
        }
    }

    /// How long the last message was.
    pub(super) fn length(&self) -> usize {
        self.0.length.load(Ordering::SeqCst)
    }

    /// Returns once all have come.
    pub(super) async fn all(&self) {
        let all = latchkey_env::timeout(&SystemClock, LOST, self.0.all.notified());
        all.await.expect("each line brings its message");
    }
}

/// The lines; each ends when it is taken off here.
pub(super) struct Lines(Vec<JoinHandle<()>>);

impl Lines {
    /// Reads each as soon as it stands, and counts the messages in which this is.
    pub(super) async fn read(
        connecting: impl Stream<Item = Line>,
        mark: &'static str,
        arrivals: &Arrivals,
    ) -> Self {
        let read = |mut line: Line| {
            let arrivals = arrivals.clone();
            tokio::spawn(async move {
                loop {
                    let text = line.text().await;
                    if text.contains(mark) {
                        arrivals.one_more(text.len());
                    }
                }
            })
        };
        Self(connecting.map(read).collect().await)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Keeps so many. Afterwards the files of the others are closed.
    pub(super) async fn keep(&mut self, count: usize) {
        let others: Vec<_> = self.0.drain(count..).collect();
        others.iter().for_each(JoinHandle::abort);
        for other in others {
            // That it was broken off.
            let _ = other.await;
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Raises how many files this process, and those that it starts, may have open, as far as that is allowed; the reason
/// when these are not.
pub(super) fn may_open(files: u64) -> Result<(), String> {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|limit| limit >= files) {
        return Ok(());
    }
    if let Some(most) = now.maximum.filter(|most| *most < files) {
        return Err(format!(
            "{files} open files are wanted, and {most} allowed here"
        ));
    }
    let raised = Rlimit {
        current: Some(files),
        maximum: now.maximum,
    };
    let raising = setrlimit(Resource::Nofile, raised);
    raising.map_err(|error| format!("{files} open files are wanted, and not given: {error}"))
}
