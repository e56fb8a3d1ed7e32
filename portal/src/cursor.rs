//! Cursors: opaque outside. A sync's is
//!
//! ```text
//! epoch (4) || number (8) || floor (8) || sight (1) || MAC (8)
//! ```
//!
//! for one property and person. While a first sync runs, `floor` is where the log stood when it began: what was gone by
//! then is not told to somebody who has never seen it. `sight` is what the role lets see; when that changes, the sync
//! begins again. A list's is the last entry's ordinal (8): it shows nothing that its reader may not see anyway.

use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{PersonId, PropertyId};
use ring::hmac;

use crate::auth::secret;

const MAC: usize = 8;

/// How far a sync has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The property's epoch.
    pub epoch: u32,
    /// The last change that was told.
    pub number: i64,
    /// Where the log stood when a first sync began; 0 once that is over.
    pub floor: i64,
    /// What the role lets see.
    pub sight: u8,
}

/// Makes a sync's cursors, that nobody can forge.
pub struct CursorKey(hmac::Key);

impl CursorKey {
    /// With this key, which all instances share.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A cursor as it is handed out to this person.
    #[must_use]
    pub fn write(&self, property: PropertyId, person: PersonId, cursor: Cursor) -> String {
        let mut bytes = cursor.epoch.to_be_bytes().to_vec();
        bytes.extend(cursor.number.to_be_bytes());
        bytes.extend(cursor.floor.to_be_bytes());
        bytes.push(cursor.sight);
        let mac = self.mac(property, person, &bytes);
        bytes.extend(mac);
        Base64(bytes).to_text()
    }

    /// Reads a cursor that was handed out to this person.
    #[must_use]
    pub fn read(&self, property: PropertyId, person: PersonId, text: &str) -> Option<Cursor> {
        let bytes = Base64::from_text(text).ok()?.0;
        let (plain, mac) = bytes.split_last_chunk::<MAC>()?;
        if !secret::same(mac, &self.mac(property, person, plain)) {
            return None;
        }
        let (epoch, rest) = plain.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (floor, rest) = rest.split_first_chunk()?;
        let [sight] = rest else { return None };
        Some(Cursor {
            epoch: u32::from_be_bytes(*epoch),
            number: i64::from_be_bytes(*number),
            floor: i64::from_be_bytes(*floor),
            sight: *sight,
        })
    }

    fn mac(&self, property: PropertyId, person: PersonId, plain: &[u8]) -> [u8; MAC] {
        let message = [&property.0[..], &person.0, plain].concat();
        let mut out = [0; MAC];
        out.copy_from_slice(&hmac::sign(&self.0, &message).as_ref()[..MAC]);
        out
    }
}

/// A list's cursor.
#[must_use]
pub fn write_ordinal(ordinal: i64) -> String {
    Base64(ordinal.to_be_bytes().to_vec()).to_text()
}

/// The ordinal in a list's cursor; none is below 0.
#[must_use]
pub fn read_ordinal(text: &str) -> Option<i64> {
    let bytes = Base64::from_text(text).ok()?;
    bytes
        .to_array()
        .ok()
        .map(i64::from_be_bytes)
        .filter(|ordinal| *ordinal >= 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROPERTY: PropertyId = PropertyId([1; 16]);
    const PERSON: PersonId = PersonId([2; 16]);

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written_by_its_person_alone(
            (epoch, number, floor, sight) in any::<(u32, i64, i64, u8)>(),
            at in 0_usize..39,
            by in 1_u8..64,
        ) {
            let key = CursorKey::new(&[7; 32]);
            let cursor = Cursor { epoch, number, floor, sight };
            let text = key.write(PROPERTY, PERSON, cursor);
            prop_assert_eq!(key.read(PROPERTY, PERSON, &text), Some(cursor));
            prop_assert_eq!(key.read(PropertyId([2; 16]), PERSON, &text), None);
            prop_assert_eq!(key.read(PROPERTY, PersonId([1; 16]), &text), None);
            prop_assert_eq!(CursorKey::new(&[8; 32]).read(PROPERTY, PERSON, &text), None);
            prop_assert_eq!(key.read(PROPERTY, PERSON, &text[1..]), None);
            let mut altered = Base64::from_text(&text).unwrap().0;
            let at = at % altered.len();
            altered[at] ^= by;
            prop_assert_eq!(key.read(PROPERTY, PERSON, &Base64(altered).to_text()), None);
        }

        #[test]
        fn an_ordinal_is_read_as_it_was_written(ordinal in any::<i64>(), text in ".{0,16}") {
            let read = read_ordinal(&write_ordinal(ordinal));
            prop_assert_eq!(read, (ordinal >= 0).then_some(ordinal));
            if let Some(ordinal) = read_ordinal(&text) {
                prop_assert_eq!(write_ordinal(ordinal), text);
            }
        }
    }
}
