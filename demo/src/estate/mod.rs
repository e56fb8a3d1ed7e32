//! A whole property on this machine: the portal, its controllers, some phones, and the network between them.

mod hub;
mod phones;
mod portal;
mod words;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use anyhow::{Context as _, Result};
use latchkey_core::error::Error;
use latchkey_core::views::DoorRef;
use latchkey_env::{SharedClock, SystemClock};
use latchkey_protocol::api::doors::DoorReach;
use latchkey_protocol::api::keys::{KeyDoors, KeyDraft, KeyKind};
use latchkey_protocol::ids::{DoorId, PropertyId};
use latchkey_protocol::rules::AccessRules;
use tokio::sync::{Mutex, broadcast, mpsc};

pub(crate) use hub::Report;
pub(crate) use phones::{Desk, Handset};
pub(crate) use words::reason_in_words;

use crate::board::{self, Board, Live, SharedBoard, Switch, Tile};
use crate::wire::Wire;
use hub::Hub;
use portal::{Mailbox, Portal};

const PORTAL: &str = "portal";
const PHONES: &str = "phones";
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// Tells how far the start has come.
pub(crate) type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// The running property.
pub(crate) struct Estate {
    /// All parts' clock.
    pub(crate) clock: SharedClock,
    /// Where phones and guests reach the portal.
    pub(crate) public_url: String,
    /// Its id.
    pub(crate) property: PropertyId,
    folder: PathBuf,
    portal: Mutex<Portal>,
    mailbox: Mailbox,
    phones_wire: Wire,
    hubs: Vec<Hub>,
    board: SharedBoard,
    reports: broadcast::Sender<Report>,
    handsets: StdMutex<Vec<Arc<Handset>>>,
    /// Whom the demo itself has sent to a door last: a controller knows keys, not names.
    visitors: StdMutex<HashMap<DoorId, String>>,
}

impl Estate {
    /// Makes the property from its file, starts the portal and all controllers, and commissions these.
    pub(crate) async fn start(
        file: &Path,
        folder: &Path,
        progress: Progress<'_>,
    ) -> Result<Arc<Self>> {
        let clock: SharedClock = Arc::new(SystemClock);
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let staffing = phones::Staffing::read(file, folder)?;
        let phones_wire = Wire::open().await?;
        let public_url = format!("http://{}", phones_wire.addr);
        let mut portal = Portal::create(file, folder, public_url.clone(), clock.clone()).await?;
        let portal_addr = portal.start().await?;
        phones_wire.lead_to(portal_addr);
        progress("the portal runs");
        let mailbox = portal.mailbox();
        let installer =
            phones::sign_in(folder, &public_url, &mailbox, &clock, &staffing.installer).await?;
        let desk = Desk::of(&installer)?;
        let property = desk.property;
        let doors = desk.doors()?;
        let (reports, heard) = mpsc::unbounded_channel();
        let starts = hub::plans(&doors).into_iter().map(|plan| {
            let label = format!("{} ({})", plan.label, count(plan.doors.len(), "door"));
            let start = Hub::start(plan, portal_addr, folder, &desk, reports.clone());
            async move {
                let hub = start.await?;
                progress(&format!("commissioned {label}"));
                anyhow::Ok(hub)
            }
        });
        let hubs = futures_util::future::try_join_all(starts).await?;
        let board = SharedBoard::new(first_board(&staffing, &doors, &hubs));
        let estate = Arc::new(Self {
            clock,
            public_url,
            property,
            folder: folder.to_owned(),
            portal: Mutex::new(portal),
            mailbox,
            phones_wire,
            hubs,
            board,
            reports: broadcast::channel(1024).0,
            handsets: StdMutex::new(vec![installer]),
            visitors: StdMutex::default(),
        });
        tokio::spawn(words::tell_board(Arc::downgrade(&estate), heard));
        latchkey_env::timeout(&estate.clock, CONNECT_LIMIT, estate.all_connected())
            .await
            .context(
                "not every controller has reached the portal; see the logs beside the property",
            )?;
        progress("every door that has a network is connected");
        Ok(estate)
    }

    /// Waits until every door that has a network is connected to the portal.
    async fn all_connected(&self) {
        let (board, mut live) = self.board.follow();
        let away = board
            .doors
            .iter()
            .filter(|tile| tile.networked && !tile.connected);
        let mut away: HashSet<DoorId> = away.map(|tile| tile.id).collect();
        while !away.is_empty() {
            match live.recv().await {
                Ok(Live::Connected {
                    door,
                    connected: true,
                }) => drop(away.remove(&door)),
                Ok(Live::Connected {
                    door,
                    connected: false,
                }) => drop(away.insert(door)),
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// What its page shows.
    pub(crate) fn board(&self) -> &SharedBoard {
        &self.board
    }

    /// Calls back with each sign-in code that is sent from now on.
    pub(crate) fn follow_mail(&self, tell: impl Fn(&str, &str) + Send + Sync + 'static) {
        self.mailbox.follow(tell);
    }

    /// What doors do from now on.
    pub(crate) fn reports(&self) -> broadcast::Receiver<Report> {
        self.reports.subscribe()
    }

    /// The door of this name.
    pub(crate) fn door(&self, name: &str) -> Result<DoorId> {
        let (board, _) = self.board.follow();
        let found = board.doors.iter().find(|tile| tile.name == name);
        found
            .map(|tile| tile.id)
            .with_context(|| format!("the property has no door called {name:?}"))
    }

    /// The name of a door.
    pub(crate) fn door_name(&self, door: DoorId) -> String {
        let (board, _) = self.board.follow();
        board
            .doors
            .into_iter()
            .find(|tile| tile.id == door)
            .map_or_else(|| door.to_string(), |tile| tile.name)
    }

    /// The phone of a person of the property file, signed in; the same one every time.
    pub(crate) async fn phone_of(&self, name: &str) -> Result<Arc<Handset>> {
        if let Some(handset) = self.known_handset(name) {
            return Ok(handset);
        }
        let handset = phones::sign_in_by_name(
            &self.folder,
            &self.public_url,
            &self.mailbox,
            &self.clock,
            name,
        )
        .await?;
        self.handsets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(handset.clone());
        self.board.add_phone(board::Handset {
            id: handset.name.clone(),
            label: handset.label.clone(),
        });
        Ok(handset)
    }

    /// Holds a phone to a door, as its owner would.
    pub(crate) async fn hold_phone_to(&self, name: &str, door: DoorId) -> Result<()> {
        let handset = self.known_handset(name).context("there is no such phone")?;
        let _ = handset.phone.sync().await;
        let doors = handset.phone.doors()?;
        anyhow::ensure!(
            doors.iter().any(|known| known.at.door == door),
            "{} has no key for {}",
            handset.name,
            self.door_name(door)
        );
        self.announce(door, &handset.name);
        match handset
            .open(
                DoorRef {
                    property: self.property,
                    door,
                },
                Handset::any_way(),
            )
            .await
        {
            // The door's own report says the rest.
            Ok(_) | Err(Error::Denied { .. }) => Ok(()),
            Err(error) => {
                self.visitor(door);
                Err(error).with_context(|| format!("{} at {}", handset.name, self.door_name(door)))
            }
        }
    }

    /// Says who is about to come to a door.
    pub(crate) fn announce(&self, door: DoorId, name: &str) {
        self.visitors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(door, name.to_owned());
    }

    /// Shows a code to the reader at a door.
    pub(crate) async fn show_code(&self, door: DoorId, text: &str) -> Result<()> {
        self.visitors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&door);
        let hub = self
            .hubs
            .iter()
            .find(|hub| hub.has(door))
            .context("there is no such door")?;
        hub.show(door, text).await
    }

    /// Staff issue a guest's key to the gates; the answer is its link.
    pub(crate) async fn invite_guest(&self) -> Result<String> {
        let staff = self.phone_of(phones::STAFF).await?;
        let gates = [self.door("Main gate")?, self.door("North gate")?];
        let desk = Desk::of(&staff)?;
        let key = desk
            .issue(guest_key("Visitor of the demo", gates.to_vec()))
            .await?;
        desk.share(key.id).await
    }

    /// Makes a part fail, or mends it.
    pub(crate) async fn set_failing(&self, id: &str, failing: bool) -> Result<()> {
        let text = match id {
            PORTAL => {
                let mut portal = self.portal.lock().await;
                match (failing, portal.is_running()) {
                    (true, true) => portal.stop().await?,
                    (false, false) => drop(portal.start().await?),
                    _ => {}
                }
                if failing {
                    "The portal was switched off"
                } else {
                    "The portal is back"
                }
                .to_owned()
            }
            PHONES => {
                self.phones_wire.set_up(!failing);
                if failing {
                    "Phones and guests have no signal"
                } else {
                    "Phones and guests have signal again"
                }
                .to_owned()
            }
            hub => {
                let hub = self
                    .hubs
                    .iter()
                    .find(|found| found.id == hub)
                    .context("there is no such part")?;
                hub.wire
                    .as_ref()
                    .context("it has no network anyway")?
                    .set_up(!failing);
                let state = if failing {
                    "off the network"
                } else {
                    "on the network again"
                };
                format!("{}: {state}", hub.label)
            }
        };
        self.board.switched(id, failing);
        self.board.happened(board::Happening {
            at: self.clock.now(),
            door: None,
            opened: None,
            text,
            short: None,
        });
        Ok(())
    }

    /// The controller that a door's network hangs on.
    pub(crate) fn hub_of(&self, door: DoorId) -> Result<&str> {
        let hub = self
            .hubs
            .iter()
            .find(|hub| hub.has(door))
            .context("there is no such door")?;
        Ok(&hub.id)
    }

    fn known_handset(&self, name: &str) -> Option<Arc<Handset>> {
        let handsets = self.handsets.lock().unwrap_or_else(PoisonError::into_inner);
        handsets
            .iter()
            .find(|handset| handset.name == name)
            .cloned()
    }

    /// Who was announced at a door, once: whoever comes next may be somebody else.
    fn visitor(&self, door: DoorId) -> Option<String> {
        self.visitors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&door)
    }
}

/// A key that is shown as a rotating code, for whoever binds its link.
pub(crate) fn guest_key(name: &str, doors: Vec<DoorId>) -> KeyDraft {
    KeyDraft {
        name: name.to_owned(),
        kind: KeyKind::Qr,
        persons: Vec::new(),
        doors: KeyDoors::Some(doors),
        rules: AccessRules::default(),
    }
}

fn first_board(
    staffing: &phones::Staffing,
    doors: &[latchkey_protocol::api::doors::Door],
    hubs: &[Hub],
) -> Board {
    let tiles = doors.iter().map(|door| Tile {
        id: door.id,
        name: door.name.clone(),
        place: door.place.clone(),
        kind: door.kind,
        networked: door.reach != DoorReach::Offline,
        connected: false,
    });
    let switch = |id: &str, label: String| Switch {
        id: id.to_owned(),
        label,
        failing: false,
    };
    let mut switches = vec![
        switch(PORTAL, "The portal is off".to_owned()),
        switch(PHONES, "Phones and guests have no signal".to_owned()),
    ];
    let networked = hubs.iter().filter(|hub| hub.wire.is_some());
    switches.extend(networked.map(|hub| switch(&hub.id, format!("{} off the network", hub.label))));
    Board {
        property: staffing.property.clone(),
        people: staffing.people,
        doors: tiles.collect(),
        switches,
        phones: Vec::new(),
        feed: std::collections::VecDeque::new(),
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}
