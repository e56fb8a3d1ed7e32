//! The mailbox: up to 64 KiB that a device keeps for a credential, which
//! readers read and write by EXCHANGE (tag BA).
//!
//! Changes are atomic. A request with [`Session::Ends`] applies what it brings
//! at once, together with what open sessions staged; one with
//! [`Session::GoesOn`] stages its changes. Reads always return
//! what was committed before the request. Whatever interrupts an open session
//! drops its stage.

use crate::crypto::PublicKey;
use crate::tlv::{self, Tag, TlvError};

const SESSION: Tag = 0x8c;
const READ: Tag = 0x87;
const WRITE: Tag = 0x8a;
const SET: Tag = 0x95;

/// Most bytes that one answer carries.
const MAX_READ: usize = 0xfe00;

/// Whether an atomic session goes on after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Commit this request's changes and all that were staged.
    Ends,
    /// Stage this request's changes.
    GoesOn,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Return `length` bytes.
    Read {
        /// Where from.
        offset: u16,
        /// How many.
        length: u16,
    },
    /// Overwrite.
    Write {
        /// Where from.
        offset: u16,
        /// With what.
        data: Vec<u8>,
    },
    /// Fill.
    Set {
        /// Where from.
        offset: u16,
        /// How many bytes.
        length: u16,
        /// With what.
        value: u8,
    },
}

/// The mailbox part of an EXCHANGE. Operations are carried out in their order
/// (sources disagree about overlapping writes and sets: avoid them).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whether the atomic session goes on.
    pub session: Session,
    /// What to do.
    pub operations: Vec<Operation>,
}

impl Request {
    /// The number of reads: so many pieces come back.
    pub fn reads(&self) -> usize {
        let reads = self.operations.iter();
        reads
            .filter(|operation| matches!(operation, Operation::Read { .. }))
            .count()
    }

    /// The value of tag BA.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let session = u8::from(self.session == Session::GoesOn);
        tlv::push(&mut out, SESSION, &[session]);
        for operation in &self.operations {
            match operation {
                Operation::Read { offset, length } => {
                    let value = [offset.to_be_bytes(), length.to_be_bytes()].concat();
                    tlv::push(&mut out, READ, &value);
                }
                Operation::Write { offset, data } => {
                    let value = [&offset.to_be_bytes()[..], data].concat();
                    tlv::push(&mut out, WRITE, &value);
                }
                Operation::Set {
                    offset,
                    length,
                    value,
                } => {
                    let [o1, o2] = offset.to_be_bytes();
                    let [l1, l2] = length.to_be_bytes();
                    tlv::push(&mut out, SET, &[o1, o2, l1, l2, *value]);
                }
            }
        }
        out
    }

    /// Reads the value of tag BA. Unknown tags are skipped.
    ///
    /// # Errors
    /// [`TlvError`]; the session flag must come first.
    pub fn parse(value: &[u8]) -> Result<Self, TlvError> {
        let (tag, flag, mut rest) = tlv::split_first(value)?;
        let session = match (tag, flag) {
            (SESSION, [0]) => Session::Ends,
            (SESSION, [1]) => Session::GoesOn,
            (SESSION, _) => return Err(TlvError::Length(SESSION)),
            _ => return Err(TlvError::Missing(SESSION)),
        };
        let mut operations = Vec::new();
        while !rest.is_empty() {
            let (tag, value, after) = tlv::split_first(rest)?;
            rest = after;
            operations.push(match (tag, value) {
                (READ, &[o1, o2, l1, l2]) => Operation::Read {
                    offset: u16::from_be_bytes([o1, o2]),
                    length: u16::from_be_bytes([l1, l2]),
                },
                (WRITE, [o1, o2, data @ ..]) => Operation::Write {
                    offset: u16::from_be_bytes([*o1, *o2]),
                    data: data.to_vec(),
                },
                (SET, &[o1, o2, l1, l2, value]) => Operation::Set {
                    offset: u16::from_be_bytes([o1, o2]),
                    length: u16::from_be_bytes([l1, l2]),
                    value,
                },
                (SESSION, _) => return Err(TlvError::Order(SESSION)),
                (READ | WRITE | SET, _) => return Err(TlvError::Length(tag)),
                _ => continue,
            });
        }
        Ok(Self {
            session,
            operations,
        })
    }
}

/// A credential's mailbox as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// All of it: its length is the mailbox's size, which never changes.
    pub bytes: Vec<u8>,
    /// Whether readers may read.
    pub readable: bool,
    /// Whether readers may write.
    pub writable: bool,
}

/// Where a device keeps its mailboxes.
///
/// Called inside the engines' methods, so it must not call back into them.
pub trait Mailboxes: Send + Sync {
    /// The credential's mailbox, if it has one.
    fn load(&self, credential: &PublicKey) -> Option<Content>;

    /// Replaces the whole content, durably or not at all.
    ///
    /// # Errors
    /// [`NotStored`]: the reader is told that nothing was done.
    fn store(&self, credential: &PublicKey, bytes: &[u8]) -> Result<(), NotStored>;
}

/// A mailbox could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mailbox could not be written")]
pub struct NotStored;

/// A request was refused as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mailbox request was refused")]
pub struct Refused;

/// What an atomic session has staged, during one transaction.
#[derive(Debug, Default)]
pub struct Stage(Option<Vec<u8>>);

impl Stage {
    /// Carries a request out: everything is checked before anything is done. A
    /// refusal drops what was staged.
    ///
    /// # Errors
    /// [`Refused`]: no mailbox, no right, out of bounds, or not stored.
    pub fn carry_out(
        &mut self,
        request: &Request,
        mailboxes: &dyn Mailboxes,
        credential: &PublicKey,
    ) -> Result<Vec<Vec<u8>>, Refused> {
        let staged = self.0.take();
        let content = mailboxes.load(credential).ok_or(Refused)?;
        check(request, &content)?;
        let mut next = staged.unwrap_or_else(|| content.bytes.clone());
        let mut read = Vec::new();
        for operation in &request.operations {
            match operation {
                Operation::Read { offset, length } => {
                    read.push(content.bytes[span(*offset, usize::from(*length))].to_vec());
                }
                Operation::Write { offset, data } => {
                    next[span(*offset, data.len())].copy_from_slice(data);
                }
                Operation::Set {
                    offset,
                    length,
                    value,
                } => next[span(*offset, usize::from(*length))].fill(*value),
            }
        }
        match request.session {
            Session::GoesOn => self.0 = Some(next),
            Session::Ends if next != content.bytes => {
                mailboxes.store(credential, &next).map_err(|_| Refused)?;
            }
            Session::Ends => {}
        }
        Ok(read)
    }
}

fn check(request: &Request, content: &Content) -> Result<(), Refused> {
    let mut total = 0;
    for operation in &request.operations {
        let (allowed, span) = match operation {
            Operation::Read { offset, length } => {
                total += usize::from(*length) + 2;
                (content.readable, span(*offset, usize::from(*length)))
            }
            Operation::Write { offset, data } => (content.writable, span(*offset, data.len())),
            Operation::Set { offset, length, .. } => {
                (content.writable, span(*offset, usize::from(*length)))
            }
        };
        if !allowed || span.end > content.bytes.len() || total > MAX_READ {
            return Err(Refused);
        }
    }
    Ok(())
}

fn span(offset: u16, length: usize) -> std::ops::Range<usize> {
    let start = usize::from(offset);
    start..start + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Mutex;

    struct One(Mutex<Content>);

    impl Mailboxes for One {
        fn load(&self, _: &PublicKey) -> Option<Content> {
            Some(self.0.lock().unwrap().clone())
        }

        fn store(&self, _: &PublicKey, bytes: &[u8]) -> Result<(), NotStored> {
            self.0.lock().unwrap().bytes = bytes.to_vec();
            Ok(())
        }
    }

    fn one() -> One {
        One(Mutex::new(Content {
            bytes: vec![0; 64],
            readable: true,
            writable: true,
        }))
    }

    fn key() -> PublicKey {
        use p256::elliptic_curve::sec1::ToSec1Point;
        let secret = p256::SecretKey::from_slice(&[1; 32]).unwrap();
        let point = secret.public_key().to_sec1_point(false);
        PublicKey::from_uncompressed(point.as_bytes()).unwrap()
    }

    fn request(session: Session, operations: Vec<Operation>) -> Request {
        Request {
            session,
            operations,
        }
    }

    fn write(offset: u16, data: &[u8]) -> Operation {
        Operation::Write {
            offset,
            data: data.to_vec(),
        }
    }

    fn read(offset: u16, length: u16) -> Operation {
        Operation::Read { offset, length }
    }

    #[test]
    fn old_data_is_visible_until_the_session_ends() {
        let (boxes, key, mut stage) = (one(), key(), Stage::default());
        let mut run =
            |session, operations| stage.carry_out(&request(session, operations), &boxes, &key);
        let staged = run(Session::GoesOn, vec![write(0, b"ab"), read(0, 2)]);
        assert_eq!(staged, Ok(vec![vec![0, 0]]));
        let closing = run(Session::Ends, vec![write(2, b"cd"), read(0, 4)]);
        assert_eq!(closing, Ok(vec![vec![0; 4]]));
        assert_eq!(
            run(Session::Ends, vec![read(0, 4)]),
            Ok(vec![b"abcd".to_vec()])
        );
    }

    #[test]
    fn a_refusal_does_nothing_and_drops_the_stage() {
        let (boxes, key, mut stage) = (one(), key(), Stage::default());
        let mut run =
            |session, operations| stage.carry_out(&request(session, operations), &boxes, &key);
        run(Session::GoesOn, vec![write(0, b"staged")]).unwrap();
        let beyond = run(Session::Ends, vec![write(10, b"good"), read(60, 5)]);
        assert_eq!(beyond, Err(Refused));
        run(Session::Ends, vec![]).unwrap();
        assert_eq!(boxes.0.lock().unwrap().bytes, vec![0; 64]);
    }

    #[test]
    fn rights_are_kept() {
        let (boxes, key) = (one(), key());
        boxes.0.lock().unwrap().writable = false;
        let run = |operation| {
            let request = request(Session::Ends, vec![operation]);
            Stage::default().carry_out(&request, &boxes, &key)
        };
        assert_eq!(run(write(0, b"x")), Err(Refused));
        assert_eq!(run(read(0, 1)), Ok(vec![vec![0]]));
        boxes.0.lock().unwrap().readable = false;
        assert_eq!(run(read(0, 1)), Err(Refused));
    }

    #[test]
    fn what_changes_nothing_is_not_stored() {
        struct Full;
        impl Mailboxes for Full {
            fn load(&self, _: &PublicKey) -> Option<Content> {
                Some(one().0.into_inner().unwrap())
            }

            fn store(&self, _: &PublicKey, _: &[u8]) -> Result<(), NotStored> {
                Err(NotStored)
            }
        }
        let run = |operation| {
            let request = request(Session::Ends, vec![operation]);
            Stage::default().carry_out(&request, &Full, &key())
        };
        assert_eq!(run(read(0, 1)), Ok(vec![vec![0]]));
        assert_eq!(run(write(0, &[0])), Ok(vec![]));
        assert_eq!(run(write(0, &[1])), Err(Refused));
    }

    #[test]
    fn reads_fit_into_one_answer_with_their_lengths() {
        let (boxes, key) = (one(), key());
        boxes.0.lock().unwrap().bytes = vec![0; 0x10000];
        let fit = |lengths: &[u16]| {
            let reads = lengths.iter().map(|length| read(0, *length)).collect();
            let request = request(Session::Ends, reads);
            Stage::default().carry_out(&request, &boxes, &key).is_ok()
        };
        assert!(fit(&[0xfdfe]) && fit(&[0xfd00, 0xfc]));
        assert!(!fit(&[0xfdff]) && !fit(&[0xfd00, 0xfd]));
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_reason() {
        let parse = |value: &[u8]| Request::parse(value);
        assert_eq!(parse(&[0x8c, 1, 2]), Err(TlvError::Length(SESSION)));
        assert_eq!(parse(&[0x87, 1, 0]), Err(TlvError::Missing(SESSION)));
        let twice = [0x8c, 1, 0, 0x8c, 1, 0];
        assert_eq!(parse(&twice), Err(TlvError::Order(SESSION)));
        for tag in [READ, WRITE, SET] {
            let short = [0x8c, 1, 0, tag as u8, 1, 0];
            assert_eq!(parse(&short), Err(TlvError::Length(tag)));
        }
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            (0u16..80, 0u16..80).prop_map(|(offset, length)| Operation::Read { offset, length }),
            (0u16..80, prop::collection::vec(any::<u8>(), 0..20))
                .prop_map(|(offset, data)| Operation::Write { offset, data }),
            (0u16..80, 0u16..80, any::<u8>()).prop_map(|(offset, length, value)| {
                Operation::Set {
                    offset,
                    length,
                    value,
                }
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            goes_on in any::<bool>(), operations in prop::collection::vec(operation(), 0..5),
        ) {
            let session = if goes_on { Session::GoesOn } else { Session::Ends };
            let request = request(session, operations);
            prop_assert_eq!(Request::parse(&request.encode()), Ok(request));
        }

        #[test]
        fn a_session_is_the_same_as_one_request(
            requests in prop::collection::vec(prop::collection::vec(operation(), 0..4), 1..5),
        ) {
            let (boxes, key, mut stage) = (one(), key(), Stage::default());
            let mut refused = false;
            let last = requests.len() - 1;
            for (number, operations) in requests.iter().enumerate() {
                let session = if number == last { Session::Ends } else { Session::GoesOn };
                let request = request(session, operations.clone());
                refused |= stage.carry_out(&request, &boxes, &key).is_err();
            }
            if !refused {
                let (other, mut fresh) = (one(), Stage::default());
                let all = request(Session::Ends, requests.concat());
                fresh.carry_out(&all, &other, &key).unwrap();
                prop_assert_eq!(&*boxes.0.lock().unwrap(), &*other.0.lock().unwrap());
            }
        }

        #[test]
        fn parser_never_panics(bytes in any::<Vec<u8>>()) {
            if let Ok(request) = Request::parse(&bytes) {
                let _ = Stage::default().carry_out(&request, &one(), &key());
            }
        }
    }
}
