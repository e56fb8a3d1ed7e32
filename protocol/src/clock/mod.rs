//! How a door knows what time it is.
//!
//! A door asks with a nonce, the issuer answers with the time over that nonce, and half the round trip is
//! what the door cannot know. `answer` is the wire, `model` the door's clock that it sets.

mod answer;
mod model;

pub use answer::{SignedTimeAnswer, TimeAnswer, TimeChallenge};
pub use model::{
    CHALLENGE_LIFE, ClockReading, DoorClock, Drift, MAX_DRIFT_PPM, PersistedClock, Set, TimeRefused,
};
