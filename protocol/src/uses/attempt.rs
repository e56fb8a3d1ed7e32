//! What becomes of a gesture that comes to a door, by what the door has stored of it.
//!
//! An attempt is *in progress* (stored nowhere, and whoever comes with it meanwhile waits), *spent* (stored with its use
//! and its event, before the lock moves) or *moved*. Denials are not stored.

use crate::rules::Reason;

/// For how long an attempt is good, in milliseconds of the door's clock.
pub const ATTEMPT_LIFE_MS: i64 = 30_000;

/// How far a stored attempt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttemptState {
    /// Decided and stored; whether the lock moved is not known.
    Spent,
    /// The lock moved.
    Moved,
    /// A later gesture took its place: it opens nothing any more.
    Replaced,
}

/// A stored attempt, as it looks to whoever comes with its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// How far it came.
    pub state: AttemptState,
    /// Whether it is theirs.
    pub is_theirs: bool,
    /// How long ago it was decided, in milliseconds.
    pub age_ms: i64,
}

/// What that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meets {
    /// Nothing is known of it: it is decided, and spends.
    Nothing,
    /// It has spent its use, and the lock may not have moved: it moves once more, at no cost.
    Spent,
    /// It has opened: the same answer again, and nothing moves.
    Moved,
    /// It is over, or somebody else's.
    Refused(Reason),
}

impl Meets {
    /// `answers_again`: whether a repeat of what has opened is answered again. The picture of a code is not: it is judged
    /// anew, and is not newer than itself.
    #[must_use]
    pub fn of(known: Option<Known>, answers_again: bool) -> Self {
        let Some(known) = known else {
            return Self::Nothing;
        };
        match known.state {
            _ if !known.is_theirs => Self::Refused(Reason::Unknown),
            AttemptState::Moved if answers_again => Self::Moved,
            AttemptState::Moved => Self::Nothing,
            AttemptState::Spent if known.age_ms <= ATTEMPT_LIFE_MS => Self::Spent,
            // The gesture is over: whatever it was for, another one has to be made.
            AttemptState::Spent | AttemptState::Replaced => Self::Refused(Reason::CodeUsedBefore),
        }
    }
}
