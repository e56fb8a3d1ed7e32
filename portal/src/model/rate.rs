//! Rate limits that hold over all instances: how often something happened in a slot of time.

use chrono::{DateTime, Utc};

use crate::fault::Fault;
use crate::store::{StoreError, Tx, params};

/// At most `most` times within `seconds`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) most: i64,
    pub(crate) seconds: i64,
}

/// Counts one more in this bucket, or refuses it.
pub(crate) fn count(
    tx: &mut dyn Tx,
    bucket: &str,
    limit: Limit,
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    let slot = now.timestamp().div_euclid(limit.seconds);
    tx.execute(
        "INSERT INTO rate (bucket, slot, count, until) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT (bucket, slot) DO UPDATE SET count = rate.count + 1",
        params![bucket, slot, (slot + 1) * limit.seconds],
    )?;
    let count: i64 = tx
        .first(
            "SELECT count FROM rate WHERE bucket = ?1 AND slot = ?2",
            params![bucket, slot],
        )?
        .ok_or(StoreError::Unreadable("rate"))?
        .at(0)?;
    if count > limit.most {
        let left = (slot + 1) * limit.seconds - now.timestamp();
        return Err(Fault::too_many(u32::try_from(left).unwrap_or(u32::MAX)));
    }
    Ok(())
}

/// Forgets slots that are over.
pub(crate) fn forget(tx: &mut dyn Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM rate WHERE until <= ?1", params![now])?;
    Ok(())
}
