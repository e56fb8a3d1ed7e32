//! A controller at work.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_env::ticks;
use latchkey_protocol::api::events::Means;
use latchkey_protocol::ids::DoorId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use url::Url;

use crate::door::{Closed, Door, DoorError, Inner, Installed};
use crate::env::Env;
use crate::keys::OwnKeys;
use crate::link;
use crate::report::Report;
use crate::scan::ScanAnswer;
use crate::status::Status;
use crate::stream;
use crate::strike::{LoggedStrike, Strike};
use crate::unlock::{Carrier, Carriers};

/// How often the clock is stored and what is over forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);

/// What a controller works with.
#[derive(Clone)]
pub struct RunConfig {
    /// Where the stream carrier listens; none for a door without one. Port 0 takes a free one.
    pub stream: Option<SocketAddr>,
    /// The portal; none for a door without a network.
    pub portal_url: Option<Url>,
    /// What moves the lock.
    pub strike: Arc<dyn Strike>,
}

impl Default for RunConfig {
    /// No network at all, and a lock that moves in the log only.
    fn default() -> Self {
        Self {
            stream: None,
            portal_url: None,
            strike: Arc::new(LoggedStrike),
        }
    }
}

impl std::fmt::Debug for RunConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunConfig")
            .field("stream", &self.stream)
            .field("portal_url", &self.portal_url.as_ref().map(Url::as_str))
            .finish_non_exhaustive()
    }
}

/// Why a controller does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It stands at no door yet.
    #[error("this controller is not installed")]
    NotInstalled,
    /// The stream carrier's address cannot be had.
    #[error("cannot listen")]
    Listen(#[source] std::io::Error),
    /// The controller's own parts failed.
    #[error(transparent)]
    Door(#[from] DoorError),
}

/// A running controller. Dropping it stops it at once; [`shutdown`](Self::shutdown) stops it
/// cleanly.
pub struct Running {
    door: Arc<Door>,
    carriers: Arc<Carriers>,
    stream_addr: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    closed: mpsc::Receiver<Closed>,
    /// What happened before anybody could ask for it: the line may be up by then.
    from_start: Mutex<Option<broadcast::Receiver<Report>>>,
}

impl Running {
    pub(crate) async fn start(
        env: Env,
        keys: OwnKeys,
        installed: Installed,
        inner: Inner,
        config: RunConfig,
    ) -> Result<Self, StartError> {
        let listener = match config.stream {
            Some(addr) => Some(TcpListener::bind(addr).await.map_err(StartError::Listen)?),
            None => None,
        };
        let stream_addr = listener
            .as_ref()
            .map(TcpListener::local_addr)
            .transpose()
            .map_err(StartError::Listen)?;
        let (open, closed) = mpsc::channel(1);
        let door = Door::new(env, keys, installed, inner, config.strike, open)?;
        let door = Arc::new(door);
        door.go_on_with_bundle()?;
        let from_start = Mutex::new(Some(door.reports()));
        let (stop, stopped) = watch::channel(false);
        let carriers = Arc::new(Carriers::new(stopped.clone()));
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_house(door.clone(), stopped.clone()));
        if let Some(listener) = listener {
            tasks.spawn(stream::listen(
                door.clone(),
                listener,
                carriers.clone(),
                stopped.clone(),
            ));
        }
        if let Some(portal) = config.portal_url {
            tasks.spawn(link::keep_up(
                door.clone(),
                portal,
                carriers.clone(),
                stopped,
            ));
        }
        Ok(Self {
            door,
            carriers,
            stream_addr,
            stop,
            tasks,
            closed,
            from_start,
        })
    }

    /// The door at which it stands.
    #[must_use]
    pub fn door(&self) -> DoorId {
        self.door.id()
    }

    /// For tests that play the portal.
    #[cfg(test)]
    pub(crate) fn door_inside(&self) -> &Arc<Door> {
        &self.door
    }

    /// Where the stream carrier listens.
    #[must_use]
    pub fn stream_addr(&self) -> Option<SocketAddr> {
        self.stream_addr
    }

    /// What happens: from the start for whoever asks first, from now on for the others.
    pub fn reports(&self) -> broadcast::Receiver<Report> {
        let mut from_start = self
            .from_start
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        from_start.take().unwrap_or_else(|| self.door.reports())
    }

    /// A reader at the door has read this line of text.
    ///
    /// # Errors
    /// [`DoorError`] when the controller itself fails; the door then stays closed.
    pub async fn scan(&self, text: &str) -> Result<ScanAnswer, DoorError> {
        let scanned = crate::scan::scan(&self.door, text).await;
        scanned.inspect_err(|error| self.door.out_of_order(Means::Code, error))
    }

    /// Speaks with a phone over any stream that reaches the door on the spot.
    pub async fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        self.carriers
            .serve(&self.door, stream, Carrier::Stream)
            .await;
    }

    /// What the controller knows, for people.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn status(&self) -> Result<Status, DoorError> {
        self.door.run(Status::of_door).await
    }

    /// Stops: lets what is half-way come to its end, stores the clock, closes the store.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        if let Err(error) = self.door.housekeeping().await {
            tracing::error!(%error, "the clock was not stored");
        }
        drop(self.door);
        let _ = self.closed.recv().await;
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("door", &self.door.id())
            .field("stream_addr", &self.stream_addr)
            .finish_non_exhaustive()
    }
}

async fn keep_house(door: Arc<Door>, mut stop: watch::Receiver<bool>) {
    let mut hours = ticks(door.env().clock.clone(), HOUSEKEEPING);
    loop {
        tokio::select! {
            () = hours.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if let Err(error) = door.housekeeping().await {
            tracing::error!(%error, "housekeeping failed");
        }
    }
}
