//! The portal as a process of its own, and the mail it sends.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use latchkey_env::SharedClock;
use tokio::sync::{Notify, watch};

use crate::process::Role;

const START_LIMIT: Duration = Duration::from_secs(30);
const MAIL_LIMIT: Duration = Duration::from_secs(10);

/// Mail that the portal printed, by address.
#[derive(Clone, Default)]
pub(crate) struct Mailbox {
    latest: Arc<Mutex<HashMap<String, String>>>,
    news: Arc<Notify>,
    follower: Arc<Mutex<Option<Follower>>>,
}

type Follower = Box<dyn Fn(&str, &str) + Send + Sync>;

impl Mailbox {
    /// Takes the sign-in code that was sent to an address last, once.
    pub(crate) async fn take_code(&self, clock: &SharedClock, address: &str) -> Result<String> {
        let wait = async {
            loop {
                let news = self.news.notified();
                if let Some(code) = self
                    .latest
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(address)
                {
                    return code;
                }
                news.await;
            }
        };
        latchkey_env::timeout(clock, MAIL_LIMIT, wait)
            .await
            .with_context(|| format!("no mail came for {address}; see the portal's log"))
    }

    /// Calls back with each code from now on.
    pub(crate) fn follow(&self, tell: impl Fn(&str, &str) + Send + Sync + 'static) {
        *self.follower.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tell));
    }

    /// `mail to ADDRESS: code 123456`.
    fn read(&self, line: &str) {
        let Some((address, code)) = line
            .strip_prefix("mail to ")
            .and_then(|rest| rest.split_once(": code "))
        else {
            return;
        };
        if let Some(tell) = &*self.follower.lock().unwrap_or_else(PoisonError::into_inner) {
            tell(address, code.trim());
        }
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.insert(address.to_owned(), code.trim().to_owned());
        drop(latest);
        self.news.notify_waiters();
    }
}

/// The portal's process.
pub(crate) struct Portal {
    folder: PathBuf,
    public_url: String,
    clock: SharedClock,
    mailbox: Mailbox,
    /// Kept over restarts, as a real portal's is.
    addr: Option<SocketAddr>,
    running: Option<Role>,
}

impl Portal {
    /// Makes the property from its file. The portal does not run yet.
    pub(crate) async fn create(
        file: &Path,
        folder: &Path,
        public_url: String,
        clock: SharedClock,
    ) -> Result<Self> {
        let arguments = [
            "portal",
            "property",
            "create",
            "--from",
            &path(file)?,
            "--data",
            &path(&folder.join("portal"))?,
        ]
        .map(str::to_owned);
        let mut role = Role::start(&arguments, &folder.join("portal.log"))?;
        let mut said = Vec::new();
        while let Some(line) = role.lines.recv().await {
            said.push(line);
        }
        if !role.succeeded().await? {
            let log = std::fs::read_to_string(folder.join("portal.log")).unwrap_or_default();
            bail!("the property file {} was refused\n{log}", file.display());
        }
        Ok(Self {
            folder: folder.to_owned(),
            public_url,
            clock,
            mailbox: Mailbox::default(),
            addr: None,
            running: None,
        })
    }

    /// Where its mail arrives.
    pub(crate) fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    /// Starts it, again at the same address, and waits until it listens.
    pub(crate) async fn start(&mut self) -> Result<SocketAddr> {
        let listen = self.addr.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let arguments = [
            "portal",
            "serve",
            "--data",
            &path(&self.folder.join("portal"))?,
            "--listen",
            &listen.to_string(),
            "--public-url",
            &self.public_url,
        ]
        .map(str::to_owned);
        let mut role = Role::start(&arguments, &self.folder.join("portal.log"))?;
        let (listening, mut heard) = watch::channel(None);
        let mailbox = self.mailbox.clone();
        let mut lines =
            std::mem::replace(&mut role.lines, tokio::sync::mpsc::unbounded_channel().1);
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                match line.strip_prefix("listening on http://").map(str::parse) {
                    Some(Ok(addr)) => drop(listening.send(Some(addr))),
                    _ => mailbox.read(&line),
                }
            }
        });
        let heard = async {
            heard
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|addr| *addr)
        };
        let addr: SocketAddr = latchkey_env::timeout(&self.clock, START_LIMIT, heard)
            .await
            .ok()
            .flatten()
            .with_context(|| {
                format!(
                    "the portal did not start; see {}",
                    self.folder.join("portal.log").display()
                )
            })?;
        self.addr = Some(addr);
        self.running = Some(role);
        Ok(addr)
    }

    /// Pulls its power.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        match self.running.take() {
            Some(role) => role.kill().await,
            None => Ok(()),
        }
    }

    /// Whether it runs.
    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

pub(super) fn path(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .with_context(|| format!("{} is not a path in Unicode", path.display()))
}
