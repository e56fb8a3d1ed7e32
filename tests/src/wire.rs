//! A piece of network that can be cut, led elsewhere, listened to and altered, and on which the weather can be bad: it
//! then loses, delays, repeats and, as some connections are delayed more than others, reorders what goes over it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use latchkey_test_faults::Dice;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// In bad weather: within how many bytes a connection breaks that breaks, and how long a piece of it takes at most.
const LONGEST_BEFORE_IT_BREAKS: u64 = 3_000;
const LONGEST_DELAY: Duration = Duration::from_millis(5);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From whoever dialled.
    Out,
    /// Back to whoever dialled.
    Back,
}

/// What a connection comes to.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Its end.
    Fair,
    /// Nothing: it is closed before a byte got through.
    Lost,
    /// It breaks after so many bytes of one side.
    Cut(Way, usize),
    /// After so many bytes of one side nothing gets through any more, and neither side is told.
    Silent(Way, usize),
    /// When it is over, all that whoever dialled has said arrives once more, on a new one.
    Twice,
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
    weather: Mutex<Option<Arc<Dice>>>,
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

    /// Makes the weather bad for new connections, as these dice fall, or good for them again.
    pub fn set_weather(&self, bad: Option<Arc<Dice>>) {
        *lock(&self.shared.weather) = bad;
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

impl Shared {
    /// What a new connection comes to.
    fn fate(&self, dice: Option<&Dice>) -> Fate {
        if let Some(bytes) = *lock(&self.breaks_after) {
            return Fate::Cut(Way::Out, bytes);
        }
        let Some(dice) = dice else { return Fate::Fair };
        let way = [Way::Out, Way::Back][usize::from(dice.below(2) == 0)];
        let bytes = dice.below(LONGEST_BEFORE_IT_BREAKS) as usize;
        match dice.below(12) {
            0 => Fate::Lost,
            1..5 => Fate::Cut(way, bytes),
            5 => Fate::Silent(way, bytes),
            6 => Fate::Twice,
            _ => Fate::Fair,
        }
    }
}

async fn carry(
    mut near: TcpStream,
    addr: SocketAddr,
    wire: Arc<Shared>,
    mut up: watch::Receiver<bool>,
) {
    let Ok(mut far) = TcpStream::connect(addr).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let carried = Arc::default();
    *lock(&wire.newest) = Arc::clone(&carried);
    let dice = lock(&wire.weather).clone();
    let fate = wire.fate(dice.as_deref());
    if matches!(fate, Fate::Lost) {
        return;
    }
    let line = Line {
        wire: &wire,
        carried: &carried,
        dice: dice.as_deref(),
        fate,
        broken: Notify::new(),
        silent: AtomicBool::new(false),
    };
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    let both = async {
        tokio::join!(
            line.pump(near_read, far_write, Way::Out),
            line.pump(far_read, near_write, Way::Back),
        )
    };
    tokio::select! {
        _ = both => {}
        () = line.broken.notified() => {}
        _ = up.wait_for(|up| !up) => return,
    }
    if matches!(fate, Fate::Twice) {
        let said = lock(&carried).out.clone();
        tokio::spawn(once_more(addr, said));
    }
}

/// Nobody hears the answer.
async fn once_more(addr: SocketAddr, said: Vec<u8>) -> std::io::Result<()> {
    let mut far = TcpStream::connect(addr).await?;
    far.write_all(&said).await?;
    far.shutdown().await?;
    far.read_to_end(&mut Vec::new()).await.map(drop)
}

/// One connection.
struct Line<'a> {
    wire: &'a Shared,
    carried: &'a Mutex<Carried>,
    dice: Option<&'a Dice>,
    fate: Fate,
    broken: Notify,
    silent: AtomicBool,
}

impl Line<'_> {
    async fn pump(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        way: Way,
    ) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if let Some(dice) = self.dice {
                dice.moment(LONGEST_DELAY).await;
            }
            if self.silent.load(Ordering::SeqCst) {
                continue;
            }
            let (bytes, ends) = self.let_through(&mut buffer[..count], way);
            if to.write_all(bytes).await.is_err() {
                return;
            }
            match self.fate {
                Fate::Silent(..) if ends => self.silent.store(true, Ordering::SeqCst),
                _ if ends => self.broken.notify_one(),
                _ => {}
            }
        }
        let _ = to.shutdown().await;
    }

    /// Those of the bytes that get through, and whether that was all.
    fn let_through<'b>(&self, bytes: &'b mut [u8], way: Way) -> (&'b [u8], bool) {
        let tamper = lock(&self.wire.tamper).clone();
        let mut carried = lock(self.carried);
        let start = match way {
            Way::Out => carried.out.len(),
            Way::Back => carried.back.len(),
        };
        let room = match self.fate {
            Fate::Cut(limited, most) | Fate::Silent(limited, most) if limited == way => {
                most.saturating_sub(start)
            }
            _ => usize::MAX,
        };
        let ends = bytes.len() >= room;
        let count = bytes.len().min(room);
        let bytes = &mut bytes[..count];
        carried.altered |= tamper.is_some_and(|tamper| tamper(way, start, bytes));
        match way {
            Way::Out => carried.out.extend_from_slice(bytes),
            Way::Back => carried.back.extend_from_slice(bytes),
        }
        (bytes, ends)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
