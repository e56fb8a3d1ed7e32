//! Writes that may be repeated: the same idempotency key with the same request gets the same answer, with another
//! request a refusal. The answer is sealed with a key made from the idempotency key, of which only a hash is kept:
//! answers may hold what is shown once.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::ids::{AccountId, PropertyId};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::auth::secret;
use crate::fault::Fault;
use crate::store::{StoreError, Tx, params};

/// How long answers are kept.
const KEPT: TimeDelta = TimeDelta::hours(48);

/// A write as it came.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) property: PropertyId,
    pub(crate) owner: AccountId,
    /// The header's value.
    pub(crate) key: String,
    /// SHA-256 over method, path and body.
    pub(crate) request: secret::Hash,
}

/// The answer that was given before, if this write was.
pub(crate) fn answered(tx: &mut dyn Tx, write: &Write) -> Result<Option<(u16, Vec<u8>)>, Fault> {
    let Some(row) = tx.first(
        "SELECT body_hash, status, answer FROM idempotency
         WHERE property = ?1 AND owner = ?2 AND key_hash = ?3",
        params![
            write.property,
            write.owner,
            secret::hash(write.key.as_bytes())
        ],
    )?
    else {
        return Ok(None);
    };
    if row.at::<secret::Hash>(0)? != write.request {
        return Err(Fault::new(ProblemType::IdempotencyReused));
    }
    let mut answer: Vec<u8> = row.at(2)?;
    let length = sealing_key(write)
        .open_in_place(one_nonce(), Aad::empty(), &mut answer)
        .map_err(|_| StoreError::Unreadable("answer"))?
        .len();
    answer.truncate(length);
    Ok(Some((row.at(1)?, answer)))
}

/// Keeps an answer for those who ask again.
pub(crate) fn keep(
    tx: &mut dyn Tx,
    write: &Write,
    status: u16,
    answer: &[u8],
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    let mut sealed = answer.to_vec();
    sealing_key(write)
        .seal_in_place_append_tag(one_nonce(), Aad::empty(), &mut sealed)
        .map_err(|_| Fault::Internal("an answer could not be sealed".to_owned()))?;
    tx.execute(
        "INSERT INTO idempotency
             (property, owner, key_hash, body_hash, status, answer, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            write.property,
            write.owner,
            secret::hash(write.key.as_bytes()),
            write.request,
            status,
            sealed,
            now
        ],
    )?;
    Ok(())
}

/// Forgets old answers.
pub(crate) fn forget(tx: &mut dyn Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM idempotency WHERE created_at <= ?1",
        params![now - KEPT],
    )?;
    Ok(())
}

fn sealing_key(write: &Write) -> LessSafeKey {
    let material = [
        b"idempotency-answer\0",
        &write.property.0[..],
        &write.owner.0,
        &write.request,
        write.key.as_bytes(),
    ]
    .concat();
    let key = UnboundKey::new(&AES_256_GCM, &secret::hash(&material));
    LessSafeKey::new(key.expect("32 bytes are an AES-256 key"))
}

/// Each key seals one answer: property, owner, idempotency key and request are all in it.
fn one_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}
