//! Notifications that wait to be sent: written with the change that causes them, sent afterwards, at least once. What
//! is secret in a letter is made when it is sent, so that none waits here.

use chrono::{DateTime, TimeDelta, Utc};

use super::sign_in;
use crate::store::{StoreError, Tx, Wake, params};
use crate::tools::Tools;

/// Something to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) id: [u8; 16],
    pub(crate) address: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) tries: u32,
}

/// After so many tries it is given up.
const MOST_TRIES: u32 = 12;

/// Puts the letter with a sign-in's code into the outbox.
pub(crate) fn post_code(
    tx: &mut dyn Tx,
    tools: &Tools,
    address: &str,
    sign_in: &str,
) -> Result<(), StoreError> {
    let now = tools.now();
    tx.execute(
        "INSERT INTO outbox (id, address, subject, sign_in, created_at, next_try, tries)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0)",
        params![
            tools.random::<16>(),
            address,
            "Your code for signing in",
            sign_in,
            now
        ],
    )?;
    tx.wake(Wake::Outbox);
    Ok(())
}

/// What is due, and moves its next try away, so that no second instance sends it meanwhile. A letter whose sign-in is
/// over is dropped.
pub(crate) fn take_due(tx: &mut dyn Tx, tools: &Tools) -> Result<Vec<Letter>, StoreError> {
    let now = tools.now();
    tx.lock("outbox")?;
    let due = tx.query(
        "SELECT id, address, subject, sign_in, tries FROM outbox WHERE next_try <= ?1
         ORDER BY created_at LIMIT 20",
        params![now],
    )?;
    let mut letters = Vec::with_capacity(due.len());
    for row in due {
        let (id, sign_in): ([u8; 16], String) = (row.at(0)?, row.at(3)?);
        let Some(code) = sign_in::new_code(tx, tools, &sign_in)? else {
            sent(tx, id)?;
            continue;
        };
        let letter = Letter {
            id,
            address: row.at(1)?,
            subject: row.at(2)?,
            body: format!("code {code}"),
            tries: row.at::<u32>(4)? + 1,
        };
        let wait = TimeDelta::seconds(15 << letter.tries.min(9));
        tx.execute(
            "UPDATE outbox SET next_try = ?2, tries = ?3 WHERE id = ?1",
            params![letter.id, now + wait, letter.tries],
        )?;
        letters.push(letter);
    }
    Ok(letters)
}

/// It was sent.
pub(crate) fn sent(tx: &mut dyn Tx, id: [u8; 16]) -> Result<(), StoreError> {
    tx.execute("DELETE FROM outbox WHERE id = ?1", params![id])?;
    Ok(())
}

/// It could not be sent; it stays until it has been tried often enough.
pub(crate) fn failed(tx: &mut dyn Tx, letter: &Letter, error: &str) -> Result<(), StoreError> {
    if letter.tries >= MOST_TRIES {
        tracing::error!(error, "a notification was given up after its last try");
        return sent(tx, letter.id);
    }
    tx.execute(
        "UPDATE outbox SET last_error = ?2 WHERE id = ?1",
        params![letter.id, error],
    )?;
    Ok(())
}

/// When the next letter is due.
pub(crate) fn next_due(tx: &mut dyn Tx) -> Result<Option<DateTime<Utc>>, StoreError> {
    tx.first("SELECT MIN(next_try) FROM outbox", &[])?
        .map_or(Ok(None), |row| row.at(0))
}
