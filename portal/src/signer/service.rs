//! The signer as a process of its own, at Unix sockets. Who may connect is the file system's to say: a socket lies in a
//! folder that others cannot enter. One is for portals; operators, who make properties and begin epochs, have another.

use std::future::Future;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use latchkey_env::{SharedClock, SharedRandom};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::checks::Rate;
use super::embedded::EmbeddedSigner;
use super::wire::{self, Answer, Hello, Request};
use super::{Signer, SignerError};
use crate::running::StartError;

/// Connections of one socket. An instance keeps a few.
const CONNECTIONS: usize = 256;
/// Memory for frames that are being read and answered, in KiB, over all connections.
const ROOM: usize = 64 * 1024;
/// A frame that has begun comes whole, and is taken, within so long.
const FRAME: Duration = Duration::from_secs(10);
/// The folder of a socket is not for others, and nobody but its owner puts another socket in its place.
const NOT_FOR_OTHERS: u32 = 0o027;

/// What a signer needs in order to start.
#[derive(Clone)]
pub struct SignerConfig {
    /// Folder of its keys and its memory.
    pub data: PathBuf,
    /// The socket for portals.
    pub listen: PathBuf,
    /// The socket for operators.
    pub operators: Option<PathBuf>,
    /// How much it signs for a property.
    pub rate: Rate,
    /// Its time.
    pub clock: SharedClock,
    /// Its randomness.
    pub random: SharedRandom,
}

/// A signer that serves.
pub struct SignerService {
    closing: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Portal,
    Operator,
}

struct Shared {
    signer: EmbeddedSigner,
    clock: SharedClock,
    room: Semaphore,
    closing: watch::Receiver<bool>,
}

impl SignerService {
    /// Starts a signer; it serves when this returns.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: SignerConfig) -> Result<Self, StartError> {
        let signer = EmbeddedSigner::open(
            &config.data,
            config.rate,
            Arc::clone(&config.clock),
            config.random,
        )?;
        let mut sockets = vec![(Caller::Portal, listen(&config.listen).await?)];
        if let Some(operators) = &config.operators {
            sockets.push((Caller::Operator, listen(operators).await?));
        }
        let (closing, closed) = watch::channel(false);
        let shared = Arc::new(Shared {
            signer,
            clock: config.clock,
            room: Semaphore::new(ROOM),
            closing: closed,
        });
        let serve = |(caller, listener)| tokio::spawn(serve(Arc::clone(&shared), caller, listener));
        Ok(Self {
            closing,
            tasks: sockets.into_iter().map(serve).collect(),
        })
    }

    /// Ends it: what was asked is answered still.
    pub async fn shutdown(mut self) {
        self.closing.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            // A task that panicked has said so already.
            let _ = task.await;
        }
    }
}

impl Drop for SignerService {
    /// Without a [shutdown](Self::shutdown), it ends by itself.
    fn drop(&mut self) {
        self.closing.send_replace(true);
    }
}

/// Listens at a socket, in place of one that a killed process has left.
async fn listen(path: &Path) -> Result<UnixListener, StartError> {
    let failed = |why: String| StartError::Signer(format!("the socket {}: {why}", path.display()));
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => return Err(failed("name it with its folder".to_owned())),
    };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(folder)
        .map_err(|error| failed(error.to_string()))?;
    let mode = std::fs::metadata(folder).map_err(|error| failed(error.to_string()))?;
    if mode.permissions().mode() & NOT_FOR_OTHERS != 0 {
        return Err(failed(format!(
            "whoever can enter {} could have things signed: give the socket a folder of its own, `chmod g-w,o= {0}`",
            folder.display()
        )));
    }
    if UnixStream::connect(path).await.is_ok() {
        return Err(failed("another signer listens there".to_owned()));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(error.to_string()));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(|error| failed(error.to_string()))?;
    let for_group = std::fs::Permissions::from_mode(0o660);
    std::fs::set_permissions(path, for_group).map_err(|error| failed(error.to_string()))?;
    Ok(listener)
}

async fn serve(shared: Arc<Shared>, caller: Caller, listener: UnixListener) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut closing = shared.closing.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.wait_for(|closing| *closing) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::error!(%error, "a connection was not taken");
                latchkey_env::sleep(&*shared.clock, Duration::from_secs(1)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&connections).try_acquire_owned() else {
            tracing::error!(?caller, "too many connections: one more was closed");
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if let Err(error) = converse(&shared, caller, stream).await {
                tracing::warn!(?caller, %error, "a conversation ended");
            }
            drop(place);
        });
    }
    // Those that are in the middle of an answer give it first.
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    let ended = connections.acquire_many(all);
    let _ = latchkey_env::timeout(&*shared.clock, FRAME, ended).await;
}

/// One connection, until the other end leaves.
async fn converse(shared: &Arc<Shared>, caller: Caller, mut stream: UnixStream) -> io::Result<()> {
    let hello = Hello {
        version: wire::VERSION,
    };
    let greeted = async {
        let head = head(shared, &mut stream).await?;
        let Some(head) = head else { return Ok(None) };
        if head > wire::MAX_HELLO {
            return Err(io::Error::other("it does not speak as a portal does"));
        }
        let said = read(&mut stream, head).await?;
        write(&mut stream, &hello).await?;
        Ok(Some(said))
    };
    let Some(said) = within(shared, greeted).await? else {
        return Ok(());
    };
    match wire::decode::<Hello>(&said) {
        Ok(said) if said == hello => {}
        Ok(said) => {
            return Err(io::Error::other(format!(
                "it speaks version {}, and this signer {}: run both of one release",
                said.version,
                wire::VERSION
            )));
        }
        Err(_) => return Err(io::Error::other("it does not speak as a portal does")),
    }
    while let Some(length) = head(shared, &mut stream).await? {
        // Waits where others' frames take up all memory; nothing is read before.
        let kibibytes = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
        let room = shared.room.acquire_many(kibibytes).await;
        let frame = within(shared, read(&mut stream, length)).await?;
        let work = Arc::clone(shared);
        let answer = tokio::task::spawn_blocking(move || work.answer(caller, &frame));
        let answer = answer.await.map_err(io::Error::other)?;
        within(shared, write(&mut stream, &answer)).await?;
        drop(room);
    }
    Ok(())
}

async fn within<T>(shared: &Shared, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = latchkey_env::timeout(&*shared.clock, FRAME, work).await;
    done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The length of the next frame, however long it takes to come; none at the end of either.
async fn head(shared: &Shared, stream: &mut UnixStream) -> io::Result<Option<usize>> {
    let mut closing = shared.closing.clone();
    let mut head = [0; 4];
    let first = tokio::select! {
        read = stream.read(&mut head[..1]) => read?,
        _ = closing.wait_for(|closing| *closing) => 0,
    };
    if first == 0 {
        return Ok(None);
    }
    within(shared, stream.read_exact(&mut head[1..])).await?;
    wire::length(head).map(Some).map_err(io::Error::other)
}

/// A frame's bytes. Memory grows as they come, not as they are announced.
async fn read(stream: &mut UnixStream, length: usize) -> io::Result<Vec<u8>> {
    let mut frame = Vec::new();
    let most = u64::try_from(length).unwrap_or(u64::MAX);
    if stream.take(most).read_to_end(&mut frame).await? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(frame)
}

async fn write(stream: &mut UnixStream, value: &impl serde::Serialize) -> io::Result<()> {
    let frame = wire::encode(value).map_err(io::Error::other)?;
    stream.write_all(&frame).await
}

impl Shared {
    fn answer(&self, caller: Caller, frame: &[u8]) -> Answer {
        let answered = match wire::decode(frame) {
            Ok(request) => self.obey(caller, request),
            Err(error) => Err(SignerError::NotSignable(error.to_string())),
        };
        answered.unwrap_or_else(|error| {
            tracing::warn!(?caller, %error, "refused");
            Answer::Refused(error)
        })
    }

    fn obey(&self, caller: Caller, request: Request) -> Result<Answer, SignerError> {
        if caller != Caller::Operator && request.is_for_operators() {
            return Err(SignerError::ForOperators);
        }
        let signer = &self.signer;
        Ok(match request {
            Request::Create { property } => Answer::Keys(signer.create(property)?),
            Request::Standing { property } => Answer::Standing(signer.standing(property)?),
            Request::BeginEpoch { property } => Answer::Begun(signer.begin_epoch(property)?),
            Request::Statement {
                property,
                addressee,
                number,
                body,
            } => Answer::Signed(signer.statement(property, addressee, number, body)?),
            Request::Pass { property, pass } => Answer::Signed(signer.pass(property, &pass)?),
            Request::Time {
                property,
                door,
                nonce,
            } => Answer::Signed(signer.time(property, door, nonce)?),
            Request::Grant { property, draft } => Answer::Grant(signer.grant(property, draft)?),
            Request::RevocationList {
                property,
                version,
                list,
                signed_after,
            } => {
                let list = signer.revocation_list(property, version, list, signed_after)?;
                let (number, signed, document) = list;
                Answer::List {
                    number,
                    signed,
                    document,
                }
            }
            Request::Bundle { property, draft } => Answer::Bundle(signer.bundle(property, draft)?),
            Request::LogReceipt { receipt } => Answer::Signed(signer.log_receipt(&receipt)?),
            Request::Certificate {
                property,
                door,
                generation,
                reader_key,
            } => Answer::Signed(signer.certificate(property, door, generation, reader_key)?),
            Request::Confirm {
                property,
                series,
                number,
            } => {
                signer.confirm(property, series, number)?;
                Answer::Done
            }
            Request::KeepList { property, document } => {
                signer.keep_list(property, &document)?;
                Answer::Done
            }
        })
    }
}
