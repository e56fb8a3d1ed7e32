//! What moves the lock.

use latchkey_protocol::api::events::Means;
use latchkey_protocol::ids::{DoorId, EventId};

/// One release of the lock. By the time a strike hears of it, the use and its event are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Which door.
    pub door: DoorId,
    /// How the person came.
    pub means: Means,
    /// The stored event that tells of it. The same id twice is the same opening, made again after
    /// a loss of power in between.
    pub event: EventId,
    /// How long the circuit stays closed.
    pub pulse: std::time::Duration,
}

/// The relay, the motor, the magnet.
///
/// Called from worker threads, one release at a time for each door; it may block for as long as
/// the hardware takes to accept the command, not for the length of the pulse.
pub trait Strike: Send + Sync + 'static {
    /// Closes the circuit.
    ///
    /// # Errors
    /// [`Jammed`] when the lock did not move. The attempt then counts as not yet moved, and the
    /// same gesture may try again.
    fn release(&self, release: &Release) -> Result<(), Jammed>;
}

/// The lock did not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lock did not move")]
pub struct Jammed;

/// A strike that says in the log that it moved: for a controller without a lock attached.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoggedStrike;

impl Strike for LoggedStrike {
    fn release(&self, release: &Release) -> Result<(), Jammed> {
        tracing::info!(door = %release.door, means = ?release.means, event = %release.event, "released");
        Ok(())
    }
}
