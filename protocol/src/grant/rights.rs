//! Rights beyond opening.

use serde::{Deserialize, Serialize};

/// What a key allows at a door beside opening it.
///
/// In JSON a list of `"carry_lock_sync"`, `"write_cards"` and `"open_in_lockdown"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Right>", into = "Vec<Right>")]
pub struct Rights(u8);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Right {
    /// To carry statements and event logs to and from a door without a network.
    CarryLockSync = 1,
    /// To write cards at the door.
    WriteCards = 2,
    /// To open while a lockdown stands.
    OpenInLockdown = 4,
}

impl Rights {
    /// Opening alone.
    pub const NONE: Self = Self(0);

    /// These rights and `right`.
    #[must_use]
    pub const fn with(self, right: Right) -> Self {
        Self(self.0 | right as u8)
    }

    /// Whether `right` is among them.
    #[must_use]
    pub const fn contains(self, right: Right) -> bool {
        self.0 & right as u8 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As bits: 0 carry lock sync, 1 write cards, 2 open in lockdown.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From bits; none for bits that stand for nothing yet.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits < 8 { Some(Self(bits)) } else { None }
    }
}

impl From<Vec<Right>> for Rights {
    fn from(rights: Vec<Right>) -> Self {
        rights.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Self {
        [
            Right::CarryLockSync,
            Right::WriteCards,
            Right::OpenInLockdown,
        ]
        .into_iter()
        .filter(|right| rights.contains(*right))
        .collect()
    }
}
