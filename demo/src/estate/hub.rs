//! Controllers as processes: a gate's own, or a hub for a whole building.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use latchkey_door::{Controller, Env};
use latchkey_env::{SecureRandom as _, SystemRandom};
use latchkey_protocol::api::doors::Door;
use latchkey_protocol::api::events::Means;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::doorlink::Subject;
use latchkey_protocol::ids::DoorId;
use latchkey_protocol::rules::Reason;
use serde::Deserialize;
use tokio::sync::{Mutex, mpsc};

use super::portal::path;
use crate::process::Role;
use crate::wire::Wire;

/// Which doors share a controller's process, and what a person calls it.
pub(crate) struct Plan {
    /// For switches and folders.
    pub(crate) id: String,
    /// For people.
    pub(crate) label: String,
    /// Its doors.
    pub(crate) doors: Vec<Door>,
    /// Whether a network reaches it.
    pub(crate) networked: bool,
}

/// A door with its controller's folder and address.
pub(crate) struct Mounted {
    /// The door.
    pub(crate) door: Door,
    /// Where its controller keeps its store.
    pub(crate) folder: PathBuf,
    /// Where its stream carrier listens.
    pub(crate) stream: SocketAddr,
}

/// What a controller prints.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Report {
    /// It opened.
    Opened(Happening),
    /// It refused.
    Denied(Happening),
    /// Its line to the portal changed.
    Portal {
        /// Which door.
        door: DoorId,
        /// Whether the line stands.
        connected: bool,
    },
    /// Something that the demo does not show.
    #[serde(other)]
    Other,
}

/// One attempt at a door.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Happening {
    /// Which door.
    pub(crate) door: DoorId,
    /// How somebody came.
    pub(crate) means: Means,
    /// Who, as far as the door knows.
    pub(crate) subject: Subject,
    /// Why not.
    #[serde(default)]
    pub(crate) reason: Option<Reason>,
    /// When, by the door's clock.
    pub(crate) at: DateTime<Utc>,
}

/// A controller's process.
pub(crate) struct Hub {
    /// For switches.
    pub(crate) id: String,
    /// For people.
    pub(crate) label: String,
    /// Its doors.
    pub(crate) doors: Vec<Mounted>,
    /// Its line to the portal; none where no network is.
    pub(crate) wire: Option<Wire>,
    role: Mutex<Role>,
}

impl Hub {
    /// Mounts, commissions and starts controllers; what they print goes to `reports`.
    pub(crate) async fn start(
        plan: Plan,
        portal: SocketAddr,
        folder: &Path,
        installer: &dyn Installer,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Result<Self> {
        let mut doors = Vec::new();
        // Held until the process takes them.
        let mut ports = Vec::new();
        for door in plan.doors {
            let folder = folder.join("doors").join(slug(&door.name));
            let port = free_port()?;
            let stream = port.local_addr()?;
            ports.push(port);
            doors.push(Mounted {
                door,
                folder,
                stream,
            });
        }
        let wire = if plan.networked {
            Some(Wire::open().await?)
        } else {
            None
        };
        for mounted in &doors {
            let mut controller = Controller::create(&mounted.folder, Env::system())?;
            // A door without a network learns the time from its package, under the nonce of the process that will run:
            // it is installed below.
            if wire.is_some() {
                let offer = Base64(controller.offer()?.to_bytes());
                let package = installer
                    .install(mounted, &controller.code().to_string(), offer)
                    .await?;
                controller.install(&package)?;
            }
        }
        let arguments = arguments(&doors, wire.as_ref())?;
        drop(ports);
        let mut role = Role::start(&arguments, &folder.join(format!("{}.log", plan.id)))?;
        match &wire {
            Some(wire) => wire.lead_to(portal),
            None => {
                for mounted in &doors {
                    install_by_hand(&mut role, mounted, installer).await?;
                }
            }
        }
        let mut lines = std::mem::replace(&mut role.lines, mpsc::unbounded_channel().1);
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                // Lines that do not read are for people: the log has them too.
                if let Ok(report) = serde_json::from_str(&line)
                    && reports.send(report).is_err()
                {
                    break;
                }
            }
        });
        Ok(Self {
            id: plan.id,
            label: plan.label,
            doors,
            wire,
            role: Mutex::new(role),
        })
    }

    /// Shows a code to a door's reader: a line of text, as a scanner types it.
    pub(crate) async fn show(&self, door: DoorId, code: &str) -> Result<()> {
        let code = code.trim();
        anyhow::ensure!(!code.contains('\n'), "a code is one line");
        let line = if self.doors.len() == 1 {
            code.to_owned()
        } else {
            format!("{door} {code}")
        };
        self.role.lock().await.say(&line).await
    }

    /// Whether this is where a door's controller lives.
    pub(crate) fn has(&self, door: DoorId) -> bool {
        self.doors.iter().any(|mounted| mounted.door.id == door)
    }
}

/// Whoever commissions a controller: hands over its code and offer, and gets its package.
#[async_trait::async_trait]
pub(crate) trait Installer: Send + Sync {
    /// Has the portal certify the controller for its door; the answer is the package.
    async fn install(&self, mounted: &Mounted, code: &str, offer: Base64) -> Result<String>;
}

#[derive(Deserialize)]
struct OfferLine {
    code: String,
    offer: Base64,
}

/// The installer stands at the door: reads its offer, and types the package in.
async fn install_by_hand(
    role: &mut Role,
    mounted: &Mounted,
    installer: &dyn Installer,
) -> Result<()> {
    let line = role
        .lines
        .recv()
        .await
        .with_context(|| format!("{} did not start", mounted.door.name))?;
    let offer: OfferLine =
        serde_json::from_str(&line).context("the controller's offer does not read")?;
    let package = installer.install(mounted, &offer.code, offer.offer).await?;
    role.say(&package).await?;
    let answer = role.lines.recv().await.unwrap_or_default();
    anyhow::ensure!(
        answer.contains("\"installed\""),
        "{} was not installed: {answer}",
        mounted.door.name
    );
    Ok(())
}

fn arguments(doors: &[Mounted], wire: Option<&Wire>) -> Result<Vec<String>> {
    let mut arguments = ["door", "run", "--end-with-input"]
        .map(str::to_owned)
        .to_vec();
    for mounted in doors {
        arguments.extend(["--folder".to_owned(), path(&mounted.folder)?]);
        arguments.extend(["--listen".to_owned(), mounted.stream.to_string()]);
    }
    match wire {
        Some(wire) => arguments.extend(["--portal".to_owned(), format!("http://{}", wire.addr)]),
        None => arguments.push("--no-network".to_owned()),
    }
    Ok(arguments)
}

/// A free port of the loopback, for a controller that is about to take it. Not one that the system hands out to whoever
/// connects somewhere: it could be gone before the controller listens.
fn free_port() -> Result<TcpListener> {
    const FIRST: u16 = 16_384;
    const COUNT: u16 = 16_384;
    const TRIES: usize = 256;
    let try_one = || {
        let mut random = [0; 2];
        SystemRandom.fill(&mut random);
        let port = FIRST + u16::from_be_bytes(random) % COUNT;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
    };
    (0..TRIES)
        .find_map(|_| try_one())
        .context("no port is free on the loopback")
}

/// Who shares a process: a building behind its hub; each gate by itself; garage and amenities together; a door without
/// a network always alone.
pub(crate) fn plans(doors: &[Door]) -> Vec<Plan> {
    use latchkey_protocol::api::doors::{DoorKind, DoorReach};
    let mut plans: Vec<Plan> = Vec::new();
    for door in doors {
        let networked = door.reach != DoorReach::Offline;
        let (id, label) = match (door.reach, door.kind) {
            (DoorReach::Offline, _) | (DoorReach::Online, DoorKind::Gate) => {
                (slug(&door.name), door.name.clone())
            }
            (DoorReach::Hub, _) => (slug(&door.place), format!("{}’s hub", door.place)),
            (DoorReach::Online, DoorKind::Garage) => {
                ("garage".to_owned(), "Garage doors".to_owned())
            }
            (DoorReach::Online, _) => (
                "amenities".to_owned(),
                "Pool, gym, office and the like".to_owned(),
            ),
        };
        match plans.iter_mut().find(|plan| plan.id == id) {
            Some(plan) => plan.doors.push(door.clone()),
            None => plans.push(Plan {
                id,
                label,
                doors: vec![door.clone()],
                networked,
            }),
        }
    }
    plans
}

fn slug(name: &str) -> String {
    name.to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}
