//! `latchkey-door run`: one process, one or several doors.
//!
//! Standard output is one JSON object a line: `offer` and `installed` for controllers that are not
//! installed yet, then [`Report`]s. Standard input is a line of text at a time: what a code reader
//! has read (behind the door's id and a space where there are several doors), or, beginning with
//! `{`, a package for a controller that waits for one. `offer` alone asks for fresh offers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use latchkey_protocol::ids::DoorId;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use url::Url;

use super::{installed_line, offer_line, open, say};
use crate::commissioning::wait_for_installer;
use crate::controller::{Controller, InstallError};
use crate::lines::Lines;
use crate::report::Report;
use crate::running::{RunConfig, Running};
use crate::strike::LoggedStrike;

/// Lines from standard input that wait to be looked at.
const LINES: usize = 16;

/// Bytes of the longest line that is read: a package with a revocation list of 1 MiB, in base64, in JSON.
const LONGEST_LINE: usize = 2 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// A controller's folder; once for each door.
    #[arg(long = "folder", required = true)]
    folders: Vec<PathBuf>,
    /// The portal, instead of the one that the package names.
    #[arg(long, conflicts_with = "no_network")]
    portal: Option<Url>,
    /// Work without a network, whatever the package says.
    #[arg(long)]
    no_network: bool,
    /// Where the stream carrier listens; once for each folder, in their order.
    #[arg(long)]
    listen: Vec<SocketAddr>,
    /// This machine's clock goes on while it is off, and nobody else sets it: the doors take from
    /// it how long they were off.
    #[arg(long)]
    battery_clock: bool,
    /// Stop when standard input ends, so that the doors do not outlive whoever started them.
    #[arg(long)]
    end_with_input: bool,
}

pub(super) async fn run(args: RunArgs) -> anyhow::Result<()> {
    if args.listen.len() > args.folders.len() {
        bail!("more addresses to listen on than folders");
    }
    let mut lines = read_lines();
    let mut doors = Doors::default();
    for (at, folder) in args.folders.iter().enumerate() {
        let mut controller = open(folder, args.battery_clock)?;
        if controller.door().is_none() {
            get_installed(&mut controller, args.portal.as_ref(), &mut lines).await?;
        }
        let portal_url = match (&args.portal, args.no_network) {
            (_, true) => None,
            (Some(portal), _) => Some(portal.clone()),
            (None, _) => controller.portal_url(),
        };
        let config = RunConfig {
            stream: args.listen.get(at).copied(),
            portal_url,
            strike: Arc::new(LoggedStrike),
        };
        doors.add(controller.start(config).await?)?;
    }
    let worked = doors.work(lines, args.end_with_input).await;
    doors.shutdown().await;
    worked
}

/// Shows the offer, then waits: for the portal where there is a network, else for somebody who
/// writes the package to standard input.
async fn get_installed(
    controller: &mut Controller,
    portal: Option<&Url>,
    lines: &mut mpsc::Receiver<String>,
) -> anyhow::Result<()> {
    say(&offer_line(controller)?)?;
    if let Some(portal) = portal {
        let installation = wait_for_installer(controller, portal).await?;
        return say(&installed_line(&installation));
    }
    while let Some(line) = lines.recv().await {
        if line.trim() == "offer" {
            say(&offer_line(controller)?)?;
        } else if line.starts_with('{') {
            match controller.install(&line) {
                Ok(installation) => return say(&installed_line(&installation)),
                Err(InstallError::Door(error)) => return Err(error.into()),
                Err(error) => say(&serde_json::json!({
                    "type": "refused",
                    "why": error.to_string(),
                }))?,
            }
        }
    }
    bail!("standard input ended before the controller was installed")
}

#[derive(Default)]
struct Doors {
    running: BTreeMap<DoorId, Arc<Running>>,
    reports: JoinSet<()>,
}

impl Doors {
    fn add(&mut self, running: Running) -> anyhow::Result<()> {
        let door = running.door();
        if let Some(addr) = running.stream_addr() {
            say(&Report::Listening { door, addr })?;
        }
        self.reports.spawn(print(running.reports()));
        if self.running.insert(door, Arc::new(running)).is_some() {
            bail!("two folders for one door");
        }
        Ok(())
    }

    /// Until somebody ends the process. The end of standard input is not the end unless asked for:
    /// a controller without a code reader has none.
    async fn work(
        &self,
        mut lines: mpsc::Receiver<String>,
        end_with_input: bool,
    ) -> anyhow::Result<()> {
        let end = end_of_work();
        tokio::pin!(end);
        let mut scans = JoinSet::new();
        let mut listening = true;
        loop {
            tokio::select! {
                ended = &mut end => {
                    while scans.join_next().await.is_some() {}
                    return ended.context("waiting for a signal");
                }
                line = lines.recv(), if listening => match line {
                    Some(line) => {
                        if let Some((door, text)) = self.addressed(&line) {
                            scans.spawn(async move { scan(&door, &text).await });
                        }
                    }
                    None if end_with_input => {
                        while scans.join_next().await.is_some() {}
                        return Ok(());
                    }
                    None => listening = false,
                },
                Some(_) = scans.join_next() => {}
            }
        }
    }

    /// Which door's reader has read what.
    fn addressed(&self, line: &str) -> Option<(Arc<Running>, String)> {
        let line = line.trim_end_matches(['\r', '\n']);
        let named = line.split_once(' ').and_then(|(id, text)| {
            let door = self.running.get(&id.parse().ok()?)?;
            Some((door.clone(), text.to_owned()))
        });
        let only = || match self.running.len() {
            1 => Some((self.running.values().next()?.clone(), line.to_owned())),
            _ => None,
        };
        let found = named
            .or_else(only)
            .filter(|(_, text)| !text.trim().is_empty());
        if found.is_none() && !line.trim().is_empty() {
            tracing::warn!("a line for no door of this process");
        }
        found
    }

    async fn shutdown(mut self) {
        for (_, running) in std::mem::take(&mut self.running) {
            // Scans, the only other holders, have come to their end.
            if let Ok(running) = Arc::try_unwrap(running) {
                running.shutdown().await;
            }
        }
        while self.reports.join_next().await.is_some() {}
    }
}

async fn scan(door: &Running, text: &str) {
    // The answer is among the door's reports, and so is that there is none.
    let _ = door.scan(text).await;
}

async fn print(mut reports: broadcast::Receiver<Report>) {
    loop {
        match reports.recv().await {
            Ok(report) => {
                if let Err(error) = say(&report) {
                    tracing::error!(%error, "standard output is gone");
                    return;
                }
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "reports were not printed in time");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Standard input line by line, from a thread of its own: a read of it cannot be given up.
fn read_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        for line in Lines::of(std::io::stdin().lock(), LONGEST_LINE) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn end_of_work() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
