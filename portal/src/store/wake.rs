//! What others wait for, told after the commit: within the process, and as text to the other instances.

use std::fmt::Write as _;

use latchkey_protocol::ids::{DoorId, PropertyId};
use serde::{Deserialize, Serialize};

/// Something that others wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wake {
    /// The property's change log grew.
    Changed(PropertyId),
    /// Something was signed for all doors of the property.
    Issued(PropertyId),
    /// Something was signed for this door.
    IssuedTo(PropertyId, DoorId),
    /// Something waits to be sent.
    Outbox,
    /// Doors are ordered to hold more or fewer uses, or some are left that were not.
    Uses(PropertyId),
    /// A pass was used, or what its page shows has changed.
    Guests(PropertyId),
    /// A door has a new line: whoever held an older one lets it go.
    Line(PropertyId, DoorId),
    /// Something may have been missed: everybody looks for themselves.
    Anything,
}

/// One running portal among those that share a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Instance(pub [u8; 8]);

/// A text names no instance: 16 lowercase hex digits would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no instance: its name has 16 lowercase hex digits")]
pub struct NoInstance;

impl TryFrom<String> for Instance {
    type Error = NoInstance;

    fn try_from(text: String) -> Result<Self, NoInstance> {
        let mut id = [0; 8];
        hex::decode_to_slice(&text, &mut id).map_err(|_| NoInstance)?;
        // An instance has one name: channels, and what it knows for its own, go by it.
        let instance = Self(id);
        (instance.to_string() == text)
            .then_some(instance)
            .ok_or(NoInstance)
    }
}

impl From<Instance> for String {
    fn from(instance: Instance) -> Self {
        instance.to_string()
    }
}

impl std::fmt::Display for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The channel on which instances tell each other.
pub(super) const CHANNEL: &str = "latchkey";

/// A notification holds less than 8000 bytes.
pub(crate) const LONGEST_POST: usize = 7900;

/// What another instance says to this one alone, beside the database's rows: it may be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Post {
    /// Words for whoever made them.
    Text(String),
    /// Something may have been lost.
    Broken,
}

impl Instance {
    /// The channel on which it alone listens.
    pub(super) fn channel(self) -> String {
        format!("{CHANNEL}_{self}")
    }
}

/// The statements that tell the other instances, each ended by `; `.
pub(super) fn notifications(channel: &str, from: Instance, wakes: &[Wake]) -> String {
    let mut out = String::new();
    let mut words = String::new();
    for (at, wake) in wakes.iter().enumerate() {
        let _ = write!(words, " {}", wake.word());
        if words.len() > LONGEST_POST - 100 || at + 1 == wakes.len() {
            // Digits, letters, colons and spaces: nothing to escape.
            let _ = write!(out, "NOTIFY {channel}, '{from}{words}'; ");
            words.clear();
        }
    }
    out
}

impl Wake {
    /// What a notification tells; nothing, when it is our own: those wakes have been told at once.
    #[must_use]
    pub fn heard(own: Instance, payload: &str) -> Vec<Self> {
        let mut words = payload.split(' ');
        if words.next() == Some(own.to_string().as_str()) {
            return Vec::new();
        }
        words.map(Self::of_word).collect()
    }

    /// As one word of a notification.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::Changed(property) => format!("changed:{property}"),
            Self::Issued(property) => format!("issued:{property}"),
            Self::IssuedTo(property, door) => format!("issued-to:{property}:{door}"),
            Self::Outbox => "outbox".to_owned(),
            Self::Uses(property) => format!("uses:{property}"),
            Self::Guests(property) => format!("guests:{property}"),
            Self::Line(property, door) => format!("line:{property}:{door}"),
            Self::Anything => "anything".to_owned(),
        }
    }

    /// What a word says. One that a newer portal knows and this one does not may concern anybody.
    fn of_word(word: &str) -> Self {
        let property = |id: &str| id.parse().ok();
        let door = |ids: &str| {
            let (id, door) = ids.split_once(':')?;
            Some((property(id)?, door.parse().ok()?))
        };
        match word.split_once(':') {
            Some(("changed", id)) => property(id).map(Self::Changed),
            Some(("issued", id)) => property(id).map(Self::Issued),
            Some(("uses", id)) => property(id).map(Self::Uses),
            Some(("guests", id)) => property(id).map(Self::Guests),
            Some(("issued-to", ids)) => door(ids).map(|(id, door)| Self::IssuedTo(id, door)),
            Some(("line", ids)) => door(ids).map(|(id, door)| Self::Line(id, door)),
            None if word == "outbox" => Some(Self::Outbox),
            _ => None,
        }
        .unwrap_or(Self::Anything)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: Instance = Instance([1; 8]);
    const THERE: Instance = Instance([2; 8]);

    fn payloads(statements: &str) -> Vec<&str> {
        let told = statements.split("NOTIFY latchkey, '").skip(1);
        told.map(|rest| rest.split('\'').next().unwrap()).collect()
    }

    #[test]
    fn what_is_told_is_heard_elsewhere_and_not_by_oneself() {
        let property = PropertyId([7; 16]);
        let all = [
            Wake::Changed(property),
            Wake::Issued(property),
            Wake::IssuedTo(property, DoorId([9; 12])),
            Wake::Outbox,
            Wake::Uses(property),
            Wake::Guests(property),
            Wake::Line(property, DoorId([9; 12])),
            Wake::Anything,
        ];
        let told = notifications(CHANNEL, HERE, &all);
        let [payload] = payloads(&told)[..] else {
            panic!("{told}")
        };
        assert_eq!(Wake::heard(THERE, payload), all);
        assert_eq!(Wake::heard(HERE, payload), []);
        assert_eq!(notifications(CHANNEL, HERE, &[]), "");
    }

    #[test]
    fn what_is_too_much_for_one_notification_goes_in_several() {
        let many: Vec<Wake> = (0..=255)
            .map(|n| Wake::Changed(PropertyId([n; 16])))
            .collect();
        let told = notifications(CHANNEL, HERE, &many);
        let payloads = payloads(&told);
        assert!(payloads.len() > 1);
        assert!(payloads.iter().all(|payload| payload.len() < 8000));
        let heard: Vec<Wake> = payloads
            .iter()
            .flat_map(|payload| Wake::heard(THERE, payload))
            .collect();
        assert_eq!(heard, many);
    }

    #[test]
    fn an_unknown_word_wakes_everybody() {
        for word in ["", "changed", "changed:07", "later:00", "outbox:"] {
            assert_eq!(Wake::of_word(word), Wake::Anything, "{word}");
        }
    }

    #[test]
    fn an_instance_has_one_name() {
        let instance = |name: &str| Instance::try_from(name.to_owned());
        let named = Instance([0x0a, 0xb0, 0x5e, 0x4d, 0xc0, 0x10, 0xab, 0x05]);
        assert_eq!(instance("0ab05e4dc010ab05"), Ok(named));
        assert_eq!(instance("0ab05e4Dc010ab05"), Err(NoInstance));
        assert_eq!(instance("0ab05e4dc010ab"), Err(NoInstance));
    }

    proptest! {
        #[test]
        fn whatever_is_told_is_read(payload in ".*") {
            let heard = Wake::heard(HERE, &payload);
            prop_assert!(heard.len() <= payload.len());
        }
    }
}
