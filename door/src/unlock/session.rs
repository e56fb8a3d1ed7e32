//! One Aliro session with a phone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aliro::crypto::{CryptoError, PublicKey, RingEntropy};
use aliro::message::{Action, OperationSource, ReaderState, Reporting};
use aliro::reader::{
    Authenticated, CertificateDelivery, Event, Failure, OutOfTurn, Phase, ReaderConfig, ReaderKey,
    Session,
};
use latchkey_protocol::FormatError;
use latchkey_protocol::ids::AttemptId;
use latchkey_protocol::private::{PrivateMessage, ResultRecord};
use latchkey_protocol::rules::Reason;
use tokio::io::{AsyncRead, AsyncWrite};

use super::carriers::Visitor;
use super::wire::Wire;
use super::{Carrier, hello, lock_sync};
use crate::door::{Commit, Door, DoorError, SessionMemory, Settled, Telling};

/// How long a phone may take to open, and for each thing that it carries.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a door that is ready waits for the commit. A relay that holds one back longer opens
/// nothing.
const READY: Duration = Duration::from_secs(10);

/// Why a session is over before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The stream failed.
    #[error("the stream failed")]
    Stream(#[from] std::io::Error),
    /// The phone hung up.
    #[error("the phone hung up")]
    Gone,
    /// The phone said nothing for too long.
    #[error("the phone fell silent")]
    Silent,
    /// Other bytes than a phone's.
    #[error("not a Latchkey phone")]
    NotLatchkey,
    /// A message longer than any of ours.
    #[error("a message that is too long")]
    TooLong,
    /// The access protocol failed.
    #[error(transparent)]
    Aliro(#[from] Failure),
    /// Something came that has no place here.
    #[error(transparent)]
    OutOfTurn(#[from] OutOfTurn),
    /// A message of ours that does not read, or that only a door sends.
    #[error("a private message that has no place here")]
    Private,
    /// The session's keys could not be made.
    #[error(transparent)]
    Entropy(#[from] CryptoError),
    /// The door itself failed.
    #[error(transparent)]
    Door(#[from] DoorError),
}

/// From the hello to the end of the stream.
pub(super) async fn run<S>(
    door: &Arc<Door>,
    mut stream: S,
    carrier: Carrier,
    visitor: &Visitor<'_>,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some((versions, early)) = hello::greet(door, &mut stream).await? else {
        return Ok(());
    };
    let installed = door.installed();
    let key = ReaderKey::Certified {
        certificate: installed.certificate.clone(),
        issuer: installed.reader_ca,
        delivery: CertificateDelivery::LoadCert,
    };
    let config = ReaderConfig {
        interface: carrier.interface(),
        ble_versions: versions,
        ..ReaderConfig::new(installed.reader_identifier(), key)
    };
    let memory = Arc::new(SessionMemory::new(door.clone()));
    let mut phone = Phone {
        door: door.clone(),
        carrier,
        visitor,
        wire: Wire::new(stream, &early),
        session: Session::with_memory(config, memory.clone(), &RingEntropy::new())?,
        memory,
        credential: None,
        refusal: None,
        pending: None,
        stage: Stage::Proving {
            until: door.env().clock.monotonic() + PATIENCE,
        },
        brought: false,
        known: false,
        number: door.next_session(),
    };
    let outcome = phone.run().await;
    door.end_session(phone.number);
    phone.wire.close().await;
    if let Err(Ended::Aliro(Failure::NotAuthenticated(_))) = outcome {
        door.note_stranger(carrier.means(), Reason::Unknown).await?;
    }
    outcome
}

/// How far a phone has come, and until when (monotonic) it may take for the next thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Who is it?
    Proving { until: Duration },
    /// The door waits for the commit.
    Ready { until: Duration },
    /// Answered; the phone may bring something.
    Answered { until: Duration },
    /// Nothing more to say.
    Over,
}

pub(super) struct Phone<'a, S> {
    pub(super) door: Arc<Door>,
    carrier: Carrier,
    visitor: &'a Visitor<'a>,
    wire: Wire<S>,
    pub(super) session: Session,
    memory: Arc<SessionMemory>,
    credential: Option<PublicKey>,
    /// Why the document that the phone gave is not believed.
    refusal: Option<Reason>,
    /// The gesture that the next request belongs to.
    pending: Option<(AttemptId, Vec<AttemptId>)>,
    pub(super) stage: Stage,
    /// Whether the phone brought something that may have changed the door's state.
    brought: bool,
    /// Whether the credential has shown a grant here, now or before.
    pub(super) known: bool,
    /// Of this session: what the door asks in it is answered in it alone.
    pub(super) number: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Phone<'_, S> {
    async fn run(&mut self) -> Result<(), Ended> {
        let clock = self.door.env().clock.clone();
        loop {
            let until = match self.stage {
                Stage::Proving { until } | Stage::Ready { until } | Stage::Answered { until } => {
                    until
                }
                Stage::Over => return Ok(()),
            };
            let message = tokio::select! {
                message = self.wire.next() => message?,
                () = clock.sleep_until(until) => {
                    let events = self.session.on_timeout();
                    self.carry_out(events).await?;
                    return Err(Ended::Silent);
                }
            };
            // Both may be ready at once, and the limit is a promise.
            if clock.monotonic() > until {
                return Err(Ended::Silent);
            }
            let Some(message) = message else {
                return match self.stage {
                    Stage::Answered { .. } => Ok(()),
                    _ => Err(Ended::Gone),
                };
            };
            let events = self.session.on_message(&message);
            self.carry_out(events).await?;
            if let (Stage::Proving { .. }, Some(wait)) = (self.stage, self.session.deadline_after())
            {
                self.stage = Stage::Proving {
                    until: clock.monotonic() + wait,
                };
            }
        }
    }

    /// Carries events out in their order, and then those that follow from them.
    async fn carry_out(&mut self, events: Vec<Event>) -> Result<(), Ended> {
        let mut queue = VecDeque::from(events);
        let mut failure = None;
        while let Some(event) = queue.pop_front() {
            let next = match event {
                Event::Send(message) => {
                    self.wire.send(&message).await?;
                    Vec::new()
                }
                Event::Sign(message) => {
                    let signature = self.door.keys().sign(&message).map_err(DoorError::from)?;
                    self.session.signed(signature)?
                }
                Event::Authenticated(device) => self.authenticated(&device).await?,
                Event::Documents(response) => self.documents(response).await?,
                Event::Completed => {
                    self.stage = Stage::Ready {
                        until: self.door.env().clock.monotonic() + READY,
                    };
                    Vec::new()
                }
                Event::ThirdParty(bytes) => self.private(&bytes).await?,
                Event::RkeRequest { action } => self.requested(action).await?,
                // Nothing is asked of mailboxes here.
                Event::Exchanged(_) => Vec::new(),
                Event::Failed(why) => {
                    failure = Some(why);
                    Vec::new()
                }
                Event::Closed => {
                    self.stage = Stage::Over;
                    Vec::new()
                }
            };
            queue.extend(next);
        }
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    async fn authenticated(&mut self, device: &Authenticated) -> Result<Vec<Event>, Ended> {
        tracing::debug!(phase = ?device.phase, "a phone is known");
        if device.phase == Phase::Fast && !self.door.vouches_for(device).await? {
            return Ok(self.session.prove()?);
        }
        self.credential = Some(device.credential);
        if self.door.remembers(device.credential).await? {
            self.is_known();
        }
        match self.door.asks_for_document(device).await? {
            Some(request) => Ok(self.session.request_documents(&request)?),
            None => self.complete(),
        }
    }

    async fn documents(&mut self, response: Vec<u8>) -> Result<Vec<Event>, Ended> {
        let credential = self.credential.ok_or(OutOfTurn)?;
        self.refusal = self.door.take_documents(credential, response).await?;
        if self.refusal.is_none() {
            self.is_known();
        }
        self.complete()
    }

    fn is_known(&mut self) {
        self.known = true;
        self.visitor.is_known();
    }

    /// Whether the credential may do anything is decided at the commit, so that its holder hears
    /// the reason.
    fn complete(&mut self) -> Result<Vec<Event>, Ended> {
        Ok(self
            .session
            .complete(ReaderState::Secured, Reporting::ThisDevice)?)
    }

    async fn private(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Ended> {
        let message = match PrivateMessage::decode(bytes) {
            Ok(message) => message,
            // A newer phone says something that this door does not know.
            Err(FormatError::UnknownKind(_)) => return Ok(Vec::new()),
            Err(_) => return Err(Ended::Private),
        };
        match (message, self.stage) {
            (PrivateMessage::Commit { attempt, replaces }, Stage::Ready { .. }) => {
                self.pending = Some((attempt, replaces));
                Ok(Vec::new())
            }
            (
                PrivateMessage::RevocationPage(page),
                Stage::Ready { .. } | Stage::Answered { .. },
            ) => {
                self.door.take_page(page).await?;
                Ok(self.brought())
            }
            (PrivateMessage::Statements(all), Stage::Ready { .. } | Stage::Answered { .. }) => {
                self.door.take_statements(all).await?;
                Ok(self.brought())
            }
            (PrivateMessage::Done, Stage::Ready { .. } | Stage::Answered { .. }) => {
                self.part().await
            }
            (message, Stage::Ready { .. } | Stage::Answered { .. })
                if lock_sync::belongs(&message) =>
            {
                self.lock_sync(message).await
            }
            _ => Err(Ended::Private),
        }
    }

    /// A phone that brings something has time for the next piece; the commit's limit stands.
    pub(super) fn brought(&mut self) -> Vec<Event> {
        self.brought = true;
        if matches!(self.stage, Stage::Answered { .. }) {
            self.stage = self.answered();
        }
        Vec::new()
    }

    pub(super) fn answered(&self) -> Stage {
        Stage::Answered {
            until: self.door.env().clock.monotonic() + PATIENCE,
        }
    }

    async fn requested(&mut self, action: Action) -> Result<Vec<Event>, Ended> {
        if !matches!(self.stage, Stage::Ready { .. }) {
            return Err(OutOfTurn.into());
        }
        if action == Action::Secure {
            // It secures itself after each pulse: there is nothing to do but to say so.
            return Ok(self.status(ReaderState::Secured)?);
        }
        let credential = self.credential.ok_or(OutOfTurn)?;
        let (attempt, replaces) = match self.pending.take() {
            Some((attempt, replaces)) => (Some(attempt), replaces),
            // Another maker's phone knows no attempts: each request of it is one.
            None => (None, Vec::new()),
        };
        let commit = Commit {
            credential,
            attempt: attempt.unwrap_or_else(|| AttemptId(self.door.env().random())),
            replaces,
            means: self.carrier.means(),
            refusal: self.refusal,
            fresh: self.memory.take_fresh(),
        };
        let settled = self.door.commit(commit).await;
        self.stage = self.answered();
        let settled = match settled {
            Ok(settled) => settled,
            Err(error) => {
                // No answer about the attempt, and nothing that cost anything: it may be made again.
                self.door.out_of_order(self.carrier.means(), &error);
                return Ok(self.status(ReaderState::Jammed)?);
            }
        };
        if settled.decision.is_allowed() && !settled.moved {
            // No answer about the attempt: made again, it moves the lock at no cost.
            return Ok(self.status(ReaderState::Jammed)?);
        }
        let mut events = self.status(if settled.moved {
            ReaderState::Unsecured
        } else {
            ReaderState::Secured
        })?;
        if let Some(attempt) = attempt {
            let record = self.record(attempt, settled).await?;
            events.extend(self.session.send_third_party(&record.encode())?);
        }
        Ok(events)
    }

    fn status(&mut self, state: ReaderState) -> Result<Vec<Event>, OutOfTurn> {
        self.session
            .send_status_changed(OperationSource::ThisDeviceRke, state)
    }

    async fn record(
        &mut self,
        attempt: AttemptId,
        settled: Settled,
    ) -> Result<PrivateMessage, Ended> {
        Ok(PrivateMessage::Result(ResultRecord {
            attempt,
            outcome: settled.decision.into(),
            event: settled.event,
            state: Some(self.door.signed_state(Telling::Latest).await?.state),
            wants: self.door.wants(),
        }))
    }

    /// The phone has nothing more. What it brought may have changed the state that it takes along.
    async fn part(&mut self) -> Result<Vec<Event>, Ended> {
        let mut events = Vec::new();
        if self.brought {
            let state = PrivateMessage::State(self.door.signed_state(Telling::Latest).await?.state);
            events.extend(self.session.send_third_party(&state.encode())?);
        }
        let done = PrivateMessage::Done.encode();
        events.extend(self.session.send_third_party(&done)?);
        events.push(Event::Closed);
        Ok(events)
    }
}
