//! What staff did without a network, and what phones carry for doors: kept in the wallet, sent in order,
//! each with one idempotency key for all attempts, so that the portal does it once.

use ::http::Method;
use chrono::{DateTime, Utc};
use latchkey_protocol::api::doors::{CarriedDoorState, CarriedList, CarriedLog};
use latchkey_protocol::api::problem::{Problem, ProblemType};
use latchkey_protocol::api::sync::RevocationEntity;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{DoorId, Generation, KeyId, PropertyId};
use latchkey_protocol::private::LogParcel;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::{Error, Invalid};
use crate::portal::{Call, PortalClient};
use crate::sign_in::json;
use crate::views::DoorRef;
use crate::wallet::{OutboxRecord, OutboxState, Tx, WalletError};

/// Names an entry of the outbox; later entries have higher numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutboxId(pub i64);

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Issue a key of this name.
    IssueKey(String),
    /// Grant a guest key of this name.
    GrantGuestKey(String),
    /// Change a key.
    EditKey(KeyId),
    /// Withdraw a key.
    WithdrawKey(KeyId),
    /// Giving up what a lost or wiped lock holds of a key.
    WriteOffUses(KeyId),
    /// Make a link for a key.
    ShareKey(KeyId),
    /// Enter a person of this name.
    AddPerson(String),
    /// Add a door of this name.
    AddDoor(String),
    /// Put a controller into service at a door.
    InstallController(DoorId),
    /// Hand over a door's signed state.
    CarryDoorState(DoorId),
    /// Hand over a part of a door's log.
    CarryLog {
        /// The door.
        door: DoorId,
        /// Its controller.
        generation: Generation,
        /// Up to which entry.
        up_to: u64,
    },
    /// Hand over the list of before a new epoch.
    CarryList,
}

impl Action {
    /// Whether it was carried for a door or the portal itself: nobody waits for an answer.
    fn is_carried(&self) -> bool {
        matches!(
            self,
            Self::CarryDoorState(_) | Self::CarryLog { .. } | Self::CarryList
        )
    }
}

/// An entry of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Names it.
    pub id: OutboxId,
    /// Where.
    pub property: PropertyId,
    /// What.
    pub action: Action,
    /// When it was asked for, by the portal's clock.
    pub made_at: DateTime<Utc>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Not answered yet.
    Waiting,
    /// Done. The answer, for a call that left before it came (a shared link's address, say).
    Done(serde_json::Value),
    /// Refused for good.
    Refused(Problem),
}

/// A write that is to be sent.
pub(crate) struct Write {
    pub(crate) action: Action,
    pub(crate) method: Method,
    /// From `/v1` on.
    pub(crate) path: String,
    pub(crate) body: serde_json::Value,
}

/// All entries, oldest first.
pub(crate) fn entries(context: &Context) -> Result<Vec<OutboxEntry>, Error> {
    let entries = context.shared.wallet.read(|tx| tx.outbox())?;
    Ok(entries
        .into_iter()
        .map(|(seq, _, record)| OutboxEntry {
            id: OutboxId(seq),
            property: record.property,
            action: record.action,
            made_at: record.made_at,
            outcome: match record.state {
                OutboxState::Waiting => Outcome::Waiting,
                OutboxState::Done(answer) => Outcome::Done(answer),
                OutboxState::Refused(problem) => Outcome::Refused(problem),
            },
        })
        .collect())
}

/// Deletes an entry: one that was read, or one that is not wanted any more. One that waits may have
/// reached the portal all the same.
pub(crate) fn forget(context: &Context, id: OutboxId) -> Result<(), Error> {
    context.shared.wallet.write(|tx| {
        tx.outbox_entry(id.0)?.ok_or(Invalid::OutboxEntry)?;
        Ok(tx.delete_outbox(id.0)?)
    })
}

/// Keeps a write; it is durable when this returns.
pub(crate) fn keep(
    context: &Context,
    property: PropertyId,
    write: Write,
) -> Result<OutboxId, Error> {
    let (_, portal) = context.property(property)?;
    let record = OutboxRecord {
        property,
        method: write.method.to_string(),
        path: write.path,
        body: write.body,
        idempotency_key: portal.idempotency_key(),
        action: write.action,
        made_at: portal.clock.now(),
        state: OutboxState::Waiting,
    };
    context
        .shared
        .wallet
        .write(|tx| Ok(OutboxId(tx.push_outbox(portal.id, &record)?)))
}

/// Keeps a door's signed state for the portal, in place of an older one that still waits.
pub(crate) fn keep_door_state(context: &Context, at: DoorRef, state: Vec<u8>) -> Result<(), Error> {
    let action = Action::CarryDoorState(at.door);
    context.shared.wallet.write(|tx| {
        for (seq, _, record) in tx.outbox()? {
            if record.property == at.property && record.action == action {
                tx.delete_outbox(seq)?;
            }
        }
        Ok::<_, Error>(())
    })?;
    let body = CarriedDoorState {
        state: Base64(state),
    };
    let write = Write {
        action,
        method: Method::POST,
        path: format!("/v1/properties/{}/door-states", at.property),
        body: json(&body)?,
    };
    keep(context, at.property, write)?;
    context.something_waits.notify_waiters();
    Ok(())
}

/// Keeps a part of a door's log for the portal.
pub(crate) fn keep_log(
    context: &Context,
    at: DoorRef,
    generation: Generation,
    parcel: LogParcel,
) -> Result<(), Error> {
    let body = CarriedLog {
        parcel: Base64(parcel.sealed),
    };
    let write = Write {
        action: Action::CarryLog {
            door: at.door,
            generation,
            up_to: parcel.up_to,
        },
        method: Method::POST,
        path: format!("/v1/properties/{}/door-logs", at.property),
        body: json(&body)?,
    };
    keep(context, at.property, write)?;
    context.something_waits.notify_waiters();
    Ok(())
}

/// Keeps the list that this phone held before the portal began a new epoch: a restored portal may have forgotten it.
pub(crate) fn keep_list(
    tx: &Tx<'_>,
    portal: &PortalClient,
    property: PropertyId,
    list: RevocationEntity,
) -> Result<(), Error> {
    let body = CarriedList {
        document: list.document,
    };
    let record = OutboxRecord {
        property,
        method: Method::POST.to_string(),
        path: format!("/v1/properties/{property}/revocation-lists"),
        body: json(&body)?,
        idempotency_key: portal.idempotency_key(),
        action: Action::CarryList,
        made_at: portal.clock.now(),
        state: OutboxState::Waiting,
    };
    tx.push_outbox(portal.id, &record)?;
    Ok(())
}

/// The parts of a door's log that wait to be sent: of which controller, and up to which entry.
pub(crate) fn logs_waiting(
    tx: &Tx<'_>,
    at: DoorRef,
) -> Result<Vec<(Generation, u64)>, WalletError> {
    let mut waiting = Vec::new();
    for (_, _, record) in tx.outbox()? {
        match record.action {
            Action::CarryLog {
                door,
                generation,
                up_to,
            } if record.property == at.property && door == at.door => {
                waiting.push((generation, up_to));
            }
            _ => {}
        }
    }
    Ok(waiting)
}

/// Keeps a write, sends what waits, and takes out the write's answer if it is there: none when it has to
/// wait for the network.
pub(crate) async fn submit(
    context: &Context,
    property: PropertyId,
    write: Write,
) -> Result<Result<serde_json::Value, OutboxId>, Error> {
    let id = keep(context, property, write)?;
    let (_, portal) = context.property(property)?;
    match send(context, &portal).await {
        Ok(()) | Err(Error::Offline(_)) => {}
        Err(error) => {
            // Nobody is signed in, or the keystore refused: it was not sent, and whoever signs in next may
            // be somebody else.
            context.shared.wallet.write(|tx| tx.delete_outbox(id.0))?;
            return Err(error);
        }
    }
    let state = context.shared.wallet.write(|tx| {
        let (_, record) = tx.outbox_entry(id.0)?.ok_or(Invalid::OutboxEntry)?;
        if record.state != OutboxState::Waiting {
            tx.delete_outbox(id.0)?;
        }
        Ok::<_, Error>(record.state)
    })?;
    match state {
        OutboxState::Waiting => Ok(Err(id)),
        OutboxState::Done(answer) => Ok(Ok(answer)),
        OutboxState::Refused(problem) => Err(Error::Refused(problem)),
    }
}

/// Sends what waits for a portal, in order, until it cannot be reached.
pub(crate) async fn send(context: &Context, portal: &PortalClient) -> Result<(), Error> {
    let _one_at_a_time = context.sending.lock().await;
    let waiting = context.shared.wallet.read(|tx| tx.outbox())?;
    for (seq, owner, mut record) in waiting {
        if owner != portal.id || record.state != OutboxState::Waiting {
            continue;
        }
        record.state = match portal.send(&call(&record)?).await {
            // It is done, whatever the answer reads like.
            Ok(answer) => OutboxState::Done(answer.json().unwrap_or_default()),
            Err(Error::Refused(problem)) if is_for_later(&problem) => {
                // Later ones may build on this one: they wait behind it.
                return Err(Error::Offline(problem.title));
            }
            Err(Error::Refused(problem)) => OutboxState::Refused(problem),
            Err(error) => return Err(error),
        };
        let carried = record.action.is_carried();
        context.shared.wallet.write(|tx| {
            if carried {
                // Nobody waits for an answer: an old state that the portal did not want is none's loss,
                // and a log the door keeps until it has a receipt.
                tx.delete_outbox(seq)
            } else {
                tx.put_outbox(seq, portal.id, &record)
            }
        })?;
    }
    Ok(())
}

fn call(record: &OutboxRecord) -> Result<Call, Error> {
    let method = Method::from_bytes(record.method.as_bytes())
        .map_err(|error| Error::BadAnswer(error.to_string()))?;
    let body = (!record.body.is_null()).then(|| record.body.clone());
    Ok(Call::write(
        method,
        record.path.clone(),
        body,
        record.idempotency_key.clone(),
    ))
}

fn is_for_later(problem: &Problem) -> bool {
    match problem.problem_type() {
        Some(
            ProblemType::TooManyRequests
            | ProblemType::SignerUnavailable
            | ProblemType::StoreUnavailable
            | ProblemType::Full
            | ProblemType::Internal
            | ProblemType::UseDpopNonce,
        ) => true,
        Some(_) => false,
        None => problem.status >= 500,
    }
}
