//! Signing in: a code by e-mail, good for ten minutes and few tries.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::api::auth::SignInStarted;
use latchkey_protocol::bytes::Base64;

use super::rate::{self, Limit};
use super::{outbox, person};
use crate::auth::secret;
use crate::fault::Fault;
use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

const LIFE: TimeDelta = TimeDelta::minutes(10);
const TRIES: i64 = 5;
/// One network asks for this much for one address: a stranger uses up its own share, not the owner's.
const AN_ADDRESS_FROM_A_NETWORK: Limit = Limit {
    most: 10,
    seconds: 600,
};
const AN_ADDRESS_FROM_A_NETWORK_A_DAY: Limit = Limit {
    most: 20,
    seconds: 86_400,
};
/// All networks together, but for those where the address has signed in before. With five tries each, guessing one
/// address's code all day succeeds on one day of 3,300; each network that the address is known in adds a third of that,
/// for whoever is within it.
const AN_ADDRESS_A_DAY: Limit = Limit {
    most: 60,
    seconds: 86_400,
};
/// How long a network is known after somebody signed in there.
const KNOWN: TimeDelta = TimeDelta::days(90);
const A_PEER: Limit = Limit {
    most: 600,
    seconds: 600,
};

/// Begins a sign-in. The answer and the work are the same whether the address is known or not.
pub(crate) fn start(
    tx: &mut dyn Tx,
    tools: &Tools,
    email: &str,
    peer: &str,
) -> Result<SignInStarted, Fault> {
    let email = person::normal_address(email)?;
    let now = tools.now();
    // What one network may not have any more is not counted against the address.
    rate::count(tx, &format!("sign-in-from:{peer}"), A_PEER, now)?;
    for (span, limit) in [
        ("minutes", AN_ADDRESS_FROM_A_NETWORK),
        ("day", AN_ADDRESS_FROM_A_NETWORK_A_DAY),
    ] {
        rate::count(tx, &format!("sign-in:{span}:{email} {peer}"), limit, now)?;
    }
    if !rate::is_marked(tx, &known(&email, peer), now)? {
        rate::count(tx, &format!("sign-in-a-day:{email}"), AN_ADDRESS_A_DAY, now)?;
    }
    let id = Base64(tools.random::<16>().to_vec()).to_text();
    let expires_at = now + LIFE;
    tx.execute(
        "INSERT INTO sign_in (id, email, code_hashes, tries_left, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![&id, &email, Vec::<u8>::new(), TRIES, expires_at],
    )?;
    if !person::properties_of(tx, &email)?.is_empty() {
        outbox::post_code(tx, tools, &email, &id)?;
    }
    Ok(SignInStarted {
        sign_in: id,
        expires_at,
    })
}

/// A new code for a sign-in, to be sent at once; none when the sign-in is over. Codes that were sent before still count:
/// which of the letters arrived nobody knows.
pub(crate) fn new_code(
    tx: &mut dyn Tx,
    tools: &Tools,
    id: &str,
) -> Result<Option<String>, StoreError> {
    lock(tx, id)?;
    let row = tx.first(
        "SELECT code_hashes FROM sign_in WHERE id = ?1 AND expires_at > ?2",
        params![id, tools.now()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let code = secret::six_digits(tools.random());
    let mut hashes: Vec<u8> = row.at(0)?;
    hashes.extend(secret::code_hash(id, &code));
    tx.execute(
        "UPDATE sign_in SET code_hashes = ?2 WHERE id = ?1",
        params![id, hashes],
    )?;
    Ok(Some(code))
}

/// Tries at one sign-in are counted one after the other, at whichever instances they are made.
fn lock(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    tx.lock(&format!("sign-in:{id}"))
}

/// What a code was good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is right, and this device's alone from now on: this address is verified.
    Verified(String),
    /// It is not, or is too old, or was tried too often. The try is counted.
    Wrong,
}

/// Tries a code. The device that it signed in may try it again: its answer may have been lost.
pub(crate) fn check(
    tx: &mut dyn Tx,
    id: &str,
    code: &str,
    jkt: &str,
    now: DateTime<Utc>,
) -> Result<Checked, StoreError> {
    lock(tx, id)?;
    let Some(row) = tx.first(
        "SELECT email, code_hashes, tries_left, expires_at, used_by FROM sign_in WHERE id = ?1",
        params![id],
    )?
    else {
        return Ok(Checked::Wrong);
    };
    let (hashes, tries): (Vec<u8>, i64) = (row.at(1)?, row.at(2)?);
    let expires_at: DateTime<Utc> = row.at(3)?;
    let used_by: Option<String> = row.at(4)?;
    let by_another = used_by.is_some_and(|used_by| used_by != jkt);
    let given = secret::code_hash(id, code);
    let is_one = hashes
        .chunks(given.len())
        .fold(false, |found, hash| found | secret::same(hash, &given));
    if tries <= 0 || now >= expires_at || by_another || !is_one {
        tx.execute(
            "UPDATE sign_in SET tries_left = tries_left - 1 WHERE id = ?1",
            params![id],
        )?;
        return Ok(Checked::Wrong);
    }
    tx.execute(
        "UPDATE sign_in SET used_by = ?2 WHERE id = ?1",
        params![id, jkt],
    )?;
    Ok(Checked::Verified(row.at(0)?))
}

/// Somebody with this address has signed in from this network: others cannot keep them from doing so again there.
pub(crate) fn remember_network(
    tx: &mut dyn Tx,
    email: &str,
    peer: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    rate::mark(tx, &known(email, peer), now + KNOWN)
}

/// Where somebody has been is nobody's business: the mark holds a hash.
fn known(email: &str, peer: &str) -> String {
    let hash = secret::hash(format!("{email} {peer}").as_bytes());
    format!("sign-in-known:{}", hex::encode(hash))
}

/// Forgets what is over.
pub(crate) fn forget(tx: &mut dyn Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM sign_in WHERE expires_at <= ?1", params![now])?;
    Ok(())
}
