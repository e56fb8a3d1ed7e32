//! A door at work, with a clock that can drift, wires that can be cut, and a lock that remembers.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use latchkey_door::{Controller, Env, Jammed, Release, RunConfig, Running, ScanAnswer, Strike};
use latchkey_env::{OffsetClock, SharedRandom};

use crate::wire::Wire;

/// One release of a lock.
#[derive(Debug, Clone)]
pub struct Opening {
    /// What the strike heard.
    pub release: Release,
    /// Whether the connection on the spot had been altered by then.
    pub altered: bool,
}

/// A lock that remembers what moved it.
#[derive(Debug)]
pub struct Recorder {
    openings: Mutex<Vec<Opening>>,
    on_the_spot: Arc<Wire>,
}

impl Recorder {
    /// What moved it so far.
    #[must_use]
    pub fn openings(&self) -> Vec<Opening> {
        let openings = self.openings.lock();
        openings.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Strike for Recorder {
    fn release(&self, release: &Release) -> Result<(), Jammed> {
        let opening = Opening {
            release: *release,
            altered: self.on_the_spot.is_altered(),
        };
        let openings = self.openings.lock();
        openings
            .unwrap_or_else(PoisonError::into_inner)
            .push(opening);
        Ok(())
    }
}

/// A door at work.
#[derive(Debug)]
pub struct Gate {
    /// The controller.
    pub running: Running,
    /// Its oscillator.
    pub clock: OffsetClock,
    /// Its lock.
    pub lock: Arc<Recorder>,
    /// Between it and the portal; leads nowhere at a door without a network.
    pub to_portal: Arc<Wire>,
    /// Between phones and its stream carrier.
    pub on_the_spot: Arc<Wire>,
    /// Its store's folder.
    pub folder: PathBuf,
}

impl Gate {
    /// What its reader says to a line of text.
    ///
    /// # Errors
    /// When the controller itself fails.
    pub async fn scan(&self, text: &str) -> Result<ScanAnswer> {
        Ok(self.running.scan(text).await?)
    }

    /// Stops it cleanly and leaves its store in its folder.
    pub async fn shutdown(self) {
        self.running.shutdown().await;
    }

    /// How often its lock has moved.
    #[must_use]
    pub fn openings(&self) -> usize {
        self.lock.openings().len()
    }
}

/// A controller before it works, with what it will work with.
pub(crate) struct Prepared {
    pub(crate) controller: Controller,
    pub(crate) to_portal: Arc<Wire>,
    pub(crate) on_the_spot: Arc<Wire>,
    clock: OffsetClock,
    folder: PathBuf,
}

impl Prepared {
    /// Creates its store.
    pub(crate) async fn create(
        folder: PathBuf,
        clock: OffsetClock,
        random: SharedRandom,
    ) -> Result<Self> {
        let env = Env {
            clock: Arc::new(clock.clone()),
            random,
        };
        let controller = Controller::create(&folder, env)?;
        Self::around(controller, folder, clock).await
    }

    /// Opens one that was there before; its clock is then unsure.
    pub(crate) async fn open(
        folder: PathBuf,
        clock: OffsetClock,
        random: SharedRandom,
    ) -> Result<Self> {
        let env = Env {
            clock: Arc::new(clock.clone()),
            random,
        };
        let controller = Controller::open(&folder, env)?;
        Self::around(controller, folder, clock).await
    }

    async fn around(controller: Controller, folder: PathBuf, clock: OffsetClock) -> Result<Self> {
        Ok(Self {
            controller,
            to_portal: Arc::new(Wire::open().await?),
            on_the_spot: Arc::new(Wire::open().await?),
            clock,
            folder,
        })
    }

    /// The portal's address as this door knows it.
    pub(crate) fn portal_url(&self) -> String {
        format!("http://{}", self.to_portal.addr())
    }

    /// Puts it to work.
    pub(crate) async fn start(self, with_network: bool) -> Result<Gate> {
        let lock = Arc::new(Recorder {
            openings: Mutex::default(),
            on_the_spot: self.on_the_spot.clone(),
        });
        let config = RunConfig {
            stream: Some(([127, 0, 0, 1], 0).into()),
            portal_url: with_network
                .then(|| self.portal_url().parse())
                .transpose()?,
            strike: lock.clone(),
        };
        let running = self.controller.start(config).await?;
        let stream = running.stream_addr().context("it listens")?;
        self.on_the_spot.lead_to(stream);
        Ok(Gate {
            running,
            clock: self.clock,
            lock,
            to_portal: self.to_portal,
            on_the_spot: self.on_the_spot,
            folder: self.folder,
        })
    }
}
