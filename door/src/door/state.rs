//! The door's signed state.

use std::sync::Arc;

use latchkey_protocol::doorstate::{ClockState, DoorState, SignedDoorState};

use super::{Door, DoorError};
use crate::store::{Counter, advance};

impl Door {
    /// The state at this moment, signed, with a counter of its own.
    pub(crate) async fn signed_state(self: &Arc<Self>) -> Result<Vec<u8>, DoorError> {
        self.run(|door| door.sign_state()).await
    }

    /// See [`Self::signed_state`]; blocks.
    pub(crate) fn sign_state(&self) -> Result<Vec<u8>, DoorError> {
        let mut inner = self.lock();
        // Durable before anybody sees it: no two states may share a counter.
        let counter = inner
            .store
            .write(|tx| Ok::<_, DoorError>(advance(tx, Counter::SignedStates)?))?;
        let state = DoorState {
            property: self.installed.property,
            door: self.installed.door,
            generation: self.installed.generation,
            iteration: inner.knowledge.iteration(),
            list: inner.knowledge.list(),
            statements: inner.knowledge.numbers,
            clock: ClockState {
                reading: inner.reading(&self.env),
                drift_ppm: inner.clock.drift().map(|drift| drift.ppm),
            },
            battery: None,
            counter,
            leases: Vec::new(),
            bundle: inner.knowledge.bundle,
        };
        drop(inner);
        let payload = state.payload();
        let signature = self.keys.sign(&DoorState::to_be_signed(&payload))?;
        Ok(SignedDoorState::new(payload, signature).to_bytes())
    }
}
