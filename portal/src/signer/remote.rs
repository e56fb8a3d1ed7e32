//! A signer that is a process of its own, as a portal asks it. Calls block: they are made within transactions, on the
//! store's threads.
//!
//! A connection that has rested may be one to a process that is gone. What was asked on it and not answered is asked
//! once more on a new one, where that does no harm: [signing again](super) a number that is not confirmed leaves nothing
//! behind but a signature that nobody has seen, and what is confirmed or kept twice is so once. Making keys and beginning
//! an epoch always go on a new connection, and are never repeated.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aliro::crypto::PublicKey;
use latchkey_protocol::doorlog::Receipt;
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::ids::{DoorId, Generation, PropertyId};
use latchkey_protocol::pass::Pass;
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::statement::{Addressee, Body};

use super::wire::{self, Answer, FrameError, Hello, Request};
use super::{
    Begun, BundleDraft, GrantDraft, PublicKeys, Series, SignedBundle, SignedGrant, Signer,
    SignerError, Standing,
};

/// How long an answer is waited for: a transaction waits with it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections that are kept for the next calls.
const KEPT: usize = 16;

/// The signer at a Unix socket.
pub(crate) struct RemoteSigner {
    socket: PathBuf,
    resting: Mutex<Vec<UnixStream>>,
}

impl RemoteSigner {
    /// Finds the signer at its socket.
    ///
    /// # Errors
    /// [`SignerError::Unreachable`] when nobody answers there, or one of another version.
    pub(crate) fn connect(socket: &Path) -> Result<Self, SignerError> {
        let signer = Self {
            socket: socket.to_owned(),
            resting: Mutex::default(),
        };
        let stream = signer.open()?;
        signer.resting().push(stream);
        Ok(signer)
    }

    fn resting(&self) -> MutexGuard<'_, Vec<UnixStream>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<UnixStream, SignerError> {
        let failed = |error: io::Error| self.unreachable(&error);
        let mut stream = UnixStream::connect(&self.socket).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let own = Hello {
            version: wire::VERSION,
        };
        let hello = wire::encode(&own).map_err(|error| self.unreachable(&error))?;
        let said = exchange(&mut stream, &hello).map_err(failed)?;
        let said: Hello = wire::decode(&said).map_err(|error| self.unreachable(&error))?;
        if said != own {
            return Err(self.unreachable(&format_args!(
                "it speaks version {}, and this portal {}: run both of one release",
                said.version, own.version
            )));
        }
        Ok(stream)
    }

    fn unreachable(&self, why: &dyn std::fmt::Display) -> SignerError {
        SignerError::Unreachable(format!("{}: {why}", self.socket.display()))
    }

    fn ask(&self, request: &Request) -> Result<Answer, SignerError> {
        let frame = wire::encode(request).map_err(|error| match (request, error) {
            // The portal makes room.
            (Request::RevocationList { .. }, FrameError::TooLong(_)) => SignerError::ListTooLong,
            (_, error) => SignerError::NotSignable(error.to_string()),
        })?;
        let rested = match request.is_for_operators() {
            true => None,
            false => self.resting().pop(),
        };
        if let Some(mut stream) = rested {
            match exchange(&mut stream, &frame) {
                Ok(answer) => return self.answered(stream, &answer),
                // It is there, and slow.
                Err(error) if is_late(&error) => return Err(self.unreachable(&error)),
                // The others are as old.
                Err(_) => self.resting().clear(),
            }
        }
        let mut stream = self.open()?;
        let answer = exchange(&mut stream, &frame).map_err(|error| self.unreachable(&error))?;
        self.answered(stream, &answer)
    }

    fn answered(&self, stream: UnixStream, answer: &[u8]) -> Result<Answer, SignerError> {
        let answer = wire::decode(answer).map_err(|error| self.unreachable(&error))?;
        let mut resting = self.resting();
        if resting.len() < KEPT {
            resting.push(stream);
        }
        match answer {
            Answer::Refused(error) => Err(error),
            answer => Ok(answer),
        }
    }

    fn asked<T>(
        &self,
        request: &Request,
        belongs: impl FnOnce(Answer) -> Option<T>,
    ) -> Result<T, SignerError> {
        let answer = belongs(self.ask(request)?);
        answer.ok_or_else(|| self.unreachable(&"it answered something else"))
    }

    fn signed(&self, request: &Request) -> Result<Vec<u8>, SignerError> {
        self.asked(request, |answer| match answer {
            Answer::Signed(bytes) => Some(bytes),
            _ => None,
        })
    }

    fn done(&self, request: &Request) -> Result<(), SignerError> {
        self.asked(request, |answer| (answer == Answer::Done).then_some(()))
    }
}

fn exchange(stream: &mut UnixStream, frame: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(frame)?;
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let length = wire::length(head).map_err(io::Error::other)?;
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn is_late(error: &io::Error) -> bool {
    // A socket's timeout is one or the other.
    let late = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
    late.contains(&error.kind())
}

impl Signer for RemoteSigner {
    fn create(&self, property: PropertyId) -> Result<PublicKeys, SignerError> {
        let request = Request::Create { property };
        self.asked(&request, |answer| match answer {
            Answer::Keys(keys) => Some(keys),
            _ => None,
        })
    }

    fn standing(&self, property: PropertyId) -> Result<Standing, SignerError> {
        let request = Request::Standing { property };
        self.asked(&request, |answer| match answer {
            Answer::Standing(standing) => Some(standing),
            _ => None,
        })
    }

    fn begin_epoch(&self, property: PropertyId) -> Result<Begun, SignerError> {
        let request = Request::BeginEpoch { property };
        self.asked(&request, |answer| match answer {
            Answer::Begun(begun) => Some(begun),
            _ => None,
        })
    }

    fn statement(
        &self,
        property: PropertyId,
        addressee: Addressee,
        number: u64,
        body: Body,
    ) -> Result<Vec<u8>, SignerError> {
        self.signed(&Request::Statement {
            property,
            addressee,
            number,
            body,
        })
    }

    fn pass(&self, property: PropertyId, pass: &Pass) -> Result<Vec<u8>, SignerError> {
        let pass = pass.clone();
        self.signed(&Request::Pass { property, pass })
    }

    fn time(
        &self,
        property: PropertyId,
        door: DoorId,
        nonce: [u8; 16],
    ) -> Result<Vec<u8>, SignerError> {
        self.signed(&Request::Time {
            property,
            door,
            nonce,
        })
    }

    fn grant(&self, property: PropertyId, draft: GrantDraft) -> Result<SignedGrant, SignerError> {
        let request = Request::Grant { property, draft };
        self.asked(&request, |answer| match answer {
            Answer::Grant(grant) => Some(grant),
            _ => None,
        })
    }

    fn revocation_list(
        &self,
        property: PropertyId,
        version: u64,
        list: Revocations,
        signed_after: Option<i64>,
    ) -> Result<(ListNumber, i64, Vec<u8>), SignerError> {
        let request = Request::RevocationList {
            property,
            version,
            list,
            signed_after,
        };
        self.asked(&request, |answer| match answer {
            Answer::List {
                number,
                signed,
                document,
            } => Some((number, signed, document)),
            _ => None,
        })
    }

    fn bundle(
        &self,
        property: PropertyId,
        draft: BundleDraft,
    ) -> Result<SignedBundle, SignerError> {
        let request = Request::Bundle { property, draft };
        self.asked(&request, |answer| match answer {
            Answer::Bundle(bundle) => Some(bundle),
            _ => None,
        })
    }

    fn log_receipt(&self, receipt: &Receipt) -> Result<Vec<u8>, SignerError> {
        self.signed(&Request::LogReceipt { receipt: *receipt })
    }

    fn certificate(
        &self,
        property: PropertyId,
        door: DoorId,
        generation: Generation,
        reader_key: PublicKey,
    ) -> Result<Vec<u8>, SignerError> {
        self.signed(&Request::Certificate {
            property,
            door,
            generation,
            reader_key,
        })
    }

    fn confirm(
        &self,
        property: PropertyId,
        series: Series,
        number: u64,
    ) -> Result<(), SignerError> {
        self.done(&Request::Confirm {
            property,
            series,
            number,
        })
    }

    fn keep_list(&self, property: PropertyId, document: &[u8]) -> Result<(), SignerError> {
        let document = document.to_vec();
        self.done(&Request::KeepList { property, document })
    }
}
