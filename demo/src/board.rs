//! What the property's page shows: doors, switches, and what just happened.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use latchkey_protocol::api::doors::DoorKind;
use latchkey_protocol::ids::DoorId;
use serde::Serialize;
use tokio::sync::broadcast;

const FEED_LENGTH: usize = 60;

/// The whole board, as the page first gets it.
#[derive(Clone, Serialize)]
pub(crate) struct Board {
    pub(crate) property: String,
    pub(crate) people: usize,
    pub(crate) doors: Vec<Tile>,
    pub(crate) switches: Vec<Switch>,
    pub(crate) phones: Vec<Handset>,
    pub(crate) feed: VecDeque<Happening>,
}

/// A door.
#[derive(Clone, Serialize)]
pub(crate) struct Tile {
    pub(crate) id: DoorId,
    pub(crate) name: String,
    pub(crate) place: String,
    pub(crate) kind: DoorKind,
    pub(crate) networked: bool,
    pub(crate) connected: bool,
}

/// Something that can be made to fail.
#[derive(Clone, Serialize)]
pub(crate) struct Switch {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) failing: bool,
}

/// A phone that the page may hold to a door.
#[derive(Clone, Serialize)]
pub(crate) struct Handset {
    pub(crate) id: String,
    pub(crate) label: String,
}

/// Something that happened.
#[derive(Clone, Serialize)]
pub(crate) struct Happening {
    pub(crate) at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) door: Option<DoorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) opened: Option<bool>,
    /// For the feed.
    pub(crate) text: String,
    /// For the door itself, whose name needs no repeating.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) short: Option<String>,
}

/// What is new.
#[derive(Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Live {
    Happening { happening: Happening },
    Connected { door: DoorId, connected: bool },
    Switch { id: String, failing: bool },
}

/// The board that all write to and every open page reads.
#[derive(Clone)]
pub(crate) struct SharedBoard {
    board: Arc<Mutex<Board>>,
    live: broadcast::Sender<Live>,
}

impl SharedBoard {
    pub(crate) fn new(board: Board) -> Self {
        Self {
            board: Arc::new(Mutex::new(board)),
            live: broadcast::channel(256).0,
        }
    }

    /// The board now, and all that comes after it.
    pub(crate) fn follow(&self) -> (Board, broadcast::Receiver<Live>) {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        (board.clone(), self.live.subscribe())
    }

    pub(crate) fn happened(&self, happening: Happening) {
        self.change(
            Live::Happening {
                happening: happening.clone(),
            },
            |board| {
                board.feed.push_front(happening);
                board.feed.truncate(FEED_LENGTH);
            },
        );
    }

    /// Another phone that the page may hold to a door. Pages that are open already see it when they load again.
    pub(crate) fn add_phone(&self, phone: Handset) {
        self.board
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .phones
            .push(phone);
    }

    pub(crate) fn connected(&self, door: DoorId, connected: bool) {
        self.change(Live::Connected { door, connected }, |board| {
            if let Some(tile) = board.doors.iter_mut().find(|tile| tile.id == door) {
                tile.connected = connected;
            }
        });
    }

    pub(crate) fn switched(&self, id: &str, failing: bool) {
        self.change(
            Live::Switch {
                id: id.to_owned(),
                failing,
            },
            |board| {
                if let Some(switch) = board.switches.iter_mut().find(|switch| switch.id == id) {
                    switch.failing = failing;
                }
            },
        );
    }

    /// Under one lock, so that no page misses what falls between its first look and what follows.
    fn change(&self, live: Live, apply: impl FnOnce(&mut Board)) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        apply(&mut board);
        let _ = self.live.send(live);
    }
}
