//! Rate limits that hold over all instances: how often something happened in a slot of time, or whether it did.

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

/// Marks that something was so, until then.
pub(crate) fn mark(tx: &mut dyn Tx, bucket: &str, until: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO rate (bucket, slot, count, until) VALUES (?1, 0, 1, ?2)
         ON CONFLICT (bucket, slot) DO UPDATE SET until = ?2",
        params![bucket, until],
    )?;
    Ok(())
}

/// Whether it is marked.
pub(crate) fn is_marked(
    tx: &mut dyn Tx,
    bucket: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mark = tx.first(
        "SELECT count FROM rate WHERE bucket = ?1 AND slot = 0 AND until > ?2",
        params![bucket, now],
    )?;
    Ok(mark.is_some())
}

/// Forgets slots and marks that are over.
pub(crate) fn forget(tx: &mut dyn Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM rate WHERE until <= ?1", params![now])?;
    Ok(())
}
