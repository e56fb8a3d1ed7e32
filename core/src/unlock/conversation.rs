//! One Aliro session with a door, over one link: as far as the door is ready for the commit, the commit
//! and its answer, and what the phone carries in and out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aliro::command::ReaderStatus;
use aliro::crypto::{RingEntropy, Signature};
use aliro::device::{Event, Failure, OutOfTurn, Session};
use aliro::keys::PersistentKey;
use aliro::message::{Action, MessageBuffer, ReaderState};
use latchkey_env::{sleep, timeout};
use latchkey_protocol::ids::AttemptId;
use latchkey_protocol::private::{MAX_MESSAGE, Outcome, PrivateMessage, ResultRecord};
use latchkey_protocol::rules::Reason;

use super::carrier::Link;
use super::hello::{broken, greet, protocol};
use super::met::{ChosenDoor, record_of};
use super::plan::Plan;
use crate::error::{DoorFault, Error};
use crate::portal::{PortalClock, Shared};
use crate::wallet::ReaderRecord;

/// Our longest message, and the tag behind it.
const LONGEST_PAYLOAD: usize = MAX_MESSAGE + 16;

/// How long the answer to a commit may take: a door may have to ask the portal first.
const ANSWER: Duration = Duration::from_secs(8);

/// While a signature takes, the door is told this often that it comes.
const BUSY_EVERY: Duration = Duration::from_secs(1);

/// A session with a door.
pub(super) struct Conversation<'a> {
    pub(super) plan: &'a Plan,
    pub(super) shared: &'a Shared,
    link: Box<dyn Link>,
    pub(super) session: Session,
    memory: Arc<ChosenDoor>,
    /// The last moment of the door's certificate, once it was shown.
    certified_until: Option<i64>,
    buffer: MessageBuffer,
    events: VecDeque<Event>,
    /// By when (monotonic) the door has to go on.
    deadline: Option<Duration>,
}

/// What the door answered to a commit.
pub(super) struct Answered {
    pub(super) outcome: Outcome,
    /// From a door of ours; another maker's says only that it moved.
    pub(super) record: Option<ResultRecord>,
}

impl<'a> Conversation<'a> {
    /// From the hello until the door is ready for the commit. Nothing about the person leaves before the
    /// door has proved that it is the one that was chosen, but what only that door can read.
    pub(super) async fn prove(
        plan: &'a Plan,
        shared: &'a Shared,
        clock: &PortalClock,
        mut link: Box<dyn Link>,
        interface: u8,
    ) -> Result<Self, Error> {
        let (versions, early) = greet(&mut *link, plan.at.door).await?;
        let device = plan.device(interface, versions);
        let memory = Arc::new(plan.memory());
        let session = Session::with_memory(device, memory.clone(), &RingEntropy::new());
        let session = session.map_err(|e| protocol(&e))?;
        let mut buffer = MessageBuffer::new(LONGEST_PAYLOAD);
        buffer.push(&early);
        let mut conversation = Self {
            plan,
            shared,
            link,
            session,
            memory,
            certified_until: None,
            buffer,
            events: VecDeque::new(),
            deadline: None,
        };
        let opening = conversation.session.start_rke();
        conversation.follow_up(opening)?;
        conversation.until_ready(clock).await?;
        Ok(conversation)
    }

    async fn until_ready(&mut self, clock: &PortalClock) -> Result<(), Error> {
        loop {
            match self.next_event().await? {
                Event::ReaderAuthenticated(reader) => {
                    if !self.plan.is_meant(&reader, clock.now()) {
                        return self.leave_an_impostor().await;
                    }
                    self.certified_until = reader.certificate.and_then(|c| c.valid_until());
                    let events = self.session.approve(self.plan.disclosure());
                    self.follow_up(events)?;
                }
                Event::Sign { message, .. } => {
                    let signature = self.signature(&message).await?;
                    let events = self.session.signed(signature);
                    self.follow_up(events)?;
                }
                Event::DocumentsRequested(request) => {
                    let response = self.plan.documents(&request);
                    let events = self.session.documents(&response);
                    self.follow_up(events)?;
                }
                Event::AccessCompleted { .. } => {
                    let known = self.certified_until.is_none();
                    tracing::debug!(door = %self.plan.at.door, known, "the door is ready");
                    return Ok(());
                }
                Event::Failed(failure) => return Err(refused(failure)),
                Event::Closed => return Err(broken(std::io::ErrorKind::ConnectionAborted.into())),
                _ => {}
            }
        }
    }

    /// It gets the answer that a bad signature gets, and nothing else.
    async fn leave_an_impostor(&mut self) -> Result<(), Error> {
        let events = self.session.abort();
        self.follow_up(events)?;
        // Whether it hears that or not changes nothing.
        while let Some(Event::Send(message)) = self.events.pop_front() {
            if self.link.send(&message).await.is_err() {
                break;
            }
        }
        Err(Error::WrongDoor)
    }

    /// Has the keystore sign, which may take seconds, and keeps the door waiting meanwhile.
    async fn signature(&mut self, message: &[u8]) -> Result<Signature, Error> {
        let keys = self.shared.keys.clone();
        let signing = keys.sign(&self.plan.label, message);
        let mut signing = std::pin::pin!(signing);
        loop {
            let beat = sleep(&*self.shared.clock, BUSY_EVERY);
            tokio::select! {
                signature = &mut signing => return Ok(Signature(signature?)),
                () = beat => {
                    let events = self.session.busy();
                    self.follow_up(events)?;
                    self.flush().await?;
                }
            }
        }
    }

    /// Commits a gesture, and waits for what becomes of it.
    pub(super) async fn commit(&mut self, attempt: AttemptId) -> Result<Answered, Error> {
        let commit = PrivateMessage::Commit {
            attempt,
            replaces: self
                .plan
                .unanswered
                .iter()
                .copied()
                .filter(|id| *id != attempt)
                .collect(),
        };
        let told = self.session.send_third_party(&commit.encode());
        self.follow_up(told)?;
        let asked = self.session.rke_request(Action::Unsecure);
        self.follow_up(asked)?;
        let clock = self.shared.clock.clone();
        let mut moved = false;
        let answer = timeout(&*clock, ANSWER, self.until_answered(attempt, &mut moved)).await;
        match answer {
            Ok(Ok(answered)) => Ok(answered),
            _ if moved => Ok(Answered {
                outcome: Outcome::Opened { until: None },
                record: None,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::DoorNotReached(DoorFault::Timeout)),
        }
    }

    async fn until_answered(
        &mut self,
        attempt: AttemptId,
        moved: &mut bool,
    ) -> Result<Answered, Error> {
        loop {
            match self.next_event().await? {
                Event::ThirdParty(bytes) => {
                    if let Some(PrivateMessage::Result(record)) = private(&bytes)
                        && record.attempt == attempt
                    {
                        return Ok(Answered {
                            outcome: record.outcome,
                            record: Some(record),
                        });
                    }
                }
                Event::StatusChanged { state, .. } => match state {
                    ReaderState::Unsecured | ReaderState::EnteringUnsecured => *moved = true,
                    ReaderState::Jammed => return Err(Error::DoorNotReached(DoorFault::Jammed)),
                    _ => {}
                },
                Event::Failed(failure) => return Err(refused(failure)),
                Event::Closed => return Err(broken(std::io::ErrorKind::ConnectionAborted.into())),
                _ => {}
            }
        }
    }

    /// By what the door will know this phone again, if it has proved itself in this conversation.
    pub(super) fn acquaintance(&self) -> Option<(ReaderRecord, PersistentKey)> {
        let until = self.certified_until.filter(|_| self.plan.remembers)?;
        let (reader, key) = self.memory.take_fresh()?;
        Some((record_of(&reader, self.plan.credential(), until), key))
    }

    /// The next event that is not ours to carry out.
    pub(super) async fn next_event(&mut self) -> Result<Event, Error> {
        loop {
            while let Some(event) = self.events.pop_front() {
                match event {
                    Event::Send(message) => self.link.send(&message).await.map_err(broken)?,
                    Event::Busy => {}
                    other => return Ok(other),
                }
            }
            if let Some(message) = self.buffer.next_message().map_err(|e| protocol(&e))? {
                let events = self.session.on_message(&message);
                self.follow_up(Ok(events))?;
                continue;
            }
            let deadline = self.deadline;
            let clock = &self.shared.clock;
            let late = async {
                match deadline {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                piece = self.link.receive() => {
                    let piece = piece.map_err(broken)?;
                    if piece.is_empty() {
                        return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
                    }
                    self.buffer.push(&piece);
                }
                () = late => {
                    let events = self.session.on_timeout();
                    self.follow_up(Ok(events))?;
                }
            }
        }
    }

    /// Sends what is to be sent; other events stay.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        while let Some(Event::Send(message)) = self.events.front() {
            self.link.send(message).await.map_err(broken)?;
            self.events.pop_front();
        }
        Ok(())
    }

    pub(super) fn follow_up(&mut self, events: Result<Vec<Event>, OutOfTurn>) -> Result<(), Error> {
        self.events
            .extend(events.map_err(|error| protocol(&error))?);
        let wait = self.session.deadline_after();
        self.deadline = wait.map(|wait| self.shared.clock.monotonic().saturating_add(wait));
        Ok(())
    }
}

/// A message of ours; none for what a newer door says and this phone does not know.
pub(super) fn private(bytes: &[u8]) -> Option<PrivateMessage> {
    PrivateMessage::decode(bytes).ok()
}

pub(super) fn refused(failure: Failure) -> Error {
    let denied = |reason| Error::Denied { reason, next: None };
    match failure {
        Failure::Timeout => Error::DoorNotReached(DoorFault::Timeout),
        Failure::UnknownReader | Failure::ReaderNotProved | Failure::Aborted => Error::WrongDoor,
        // Another maker's reader; ours answers the commit with a reason.
        Failure::ReaderRefused(ReaderStatus::KEY_NOT_FOUND | ReaderStatus::NOT_TRUSTED) => {
            denied(Reason::Unknown)
        }
        Failure::ReaderRefused(ReaderStatus::EXPIRED) => denied(Reason::Expired),
        Failure::ReaderRefused(ReaderStatus::INVALID_ACCESS_RIGHTS) => denied(Reason::WrongDoor),
        other => protocol(&other),
    }
}
