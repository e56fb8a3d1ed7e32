//! The audit chain: who did what and what was signed, each row's hash over the one before. Ids only, never names:
//! a person can be erased without breaking the chain.

use latchkey_protocol::ids::{PersonId, PropertyId};
use ring::digest::{Context, SHA256};

use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

/// What a row says.
pub(crate) struct Entry {
    /// None for what the portal does by itself.
    pub(crate) actor: Option<PersonId>,
    pub(crate) action: &'static str,
    pub(crate) subject: String,
}

/// Adds a row. `actor` is none for what the portal does by itself.
pub(crate) fn write(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    actor: Option<PersonId>,
    action: &'static str,
    subject: &str,
) -> Result<(), StoreError> {
    let entry = Entry {
        actor,
        action,
        subject: subject.to_owned(),
    };
    write_all(tx, tools, property, &[entry])
}

/// Adds rows, in this order.
pub(crate) fn write_all(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    entries: &[Entry],
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    tx.lock_property(property)?;
    let row = tx
        .first(
            "SELECT last_audit, audit_head FROM property WHERE id = ?1",
            params![property],
        )?
        .ok_or(StoreError::Unreadable("property"))?;
    let (mut number, mut head) = (row.at::<i64>(0)?, row.at::<Vec<u8>>(1)?);
    let at = tools.now().timestamp();
    for entry in entries {
        let Entry {
            actor,
            action,
            subject,
        } = entry;
        number += 1;
        head = link(&head, number, at, *actor, action, subject).to_vec();
        tx.execute(
            "INSERT INTO audit (property, number, at, actor, action, subject, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![property, number, at, *actor, *action, subject, &head],
        )?;
    }
    tx.execute(
        "UPDATE property SET last_audit = ?2, audit_head = ?3 WHERE id = ?1",
        params![property, number, head],
    )?;
    Ok(())
}

/// Walks the chain and says the first number whose hash is wrong.
pub(crate) fn first_break(
    tx: &mut dyn Tx,
    property: PropertyId,
) -> Result<Option<i64>, StoreError> {
    let mut previous = Vec::new();
    let mut after = 0;
    loop {
        let rows = tx.query(
            "SELECT number, at, actor, action, subject, hash FROM audit
             WHERE property = ?1 AND number > ?2 ORDER BY number LIMIT 500",
            params![property, after],
        )?;
        if rows.is_empty() {
            return Ok(None);
        }
        for row in rows {
            let number = row.at(0)?;
            let (action, subject): (String, String) = (row.at(3)?, row.at(4)?);
            let right = link(&previous, number, row.at(1)?, row.at(2)?, &action, &subject);
            previous = row.at(5)?;
            if number != after + 1 || previous != right {
                return Ok(Some(number));
            }
            after = number;
        }
    }
}

fn link(
    previous: &[u8],
    number: i64,
    at: i64,
    actor: Option<PersonId>,
    action: &str,
    subject: &str,
) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(previous);
    context.update(&number.to_be_bytes());
    context.update(&at.to_be_bytes());
    context.update(actor.as_ref().map_or(&[][..], |actor| actor.as_bytes()));
    for text in [action, subject] {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
