//! Time and randomness, passed in.
//!
//! Phone, portal and door read the clock and draw random bytes through [`Clock`] and
//! [`SecureRandom`] only, so that a test can hold one clock for all of them, set a phone four
//! minutes wrong, let a door drift, and wait in virtual time. The system's own clock and generator
//! are here too ([`SystemClock`], [`SystemRandom`]) and nowhere else: `clippy.toml` bans the
//! ambient ones, and this crate is the one place with an exception.
//!
//! Why a crate of its own: `docs/adr/0002-env-crate.md`.

#![forbid(unsafe_code)]

mod backoff;
mod clock;
mod offset;
mod random;
mod system;
mod timers;
#[cfg(feature = "virtual")]
mod virtual_clock;

pub use backoff::Backoff;
pub use clock::{Clock, SharedClock, Sleep};
pub use offset::OffsetClock;
#[cfg(feature = "virtual")]
pub use random::SeededRandom;
pub use random::{SecureRandom, SharedRandom, SystemRandom, random_array};
pub use system::SystemClock;
pub use timers::{Elapsed, Ticks, sleep, ticks, timeout};
#[cfg(feature = "virtual")]
pub use virtual_clock::VirtualClock;

/// The crate whose instants [`Clock::now`] returns.
pub use chrono;
