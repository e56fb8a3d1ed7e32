//! The door's signed state.

use std::sync::Arc;

use latchkey_protocol::doorstate::{ClockState, DoorState, MAX_LEASES, SignedDoorState};
use latchkey_protocol::uses::LeaseReport;

use super::{Door, DoorError};
use crate::store::{Counter, advance, leases_changed_after, leases_changed_last};

/// Which leases on uses a state tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    /// Those that have changed last: a phone takes one state along.
    Latest,
    /// The next ones after this change.
    After(u64),
}

/// A state, and how far it tells of leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The signed state.
    pub(crate) state: Vec<u8>,
    /// The last change of which it tells; none when it tells of no lease.
    pub(crate) up_to: Option<u64>,
    /// There may be more to tell.
    pub(crate) is_full: bool,
}

impl Door {
    /// The state at this moment, signed, with a counter of its own.
    pub(crate) async fn signed_state(
        self: &Arc<Self>,
        telling: Telling,
    ) -> Result<Told, DoorError> {
        self.run(move |door| door.sign_state(telling)).await
    }

    fn sign_state(&self, telling: Telling) -> Result<Told, DoorError> {
        let mut inner = self.lock();
        // Durable before anybody sees it: no two states may share a counter.
        let counter = inner
            .store
            .write(|tx| Ok::<_, DoorError>(advance(tx, Counter::SignedStates)?))?;
        let connection = inner.store.read();
        let leases = match telling {
            Telling::Latest => leases_changed_last(connection, MAX_LEASES)?,
            Telling::After(change) => leases_changed_after(connection, change, MAX_LEASES)?,
        };
        let is_full = leases.len() == MAX_LEASES;
        let up_to = leases.iter().map(|(changed, _, _)| *changed).max();
        let mut leases: Vec<LeaseReport> = leases
            .into_iter()
            .map(|(_, budget, held)| held.report(budget))
            .collect();
        leases.sort_by_key(|lease| lease.budget);
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
            leases,
            bundle: inner.knowledge.bundle,
        };
        drop(inner);
        let payload = state.payload();
        let signature = self.keys.sign(&DoorState::to_be_signed(&payload))?;
        Ok(Told {
            state: SignedDoorState::new(payload, signature).to_bytes(),
            up_to,
            is_full,
        })
    }
}
