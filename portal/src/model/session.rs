//! Devices and their tokens. Access tokens live ten minutes; each refresh token is used once, the one before it
//! serves until its successor was used (a lost reply signs nobody out), and a dead one that comes back ends the
//! device's session: somebody has a copy.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::api::auth::Tokens;
use latchkey_protocol::ids::{AccountId, DeviceId};

use crate::auth::secret;
use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

const ACCESS_SECONDS: u32 = 600;
const REFRESH_LIFE: TimeDelta = TimeDelta::days(60);

/// Who a valid access token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) email: String,
    /// Thumbprint of the key that every request proves.
    pub(crate) jkt: String,
}

/// Registers a device of whoever holds this address.
pub(crate) fn register(
    tx: &mut dyn Tx,
    tools: &Tools,
    email: &str,
    jkt: &str,
    device_name: &str,
) -> Result<Tokens, StoreError> {
    let now = tools.now();
    lock(tx, jkt)?;
    tx.execute(
        "INSERT INTO account (id, email, created_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (email) DO NOTHING",
        params![tools.random::<16>(), email, now],
    )?;
    let account: AccountId = tx
        .first("SELECT id FROM account WHERE email = ?1", params![email])?
        .ok_or(StoreError::Unreadable("account"))?
        .at(0)?;
    // The same key again is the same device: its answer was lost, or its session had ended. What was issued to it
    // stays its own; under a new name it would see nothing of that any more.
    let earlier = tx.first(
        "SELECT id FROM device WHERE account = ?1 AND jkt = ?2 ORDER BY created_at DESC, id LIMIT 1",
        params![account, jkt],
    )?;
    let device = match earlier {
        Some(row) => {
            let device = row.at(0)?;
            end(tx, device, now)?;
            tx.execute(
                "DELETE FROM refresh_token WHERE device = ?1",
                params![device],
            )?;
            tx.execute(
                "UPDATE device SET ended_at = NULL, name = ?2 WHERE id = ?1",
                params![device, device_name],
            )?;
            device
        }
        None => {
            let device = DeviceId(tools.random());
            tx.execute(
                "INSERT INTO device (id, account, jkt, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![device, account, jkt, device_name, now],
            )?;
            device
        }
    };
    issue(tx, tools, account, device, None)
}

/// A device's sessions change one after the other, at whichever instances it asks.
fn lock(tx: &mut dyn Tx, jkt: &str) -> Result<(), StoreError> {
    tx.lock(&format!("session:{jkt}"))
}

/// What became of a refresh token.
#[derive(Clone)]
pub(crate) enum Refreshed {
    Tokens(Tokens),
    /// Not a token of ours, or over, or its device has signed out.
    Unknown,
    /// The proof is by another key than the device's.
    OtherKey,
    /// It was replaced before, and its successor used: the session is ended.
    Reused,
}

/// The next pair of tokens.
pub(crate) fn refresh(
    tx: &mut dyn Tx,
    tools: &Tools,
    token: &str,
    jkt: &str,
) -> Result<Refreshed, StoreError> {
    let hash = secret::hash(token.as_bytes());
    lock(tx, jkt)?;
    let Some(row) = tx.first(
        "SELECT d.account, d.id, d.jkt, r.parent, r.state, r.expires_at
         FROM refresh_token r JOIN device d ON d.id = r.device
         WHERE r.hash = ?1 AND d.ended_at IS NULL",
        params![hash],
    )?
    else {
        return Ok(Refreshed::Unknown);
    };
    let (account, device): (AccountId, DeviceId) = (row.at(0)?, row.at(1)?);
    let (parent, state): (Option<Vec<u8>>, String) = (row.at(3)?, row.at(4)?);
    if tools.now() >= row.at::<DateTime<Utc>>(5)? {
        return Ok(Refreshed::Unknown);
    }
    if row.at::<String>(2)? != jkt {
        return Ok(Refreshed::OtherKey);
    }
    if state == "dead" {
        end(tx, device, tools.now())?;
        return Ok(Refreshed::Reused);
    }
    if let Some(parent) = parent {
        // Its first use is the receipt for it: what it replaced is over, and so is what a lost reply carried.
        tx.execute(
            "UPDATE refresh_token SET state = 'dead' WHERE device = ?1 AND hash <> ?2
             AND (hash = ?3 OR parent = ?3)",
            params![device, hash, parent],
        )?;
    }
    tx.execute(
        "UPDATE refresh_token SET state = 'used' WHERE hash = ?1",
        params![hash],
    )?;
    Ok(Refreshed::Tokens(issue(
        tx,
        tools,
        account,
        device,
        Some(hash),
    )?))
}

fn issue(
    tx: &mut dyn Tx,
    tools: &Tools,
    account: AccountId,
    device: DeviceId,
    parent: Option<secret::Hash>,
) -> Result<Tokens, StoreError> {
    let now = tools.now();
    let (access_token, access_hash) = secret::token(tools.random());
    let (refresh_token, refresh_hash) = secret::token(tools.random());
    tx.execute(
        "INSERT INTO access_token (hash, device, expires_at) VALUES (?1, ?2, ?3)",
        params![
            access_hash,
            device,
            now + TimeDelta::seconds(ACCESS_SECONDS.into())
        ],
    )?;
    tx.execute(
        "INSERT INTO refresh_token (hash, device, parent, state, expires_at)
         VALUES (?1, ?2, ?3, 'fresh', ?4)",
        params![refresh_hash, device, parent, now + REFRESH_LIFE],
    )?;
    Ok(Tokens {
        access_token,
        token_type: "DPoP".to_owned(),
        expires_in: ACCESS_SECONDS,
        refresh_token,
        account,
        device,
    })
}

/// The session of an access token, if it counts.
pub(crate) fn of_token(
    tx: &mut dyn Tx,
    token: &str,
    now: DateTime<Utc>,
) -> Result<Option<Session>, StoreError> {
    tx.first(
        "SELECT a.id, d.id, a.email, d.jkt FROM access_token t
         JOIN device d ON d.id = t.device JOIN account a ON a.id = d.account
         WHERE t.hash = ?1 AND t.expires_at > ?2 AND d.ended_at IS NULL",
        params![secret::hash(token.as_bytes()), now],
    )?
    .map(|row| {
        Ok(Session {
            account: row.at(0)?,
            device: row.at(1)?,
            email: row.at(2)?,
            jkt: row.at(3)?,
        })
    })
    .transpose()
}

/// Ends a device's session with all its tokens.
pub(crate) fn end(tx: &mut dyn Tx, device: DeviceId, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE device SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL",
        params![device, now],
    )?;
    tx.execute(
        "DELETE FROM access_token WHERE device = ?1",
        params![device],
    )?;
    Ok(())
}

/// Forgets tokens that are over.
pub(crate) fn forget(tx: &mut dyn Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM access_token WHERE expires_at <= ?1",
        params![now],
    )?;
    tx.execute(
        "DELETE FROM refresh_token WHERE expires_at <= ?1",
        params![now],
    )?;
    Ok(())
}
