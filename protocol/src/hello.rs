//! The first bytes on a stream (TCP, or the portal's relay). Over radio, the phone reads the door's
//! versions from a GATT characteristic and writes the chosen one; on a stream this exchange stands for it.
//!
//! Client: `"LATCHKEY" || n (1) || n versions (2 each) || door (12)`.
//! Server: `"LATCHKEY" || status (1) || selected version (2) || n (1) || n versions (2 each)`.
//! Numbers are big-endian. After a server hello with status 0, Aliro's messages follow in both directions.

use crate::ids::DoorId;

/// Both hellos begin with it.
pub const MAGIC: &[u8; 8] = b"LATCHKEY";

/// Aliro's version that we speak (its first, 1.0), as BLE's GATT exchange numbers it.
pub const ALIRO_1_0: u16 = 0x0100;

/// The versions that this build speaks, newest first.
pub const SUPPORTED: &[u16] = &[ALIRO_1_0];

/// Aliro's interface byte for a direct stream. The standard has 5E for NFC and C3 for BLE; the byte goes
/// into the key schedule, so what was said on one carrier means nothing on another.
pub const INTERFACE_STREAM: u8 = 0xD1;

/// Aliro's interface byte for a stream through the portal's relay.
pub const INTERFACE_RELAY: u8 = 0xD2;

/// Most versions that either side names.
pub const MAX_VERSIONS: usize = 16;

/// What the phone says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// Versions that it speaks, newest first; one to [`MAX_VERSIONS`].
    pub versions: Vec<u16>,
    /// The door it wants.
    pub door: DoorId,
}

/// What the door answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHello {
    /// Whether it goes on.
    pub answer: Answer,
    /// All versions that the door offers, in its order: the salt of the BLE-style keys holds them all.
    pub offered: Vec<u16>,
}

/// Whether a door goes on after the hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// With this version.
    Go {
        /// One that both speak.
        version: u16,
    },
    /// All that the phone speaks is older than anything that the door does: *update the app*.
    PhoneTooOld,
    /// All that the door speaks is older: *this door needs an update*.
    DoorTooOld,
    /// No such door behind this address.
    NoSuchDoor,
}

/// What came of reading the start of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed<T> {
    /// A whole hello, and how many bytes it took.
    Whole(T, usize),
    /// Good so far; at least this many bytes in all are needed before it is worth trying again.
    Needs(usize),
}

/// The other side does not speak this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other side does not speak Latchkey's protocol")]
pub struct NotLatchkey;

impl ClientHello {
    /// A hello with all versions of this build.
    #[must_use]
    pub fn to(door: DoorId) -> Self {
        Self {
            versions: SUPPORTED.to_vec(),
            door,
        }
    }

    /// The bytes. Versions beyond [`MAX_VERSIONS`] are left out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        push_versions(&mut out, &self.versions);
        out.extend_from_slice(self.door.as_bytes());
        out
    }

    /// Reads a hello from the start of what has come so far.
    ///
    /// # Errors
    /// [`NotLatchkey`] as soon as the bytes cannot become one.
    pub fn parse(bytes: &[u8]) -> Result<Parsed<Self>, NotLatchkey> {
        let Some(rest) = after_magic(bytes)? else {
            return Ok(Parsed::Needs(9));
        };
        let Some((versions, rest)) = take_versions(rest)? else {
            return Ok(Parsed::Needs(
                9 + 2 * rest.first().map_or(1, |n| usize::from(*n)) + DoorId::LEN,
            ));
        };
        if versions.is_empty() {
            return Err(NotLatchkey);
        }
        let used = 9 + 2 * versions.len() + DoorId::LEN;
        match rest.get(..DoorId::LEN).map(DoorId::from_slice) {
            Some(Ok(door)) => Ok(Parsed::Whole(Self { versions, door }, used)),
            _ => Ok(Parsed::Needs(used)),
        }
    }

    /// What a door that speaks `offered` (newest first) answers.
    #[must_use]
    pub fn answer(&self, offered: &[u16], this_door: DoorId) -> ServerHello {
        let common = offered
            .iter()
            .find(|version| self.versions.contains(version));
        let answer = match common {
            _ if self.door != this_door => Answer::NoSuchDoor,
            Some(version) => Answer::Go { version: *version },
            None if self.versions.iter().max() < offered.iter().max() => Answer::PhoneTooOld,
            None => Answer::DoorTooOld,
        };
        ServerHello {
            answer,
            offered: offered.to_vec(),
        }
    }
}

impl ServerHello {
    /// The bytes. Versions beyond [`MAX_VERSIONS`] are left out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (status, version) = match self.answer {
            Answer::Go { version } => (0, version),
            Answer::PhoneTooOld => (1, 0),
            Answer::DoorTooOld => (2, 0),
            Answer::NoSuchDoor => (3, 0),
        };
        let mut out = MAGIC.to_vec();
        out.push(status);
        out.extend_from_slice(&version.to_be_bytes());
        push_versions(&mut out, &self.offered);
        out
    }

    /// Reads a hello from the start of what has come so far. The version that it selects is among those
    /// that it offers; that it is one of ours remains to be checked with [`Self::accept`].
    ///
    /// # Errors
    /// [`NotLatchkey`] as soon as the bytes cannot become one.
    pub fn parse(bytes: &[u8]) -> Result<Parsed<Self>, NotLatchkey> {
        let Some(rest) = after_magic(bytes)? else {
            return Ok(Parsed::Needs(12));
        };
        let [status, high, low, rest @ ..] = rest else {
            return Ok(Parsed::Needs(12));
        };
        let version = u16::from_be_bytes([*high, *low]);
        let Some((offered, _)) = take_versions(rest)? else {
            return Ok(Parsed::Needs(
                12 + 2 * rest.first().map_or(0, |n| usize::from(*n)),
            ));
        };
        let answer = match (status, version) {
            (0, version) if offered.contains(&version) => Answer::Go { version },
            (1, 0) => Answer::PhoneTooOld,
            (2, 0) => Answer::DoorTooOld,
            (3, 0) => Answer::NoSuchDoor,
            _ => return Err(NotLatchkey),
        };
        let used = 12 + 2 * offered.len();
        Ok(Parsed::Whole(Self { answer, offered }, used))
    }

    /// What the phone makes of the answer to its hello.
    ///
    /// # Errors
    /// [`NotLatchkey`] when the door selected a version that was not asked for.
    pub fn accept(&self, hello: &ClientHello) -> Result<Answer, NotLatchkey> {
        match self.answer {
            Answer::Go { version } if !hello.versions.contains(&version) => Err(NotLatchkey),
            answer => Ok(answer),
        }
    }
}

fn push_versions(out: &mut Vec<u8>, versions: &[u16]) {
    let versions = &versions[..versions.len().min(MAX_VERSIONS)];
    out.push(u8::try_from(versions.len()).unwrap_or_default());
    for version in versions {
        out.extend_from_slice(&version.to_be_bytes());
    }
}

/// What follows the magic, or nothing while that is still incomplete.
fn after_magic(bytes: &[u8]) -> Result<Option<&[u8]>, NotLatchkey> {
    match bytes.strip_prefix(MAGIC.as_slice()) {
        Some(rest) => Ok(Some(rest)),
        None if MAGIC.starts_with(bytes) => Ok(None),
        None => Err(NotLatchkey),
    }
}

/// Counted versions, and what follows them.
type Versions<'a> = (Vec<u16>, &'a [u8]);

/// The counted versions at the start, or nothing while they are incomplete.
fn take_versions(bytes: &[u8]) -> Result<Option<Versions<'_>>, NotLatchkey> {
    let [count, rest @ ..] = bytes else {
        return Ok(None);
    };
    let count = usize::from(*count);
    if count > MAX_VERSIONS {
        return Err(NotLatchkey);
    }
    let Some((versions, rest)) = rest.split_at_checked(2 * count) else {
        return Ok(None);
    };
    let versions = versions
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    Ok(Some((versions.collect(), rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DOOR: DoorId = DoorId([3; 12]);

    #[test]
    fn the_newest_common_version_is_taken() {
        let hello = ClientHello {
            versions: vec![0x0300, 0x0200, 0x0100],
            door: DOOR,
        };
        let answer = hello.answer(&[0x0400, 0x0200, 0x0100], DOOR);
        assert_eq!(answer.answer, Answer::Go { version: 0x0200 });
        assert_eq!(answer.accept(&hello), Ok(Answer::Go { version: 0x0200 }));
    }

    #[test]
    fn versions_apart_say_which_side_is_too_old() {
        let hello = ClientHello {
            versions: vec![0x0200],
            door: DOOR,
        };
        assert_eq!(hello.answer(&[0x0300], DOOR).answer, Answer::PhoneTooOld);
        assert_eq!(hello.answer(&[0x0100], DOOR).answer, Answer::DoorTooOld);
        assert_eq!(
            hello.answer(&[0x0200], DoorId([4; 12])).answer,
            Answer::NoSuchDoor
        );
    }

    #[test]
    fn a_version_that_was_not_asked_for_is_refused() {
        let hello = ClientHello {
            versions: vec![0x0200],
            door: DOOR,
        };
        let answer = ServerHello {
            answer: Answer::Go { version: 0x0100 },
            offered: vec![0x0100],
        };
        assert_eq!(answer.accept(&hello), Err(NotLatchkey));
        let mut unoffered = answer.to_bytes();
        unoffered[9] = 9;
        assert_eq!(ServerHello::parse(&unoffered), Err(NotLatchkey));
    }

    #[test]
    fn other_protocols_are_told_apart_at_once() {
        assert_eq!(ClientHello::parse(b"GET / HTTP/1.1\r\n"), Err(NotLatchkey));
        assert_eq!(ServerHello::parse(b"LATCHKEX"), Err(NotLatchkey));
        assert_eq!(ClientHello::parse(b"LATCHKEY\x01"), Ok(Parsed::Needs(23)));
        assert_eq!(ClientHello::parse(b"LATCHKEY\xff"), Err(NotLatchkey));
    }

    proptest! {
        #[test]
        fn hellos_read_back_however_they_arrive(
            versions in proptest::collection::vec(any::<u16>(), 1..=MAX_VERSIONS),
            status in 0u8..4, behind in any::<Vec<u8>>(),
        ) {
            let client = ClientHello { versions: versions.clone(), door: DOOR };
            let bytes = client.to_bytes();
            for end in 0..bytes.len() {
                let Ok(Parsed::Needs(more)) = ClientHello::parse(&bytes[..end]) else {
                    return Err(TestCaseError::fail("a part is not a whole"));
                };
                prop_assert!(more > end && more <= bytes.len());
            }
            let stream = [&bytes[..], &behind].concat();
            prop_assert_eq!(ClientHello::parse(&stream), Ok(Parsed::Whole(client, bytes.len())));

            let answer = match status {
                0 => Answer::Go { version: versions[0] },
                1 => Answer::PhoneTooOld,
                2 => Answer::DoorTooOld,
                _ => Answer::NoSuchDoor,
            };
            let server = ServerHello { answer, offered: versions };
            let bytes = server.to_bytes();
            for end in 0..bytes.len() {
                let Ok(Parsed::Needs(more)) = ServerHello::parse(&bytes[..end]) else {
                    return Err(TestCaseError::fail("a part is not a whole"));
                };
                prop_assert!(more > end && more <= bytes.len());
            }
            let stream = [&bytes[..], &behind].concat();
            prop_assert_eq!(ServerHello::parse(&stream), Ok(Parsed::Whole(server, bytes.len())));
        }

        #[test]
        fn any_bytes_are_answered(bytes in any::<Vec<u8>>()) {
            let _ = ClientHello::parse(&bytes);
            let _ = ServerHello::parse(&bytes);
        }
    }
}
