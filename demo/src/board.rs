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
pub struct Board {
    pub property: String,
    pub people: usize,
    pub doors: Vec<Tile>,
    pub switches: Vec<Switch>,
    pub phones: Vec<Handset>,
    pub feed: VecDeque<Happening>,
}

/// A door.
#[derive(Clone, Serialize)]
pub struct Tile {
    pub id: DoorId,
    pub name: String,
    pub place: String,
    pub kind: DoorKind,
    pub networked: bool,
    pub connected: bool,
}

/// Something that can be made to fail.
#[derive(Clone, Serialize)]
pub struct Switch {
    pub id: String,
    pub label: String,
    pub failing: bool,
}

/// A phone that the page may hold to a door.
#[derive(Clone, Serialize)]
pub struct Handset {
    pub id: String,
    pub label: String,
}

/// Something that happened.
#[derive(Clone, Serialize)]
pub struct Happening {
    pub at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub door: Option<DoorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<bool>,
    /// For the feed.
    pub text: String,
    /// For the door itself, whose name needs no repeating.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<String>,
}

/// What is new.
#[derive(Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Live {
    Happening { happening: Happening },
    Connected { door: DoorId, connected: bool },
    Switch { id: String, failing: bool },
}

/// The board that all write to and every open page reads.
#[derive(Clone)]
pub struct SharedBoard {
    board: Arc<Mutex<Board>>,
    live: broadcast::Sender<Live>,
}

impl SharedBoard {
    pub fn new(board: Board) -> Self {
        Self { board: Arc::new(Mutex::new(board)), live: broadcast::channel(256).0 }
    }

    /// The board now, and all that comes after it.
    pub fn follow(&self) -> (Board, broadcast::Receiver<Live>) {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        (board.clone(), self.live.subscribe())
    }

    pub fn happened(&self, happening: Happening) {
        self.change(Live::Happening { happening: happening.clone() }, |board| {
            board.feed.push_front(happening);
            board.feed.truncate(FEED_LENGTH);
        });
    }

    pub fn connected(&self, door: DoorId, connected: bool) {
        self.change(Live::Connected { door, connected }, |board| {
            if let Some(tile) = board.doors.iter_mut().find(|tile| tile.id == door) {
                tile.connected = connected;
            }
        });
    }

    pub fn switched(&self, id: &str, failing: bool) {
        self.change(Live::Switch { id: id.to_owned(), failing }, |board| {
            if let Some(switch) = board.switches.iter_mut().find(|switch| switch.id == id) {
                switch.failing = failing;
            }
        });
    }

    /// Under one lock, so that no page misses what falls between its first look and what follows.
    fn change(&self, live: Live, apply: impl FnOnce(&mut Board)) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        apply(&mut board);
        let _ = self.live.send(live);
    }
}
