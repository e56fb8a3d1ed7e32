//! Controllers as processes: a gate's own, or a hub for a whole building.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use latchkey_protocol::api::doors::Door;
use latchkey_protocol::api::events::Means;
use latchkey_protocol::doorlink::Subject;
use latchkey_protocol::ids::{DoorId, EventId};
use latchkey_protocol::rules::Reason;
use serde::Deserialize;
use tokio::sync::{Mutex, mpsc};

use super::portal::path;
use crate::process::Role;
use crate::wire::Wire;

/// Which doors share a controller's process, and what a person calls it.
pub struct Plan {
    /// For switches and folders.
    pub id: String,
    /// For people.
    pub label: String,
    /// Its doors.
    pub doors: Vec<Door>,
    /// Whether a network reaches it.
    pub networked: bool,
}

/// A door with its controller's folder and address.
pub struct Mounted {
    /// The door.
    pub door: Door,
    /// Where its controller keeps its store.
    pub folder: PathBuf,
    /// Where its stream carrier listens.
    pub stream: SocketAddr,
}

/// What a controller prints.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Report {
    /// It accepts phones.
    Listening {
        /// Which door.
        door: DoorId,
    },
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
pub struct Happening {
    /// Which door.
    pub door: DoorId,
    /// The entry in the door's log.
    pub event: EventId,
    /// How somebody came.
    pub means: Means,
    /// Who, as far as the door knows.
    pub subject: Subject,
    /// Why not.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// When, by the door's clock.
    pub at: DateTime<Utc>,
}

/// A controller's process.
pub struct Hub {
    /// For switches.
    pub id: String,
    /// For people.
    pub label: String,
    /// Its doors.
    pub doors: Vec<Mounted>,
    /// Its line to the portal; none where no network is.
    pub wire: Option<Wire>,
    role: Mutex<Role>,
}

impl Hub {
    /// Starts the process for commissioned doors; what it prints goes to `reports`.
    pub async fn start(
        plan: Plan,
        doors: Vec<Mounted>,
        portal: SocketAddr,
        logs: &Path,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Result<Self> {
        let wire = if plan.networked { Some(Wire::open().await?) } else { None };
        let mut arguments = vec!["door".to_owned(), "run".to_owned()];
        for mounted in &doors {
            arguments.extend(["--folder".to_owned(), path(&mounted.folder)?]);
            arguments.extend(["--listen".to_owned(), mounted.stream.to_string()]);
        }
        if let Some(wire) = &wire {
            wire.lead_to(portal);
            arguments.extend(["--portal".to_owned(), format!("http://{}", wire.addr)]);
        }
        let mut role = Role::start(&arguments, &logs.join(format!("{}.log", plan.id)))?;
        let mut lines = std::mem::replace(&mut role.lines, mpsc::unbounded_channel().1);
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                // Lines that do not read are for people: the log has them too.
                if let Ok(report) = serde_json::from_str(&line) {
                    if reports.send(report).is_err() {
                        break;
                    }
                }
            }
        });
        Ok(Self { id: plan.id, label: plan.label, doors, wire, role: Mutex::new(role) })
    }

    /// Shows a code to a door's reader: a line of text, as a scanner types it.
    pub async fn show(&self, door: DoorId, code: &str) -> Result<()> {
        let code = code.trim();
        anyhow::ensure!(!code.contains('\n'), "a code is one line");
        let line = if self.doors.len() == 1 { code.to_owned() } else { format!("{door} {code}") };
        self.role.lock().await.say(&line).await
    }

    /// Whether this is where a door's controller lives.
    pub fn has(&self, door: DoorId) -> bool {
        self.doors.iter().any(|mounted| mounted.door.id == door)
    }
}

/// A free port of the loopback, for a controller that is about to take it.
pub fn free_port() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no port is free on the loopback")?;
    Ok(listener.local_addr()?)
}

/// Who shares a process: a building behind its hub; each gate by itself; garage and amenities together; a door without
/// a network always alone.
pub fn plans(doors: &[Door]) -> Vec<Plan> {
    use latchkey_protocol::api::doors::{DoorKind, DoorReach};
    let mut plans: Vec<Plan> = Vec::new();
    for door in doors {
        let networked = door.reach != DoorReach::Offline;
        let (id, label) = match (door.reach, door.kind) {
            (DoorReach::Offline, _) | (DoorReach::Online, DoorKind::Gate) => (slug(&door.name), door.name.clone()),
            (DoorReach::Hub, _) => (slug(&door.place), format!("{}’s hub", door.place)),
            (DoorReach::Online, DoorKind::Garage) => ("garage".to_owned(), "Garage doors".to_owned()),
            (DoorReach::Online, _) => ("amenities".to_owned(), "Pool, gym, office and the like".to_owned()),
        };
        match plans.iter_mut().find(|plan| plan.id == id) {
            Some(plan) => plan.doors.push(door.clone()),
            None => plans.push(Plan { id, label, doors: vec![door.clone()], networked }),
        }
    }
    plans
}

fn slug(name: &str) -> String {
    name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}
