//! Proof of withdrawal: at which doors a withdrawn key is dead, by their own signatures.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::keys::{Withdrawal, WithdrawalAtDoor};
use latchkey_protocol::ids::{KeyId, PropertyId};

use super::{door, door_state, key};
use crate::store::{StoreError, Tx, params};

/// What a key's withdrawal has reached; none for a key that stands.
pub(crate) fn of_key(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: KeyId,
) -> Result<Option<Withdrawal>, StoreError> {
    let Some(key) = key::load(tx, property, id)? else {
        return Ok(None);
    };
    let Some(withdrawn_at) = key.withdrawn_at else {
        return Ok(None);
    };
    let list = last_list(tx, property, id)?;
    let named = key::named_doors(tx, property, id)?;
    let mut doors = Vec::new();
    for door in door::all(tx, property)? {
        if !key.all_doors && !named.contains(&door.id) {
            continue;
        }
        let dead_at: Option<DateTime<Utc>> = match list {
            // No phone and no page ever had anything of it.
            None => Some(withdrawn_at),
            Some((epoch, version)) => {
                door_state::list_seen_at(tx, property, door.id, epoch, version)?
            }
        };
        doors.push(WithdrawalAtDoor {
            door: door.id,
            dead_at,
            last_contact: door.last_contact,
        });
    }
    Ok(Some(Withdrawal {
        withdrawn_at,
        doors,
    }))
}

/// The last list that something of this key was put on.
fn last_list(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: KeyId,
) -> Result<Option<(u32, u64)>, StoreError> {
    tx.first(
        "SELECT epoch, version FROM revoked WHERE property = ?1 AND key_id = ?2
         ORDER BY epoch DESC, version DESC LIMIT 1",
        params![property, key],
    )?
    .map(|row| Ok((row.at(0)?, row.at(1)?)))
    .transpose()
}
