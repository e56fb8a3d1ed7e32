//! Nonces that a key signs when it is registered: good once, for ten minutes.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::PropertyId;
use latchkey_protocol::proof::NONCE_LEN;

use crate::fault::Fault;
use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

const LIFE: TimeDelta = TimeDelta::minutes(10);

/// How many nonces a device may have open at a property, where it registers two keys.
pub(crate) const OF_A_DEVICE: i64 = 16;
/// How many a link may, which any number of people look at.
pub(crate) const OF_A_LINK: i64 = 1000;

/// A new nonce for whoever this is (a device, a link), who may have so many open: the oldest makes room.
pub(crate) fn make(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    owner: &[u8; 16],
    open: i64,
) -> Result<([u8; NONCE_LEN], DateTime<Utc>), StoreError> {
    tx.execute(
        "DELETE FROM challenge WHERE property = ?1 AND owner = ?2 AND nonce IN
             (SELECT nonce FROM challenge WHERE property = ?1 AND owner = ?2
              ORDER BY expires_at DESC, nonce LIMIT 1000 OFFSET ?3)",
        params![property, *owner, open - 1],
    )?;
    let nonce = tools.random::<NONCE_LEN>();
    let expires_at = tools.now() + LIFE;
    tx.execute(
        "INSERT INTO challenge (nonce, property, owner, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![nonce, property, *owner, expires_at],
    )?;
    Ok((nonce, expires_at))
}

/// Uses a nonce up.
pub(crate) fn use_up(
    tx: &mut dyn Tx,
    property: PropertyId,
    owner: &[u8; 16],
    nonce: &Base64,
    now: DateTime<Utc>,
) -> Result<[u8; NONCE_LEN], Fault> {
    let bad = || {
        Fault::because(
            ProblemType::BadProof,
            "the nonce was used, is too old or not yours",
        )
    };
    let nonce: [u8; NONCE_LEN] = nonce.to_array().map_err(|_| bad())?;
    let used = tx.execute(
        "DELETE FROM challenge
         WHERE nonce = ?1 AND property = ?2 AND owner = ?3 AND expires_at > ?4",
        params![nonce, property, *owner, now],
    )?;
    if used == 0 {
        return Err(bad());
    }
    Ok(nonce)
}

/// Forgets what is over.
pub(crate) fn forget(tx: &mut dyn Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM challenge WHERE expires_at <= ?1", params![now])?;
    Ok(())
}
