//! A piece of network that can be cut, led elsewhere, listened to and altered.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From whoever dialled.
    Out,
    /// Back to whoever dialled.
    Back,
}

/// Who sits on the wire: sees the bytes and where in their connection they start, may change them,
/// and says whether it did.
pub type Tamper = Arc<dyn Fn(Way, usize, &mut [u8]) -> bool + Send + Sync>;

/// What went over the newest connection.
#[derive(Debug, Default, Clone)]
pub struct Carried {
    /// The bytes of whoever dialled, as they arrived at the other end.
    pub out: Vec<u8>,
    /// Those that came back.
    pub back: Vec<u8>,
    /// Whether any byte of it was changed.
    pub altered: bool,
}

/// A line to one address. It ends when this is dropped.
pub struct Wire {
    addr: SocketAddr,
    up: watch::Sender<bool>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    target: Mutex<Option<SocketAddr>>,
    tamper: Mutex<Option<Tamper>>,
    /// After how many bytes of whoever dials a connection breaks.
    breaks_after: Mutex<Option<usize>>,
    newest: Mutex<Arc<Mutex<Carried>>>,
}

impl Wire {
    /// Opens this end on a free port of the loopback; it leads nowhere yet.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("no port is free on the loopback")?;
        let addr = listener.local_addr()?;
        let (up, up_seen) = watch::channel(true);
        let shared = Arc::new(Shared::default());
        let wire = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = *lock(&wire.target);
                if let (true, Some(far)) = (*up_seen.borrow(), far) {
                    tokio::spawn(carry(near, far, wire.clone(), up_seen.clone()));
                }
            }
        });
        Ok(Self {
            addr,
            up,
            shared,
            task,
        })
    }

    /// Where this end is.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Leads it to an address, from the next connection on.
    pub fn lead_to(&self, far: SocketAddr) {
        *lock(&self.shared.target) = Some(far);
    }

    /// Cuts it, connections that stand included, or mends it.
    pub fn set_up(&self, up: bool) {
        self.up.send_replace(up);
    }

    /// Lets somebody sit on it, from the next bytes on.
    pub fn tamper(&self, tamper: Option<Tamper>) {
        *lock(&self.shared.tamper) = tamper;
    }

    /// Breaks each connection from now on after so many bytes of whoever dialled, or none any more.
    pub fn break_after(&self, bytes: Option<usize>) {
        *lock(&self.shared.breaks_after) = bytes;
    }

    /// What the newest connection has carried so far.
    #[must_use]
    pub fn carried(&self) -> Carried {
        let newest = lock(&self.shared.newest).clone();
        lock(&newest).clone()
    }

    /// Whether a byte of the newest connection was changed so far.
    #[must_use]
    pub fn is_altered(&self) -> bool {
        let newest = lock(&self.shared.newest).clone();
        lock(&newest).altered
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
        self.up.send_replace(false);
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

async fn carry(
    mut near: TcpStream,
    far: SocketAddr,
    wire: Arc<Shared>,
    mut up: watch::Receiver<bool>,
) {
    let Ok(mut far) = TcpStream::connect(far).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let carried = Arc::default();
    *lock(&wire.newest) = Arc::clone(&carried);
    let breaks_after = *lock(&wire.breaks_after);
    let broken = tokio::sync::Notify::new();
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    let both = async {
        tokio::join!(
            async {
                let from = near_read.take(breaks_after.map_or(u64::MAX, |bytes| bytes as u64));
                pump(from, far_write, Way::Out, &wire, &carried).await;
                if breaks_after.is_some_and(|bytes| lock(&carried).out.len() >= bytes) {
                    broken.notify_one();
                }
            },
            pump(far_read, near_write, Way::Back, &wire, &carried),
        )
    };
    tokio::select! {
        _ = both => {}
        () = broken.notified() => {}
        _ = up.wait_for(|up| !up) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    wire: &Shared,
    carried: &Mutex<Carried>,
) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = &mut buffer[..count];
        let tamper = lock(&wire.tamper).clone();
        {
            let mut carried = lock(carried);
            let start = match way {
                Way::Out => carried.out.len(),
                Way::Back => carried.back.len(),
            };
            let altered = tamper.is_some_and(|tamper| tamper(way, start, bytes));
            carried.altered |= altered;
            match way {
                Way::Out => carried.out.extend_from_slice(bytes),
                Way::Back => carried.back.extend_from_slice(bytes),
            }
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
