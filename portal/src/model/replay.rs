//! Proofs of possession that were seen: each counts once, at whichever instance.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::problem::ProblemType;

use crate::auth::dpop::Proof;
use crate::fault::Fault;
use crate::store::{StoreError, Tx, params};

/// Takes a proof for used, or refuses it.
pub(crate) fn use_up(tx: &mut dyn Tx, proof: &Proof) -> Result<(), Fault> {
    let used = tx.execute(
        "INSERT INTO dpop_seen (jkt, jti, expires_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (jkt, jti) DO NOTHING",
        params![&proof.jkt, proof.jti, proof.good_until],
    )?;
    if used == 0 {
        return Err(Fault::because(
            ProblemType::BadProof,
            "this proof was used before: make a new one for each request",
        ));
    }
    Ok(())
}

/// Forgets those whose nonce has ended.
pub(crate) fn forget(tx: &mut dyn Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM dpop_seen WHERE expires_at <= ?1", params![now])?;
    Ok(())
}
