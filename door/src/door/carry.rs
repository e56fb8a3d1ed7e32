//! What phones carry from a door without a network, and what it tells them first: how far it has come.

use std::sync::Arc;

use latchkey_protocol::doorlog::{MAX_EVENTS, Parcel, SignedParcel, SignedReceipt};
use latchkey_protocol::private::{Assembling, LogParcel, LogReach, Needs};

use super::{Door, DoorError, Inner};
use crate::store::{log_reach, mark_events_kept, unkept_events};

/// From this uncertainty on, a phone that is online is asked for the time.
const TIME_WANTED_MS: u32 = 2_000;

/// Sessions of phones, as the clock tells them from lines to the portal, which count from 1.
pub(crate) const FIRST_PHONE_SESSION: u64 = 1 << 62;

impl Door {
    /// How far this door has come, and what a phone may bring it. Its question for the time belongs to
    /// this session alone. How far the log goes, and with it how often the door is used, is told to
    /// those only who have shown a grant here, as is what others have brought in part.
    pub(crate) async fn needs(
        self: &Arc<Self>,
        session: u64,
        known: bool,
    ) -> Result<Needs, DoorError> {
        self.run(move |door| {
            let time = door.wants_time().then(|| door.challenge(session));
            let inner = door.lock();
            let (log, assembling) = if known {
                let (kept, last) = log_reach(inner.store.read())?;
                (LogReach { kept, last }, assembling(&inner))
            } else {
                (LogReach::default(), None)
            };
            Ok(Needs {
                generation: door.installed.generation,
                list_after: inner.knowledge.list(),
                statements_after: inner.knowledge.numbers,
                bundle_after: inner.knowledge.bundle,
                assembling,
                log,
                time,
            })
        })
        .await
    }

    fn wants_time(&self) -> bool {
        let reading = self.lock().reading(&self.env);
        reading.unsure || reading.uncertainty_ms > TIME_WANTED_MS
    }

    /// The next entries of the log after this one, sealed to the portal. None when there are no more, or
    /// nobody has told to which key.
    pub(crate) async fn log_parcel(
        self: &Arc<Self>,
        after: u64,
    ) -> Result<Option<LogParcel>, DoorError> {
        self.run(move |door| {
            let inner = door.lock();
            let Some(log_key) = inner.knowledge.log_key else {
                return Ok(None);
            };
            let (kept, _) = log_reach(inner.store.read())?;
            let after = after.max(kept);
            let events = unkept_events(inner.store.read(), after, MAX_EVENTS)?;
            drop(inner);
            let installed = &door.installed;
            let parcel = Parcel::payload(
                installed.property,
                installed.door,
                installed.generation,
                kept,
                after,
                &events,
            );
            let Some((payload, up_to)) = parcel else {
                return Ok(None);
            };
            let signature = door.keys.sign(&Parcel::to_be_signed(&payload))?;
            let sealed = SignedParcel::new(payload, signature).seal(
                installed.property,
                &log_key,
                door.env.random(),
            );
            match sealed {
                Ok(sealed) => Ok(Some(LogParcel { up_to, sealed })),
                Err(error) => {
                    tracing::error!(%error, "the log was not sealed");
                    Ok(None)
                }
            }
        })
        .await
    }

    /// Takes a receipt: what it covers need not be handed out again.
    pub(crate) async fn take_log_receipt(
        self: &Arc<Self>,
        receipt: Vec<u8>,
    ) -> Result<(), DoorError> {
        self.run(move |door| {
            let installed = &door.installed;
            let receipt = SignedReceipt::from_bytes(&receipt).ok().and_then(|signed| {
                let mut issuers = installed.issuers.iter();
                issuers.find_map(|issuer| signed.verify(issuer).ok())
            });
            let ours = (installed.property, installed.door, installed.generation);
            let receipt = receipt
                .filter(|receipt| (receipt.property, receipt.door, receipt.generation) == ours);
            let Some(receipt) = receipt else {
                tracing::warn!("a receipt that the issuer did not sign for this controller");
                return Ok(());
            };
            door.lock()
                .store
                .write(|tx| Ok::<_, DoorError>(mark_events_kept(tx, receipt.up_to)?))
        })
        .await
    }
}

fn assembling(inner: &Inner) -> Option<Assembling> {
    let assembly = inner.incoming.as_ref()?;
    Some(Assembling {
        number: assembly.header.number,
        missing: assembly.missing.iter().copied().collect(),
    })
}
