//! Offers of controllers that belong to nobody yet: they wait an hour for an installer who has scanned their code.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::api::doors::InstalledController;
use latchkey_protocol::commissioning::{CommissioningCode, Offer, SignedOffer};

use super::property::{json, text};
use super::rate::{self, Limit};
use crate::fault::Fault;
use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

const WAITS: TimeDelta = TimeDelta::hours(1);
/// How long an answer waits for its controller, which may stand without a network for a while.
const ANSWER_WAITS: TimeDelta = TimeDelta::days(30);
const A_PEER: Limit = Limit {
    most: 600,
    seconds: 600,
};

/// Reads an offer and checks that its reader key signed it.
pub(crate) fn read(bytes: &[u8]) -> Result<Offer, Fault> {
    SignedOffer::from_bytes(bytes)
        .map_err(|error| error.to_string())
        .and_then(|signed| signed.verify().map_err(|error| error.to_string()))
        .map_err(|error| Fault::invalid(format!("`offer`: {error}")))
}

/// Lays an offer before the portal; the same controller may do so again.
pub(crate) fn lay(tx: &mut dyn Tx, tools: &Tools, bytes: &[u8], peer: &str) -> Result<(), Fault> {
    let now = tools.now();
    rate::count(tx, &format!("offer-from:{peer}"), A_PEER, now)?;
    let offer = read(bytes)?;
    tx.execute(
        "INSERT INTO offer (code, offer, expires_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (code) DO UPDATE SET offer = excluded.offer,
             expires_at = CASE WHEN offer.answer IS NULL THEN excluded.expires_at ELSE offer.expires_at END",
        params![offer.code().to_string(), bytes, now + WAITS],
    )?;
    Ok(())
}

/// The offer that waits under this code.
pub(crate) fn waiting(
    tx: &mut dyn Tx,
    code: &CommissioningCode,
    now: DateTime<Utc>,
) -> Result<Option<Vec<u8>>, StoreError> {
    tx.first(
        "SELECT offer FROM offer WHERE code = ?1 AND expires_at > ?2",
        params![code.to_string(), now],
    )?
    .map(|row| row.at(0))
    .transpose()
}

/// Keeps the answer for the controller to collect, whether it has called in yet or the installer brought its offer.
pub(crate) fn answered(
    tx: &mut dyn Tx,
    code: &CommissioningCode,
    answer: &InstalledController,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO offer (code, offer, expires_at, answer) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (code) DO UPDATE SET expires_at = excluded.expires_at, answer = excluded.answer",
        params![
            code.to_string(),
            Vec::<u8>::new(),
            now + ANSWER_WAITS,
            text(answer, "answer")?
        ],
    )?;
    Ok(())
}

/// What a controller needs, once it was installed.
pub(crate) fn answer(
    tx: &mut dyn Tx,
    code: &str,
    now: DateTime<Utc>,
) -> Result<InstalledController, Fault> {
    let code: CommissioningCode = code.parse().map_err(|_| Fault::not_found())?;
    let row = tx
        .first(
            "SELECT answer FROM offer WHERE code = ?1 AND expires_at > ?2 AND answer IS NOT NULL",
            params![code.to_string(), now],
        )?
        .ok_or_else(Fault::not_found)?;
    Ok(json(&row.at::<String>(0)?, "answer")?)
}

/// Forgets what is over.
pub(crate) fn forget(tx: &mut dyn Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM offer WHERE expires_at <= ?1", params![now])?;
    Ok(())
}
