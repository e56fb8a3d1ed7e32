//! One connection to the portal, from its challenge to its end.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use latchkey_env::ticks;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::code::IssueTime;
use latchkey_protocol::doorlink::{FromDoor, FromPortal, VERSIONS, WITH_LISTS};
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::rules::Reason;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

use super::relay::Relay;
use super::socket::Socket;
use super::{Asked, Question};
use crate::door::{Door, DoorError, Telling};
use crate::report::Report;
use crate::unlock::Carriers;

/// A beat: is the other side still there, and is the time answered?
const BEAT: Duration = Duration::from_secs(20);
/// Beats without a word after which the line counts as dead.
const SILENT_BEATS: u32 = 3;
/// How often the time is asked for.
const TIME_EVERY: Duration = Duration::from_secs(3600);
/// Events in one message.
const EVENTS_AT_ONCE: usize = 100;
/// Messages of relayed phones that wait for the line.
const OUTGOING: usize = 64;

/// How a connection ended.
pub(super) struct Outcome {
    /// Whether the portal took the door in.
    pub(super) signed_in: bool,
    /// Why it is over.
    pub(super) why: Why,
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Why {
    /// The portal ended it.
    #[error("the portal closed it ({code}): {reason}")]
    Closed { code: u16, reason: String },
    /// The connection broke.
    #[error("it broke")]
    Broken,
    /// Nothing was heard for too long.
    #[error("the portal fell silent")]
    Silent,
    /// The portal said what it may not say.
    #[error("the portal does not speak this protocol: {0}")]
    Protocol(&'static str),
    /// The door's own store failed.
    #[error("the door's store failed: {0}")]
    Door(#[from] DoorError),
}

/// Runs it. Ends when either side does.
pub(super) async fn run(
    door: &Arc<Door>,
    carriers: &Arc<Carriers>,
    socket: Socket,
    number: u64,
) -> Outcome {
    let (sink, stream) = socket.split();
    let (outgoing, relayed) = mpsc::channel(OUTGOING);
    let mut conversation = Conversation {
        door: door.clone(),
        number,
        sink,
        relay: Relay::new(door.clone(), carriers.clone(), outgoing),
        signed_in: false,
        requests: 0,
        asked: HashMap::new(),
        state_told: None,
        leases_told: 0,
        events_sent: 0,
        version: 0,
        lists_told: BTreeSet::new(),
        time_open: false,
        silent_beats: 0,
    };
    let why = match conversation.run(stream, relayed).await {
        Ok(never) => match never {},
        Err(why) => why,
    };
    // What was said last is worth a try; the portal learns the rest from the broken connection.
    let _ = conversation.sink.close().await;
    Outcome {
        signed_in: conversation.signed_in,
        why,
    }
}

struct Conversation {
    door: Arc<Door>,
    number: u64,
    sink: SplitSink<Socket, Message>,
    relay: Relay,
    signed_in: bool,
    requests: u64,
    asked: HashMap<u64, oneshot::Sender<Option<Reason>>>,
    /// The last change of the state that this connection has told of.
    state_told: Option<u64>,
    /// The last change of a lease that it has told of: a new connection tells of all.
    leases_told: u64,
    /// The last event that it has carried.
    events_sent: u64,
    /// The version that both speak.
    version: u16,
    /// Lists that it has handed over.
    lists_told: BTreeSet<ListNumber>,
    /// Whether the last question for the time waits for its answer.
    time_open: bool,
    silent_beats: u32,
}

impl Conversation {
    async fn run(
        &mut self,
        mut stream: SplitStream<Socket>,
        mut relayed: mpsc::Receiver<FromDoor>,
    ) -> Result<std::convert::Infallible, Why> {
        let clock = self.door.env().clock.clone();
        let mut news = self.door.news();
        let mut beats = ticks(clock.clone(), BEAT);
        let mut hours = ticks(clock, TIME_EVERY);
        // Nobody asks before the portal has taken the door in.
        let (_nobody, mut questions) = mpsc::channel(1);
        loop {
            tokio::select! {
                message = stream.next() => {
                    self.silent_beats = 0;
                    if self.take(message).await? {
                        questions = self.door.line().up();
                        // The state comes first: the portal answers it with what is missing.
                        let now = *news.borrow_and_update();
                        self.tell(now).await?;
                        self.tell_lists().await?;
                        self.ask_time().await?;
                    }
                }
                Some(message) = relayed.recv() => self.send(&message).await?,
                Some(question) = questions.recv() => self.ask(question).await?,
                Ok(()) = news.changed(), if self.signed_in => {
                    let news = *news.borrow_and_update();
                    self.tell(news).await?;
                }
                () = hours.tick(), if self.signed_in => self.ask_time().await?,
                () = beats.tick() => self.beat().await?,
            }
        }
    }

    /// Takes one message. Whether the portal has just taken the door in.
    async fn take(
        &mut self,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Result<bool, Why> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(frame))) => {
                let (code, reason) = frame.map_or((1005, String::new()), |frame| {
                    (frame.code.into(), frame.reason.to_string())
                });
                return Err(Why::Closed { code, reason });
            }
            Some(Ok(Message::Binary(_))) => return Err(Why::Protocol("binary")),
            Some(Ok(_)) => return Ok(false),
            Some(Err(_)) | None => return Err(Why::Broken),
        };
        // A newer portal may say things that this door does not know: they are left out.
        let Ok(message) = serde_json::from_str::<FromPortal>(&text) else {
            tracing::debug!("a message from the portal does not read");
            return Ok(false);
        };
        match message {
            FromPortal::Challenge { nonce } if !self.signed_in => self.sign_in(&nonce).await?,
            FromPortal::Challenge { .. } => return Err(Why::Protocol("challenged again")),
            FromPortal::Welcome { version } => return self.welcome(version).await.map(|()| true),
            _ if !self.signed_in => return Err(Why::Protocol("too early")),
            FromPortal::Statements { statements } => {
                self.door.take_statements(to_bytes(statements)).await?;
            }
            FromPortal::Revocation { document } => {
                self.door.take_revocation(document.0).await?;
                self.tell_lists().await?;
            }
            FromPortal::Time { answer } => {
                // What does not answer the question is asked again at the next beat.
                self.time_open = !self.door.take_time(self.number, answer.0).await?;
                self.door.in_contact().await?;
            }
            FromPortal::Ceilings { ceilings } => self.door.take_ceilings(ceilings).await?,
            FromPortal::CodeAnswer { request, denied }
            | FromPortal::UseAnswer { request, denied } => {
                if let Some(answer) = self.asked.remove(&request) {
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(denied);
                }
            }
            FromPortal::EventsKept { up_to } => {
                self.door.events_kept(up_to).await?;
                self.tell_events().await?;
            }
            FromPortal::RelayOpen { channel } => {
                let answer = self.relay.open(channel);
                self.send_some(answer).await?;
            }
            FromPortal::RelayData { channel, bytes } => {
                let answer = self.relay.data(channel, bytes.0);
                self.send_some(answer).await?;
            }
            FromPortal::RelayClose { channel } => self.relay.close(channel),
        }
        Ok(false)
    }

    async fn sign_in(&mut self, nonce: &Base64) -> Result<(), Why> {
        let nonce = nonce.to_array().map_err(|_| Why::Protocol("nonce"))?;
        let message = self.door.sign_in(nonce)?;
        self.send(&message).await
    }

    async fn welcome(&mut self, version: u16) -> Result<(), Why> {
        if self.signed_in || !VERSIONS.contains(&version) {
            return Err(Why::Protocol("welcome"));
        }
        self.signed_in = true;
        self.version = version;
        self.door.report(Report::Portal {
            door: self.door.id(),
            connected: true,
        });
        tracing::info!("signed in at the portal");
        Ok(self.door.in_contact().await?)
    }

    /// Tells what is new.
    async fn tell(&mut self, news: crate::door::News) -> Result<(), Why> {
        if self.state_told != Some(news.state) {
            self.state_told = Some(news.state);
            self.tell_state().await?;
        }
        self.tell_events().await
    }

    /// Tells the state, and all leases that have changed, in as many states as that takes.
    async fn tell_state(&mut self) -> Result<(), Why> {
        loop {
            let told = self
                .door
                .signed_state(Telling::After(self.leases_told))
                .await?;
            let state = Base64(told.state);
            self.send(&FromDoor::State { state }).await?;
            match told.up_to {
                Some(up_to) if told.is_full => self.leases_told = up_to,
                up_to => {
                    self.leases_told = up_to.unwrap_or(self.leases_told);
                    return Ok(());
                }
            }
        }
    }

    /// Hands over the lists that the portal's newest does not answer for.
    async fn tell_lists(&mut self) -> Result<(), Why> {
        if self.version < WITH_LISTS {
            return Ok(());
        }
        for (number, document) in self.door.lists_beside() {
            if self.lists_told.insert(number) {
                let document = Base64(document);
                self.send(&FromDoor::List { document }).await?;
            }
        }
        Ok(())
    }

    /// Sends the next events; what the portal has not kept goes again on the next connection.
    async fn tell_events(&mut self) -> Result<(), Why> {
        let events = self
            .door
            .events_after(self.events_sent, EVENTS_AT_ONCE)
            .await?;
        let Some(last) = events.last() else {
            return Ok(());
        };
        self.events_sent = last.sequence;
        self.send(&FromDoor::Events { events }).await
    }

    async fn ask(&mut self, asked: Asked) -> Result<(), Why> {
        self.requests += 1;
        let request = self.requests;
        self.asked.retain(|_, answer| !answer.is_closed());
        self.asked.insert(request, asked.answer);
        self.send(&match asked.question {
            Question::Code(pass, issued) => FromDoor::CodeCheck {
                request,
                pass,
                issued: centiseconds(issued),
            },
            Question::Use(wanted) => FromDoor::UseWanted {
                request,
                budget: wanted.budget,
                spent: wanted.spent,
            },
        })
        .await
    }

    async fn ask_time(&mut self) -> Result<(), Why> {
        let nonce = self.door.challenge(self.number);
        self.time_open = true;
        self.send(&FromDoor::TimeChallenge {
            nonce: Base64(nonce.to_vec()),
        })
        .await
    }

    async fn beat(&mut self) -> Result<(), Why> {
        if self.silent_beats >= SILENT_BEATS {
            return Err(Why::Silent);
        }
        self.silent_beats += 1;
        if self.signed_in && self.time_open {
            self.ask_time().await?;
        }
        self.put(Message::Ping(Vec::new().into())).await
    }

    async fn send_some(&mut self, message: Option<FromDoor>) -> Result<(), Why> {
        match message {
            Some(message) => self.send(&message).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, message: &FromDoor) -> Result<(), Why> {
        let text = serde_json::to_string(message).map_err(|_| Why::Protocol("own message"))?;
        self.put(Message::Text(text.into())).await
    }

    /// A portal that reads nothing would hold up everything: it has as long as a silent one.
    async fn put(&mut self, message: Message) -> Result<(), Why> {
        let clock = self.door.env().clock.clone();
        match latchkey_env::timeout(&clock, BEAT * SILENT_BEATS, self.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Why::Broken),
            Err(_) => Err(Why::Silent),
        }
    }
}

fn to_bytes(statements: Vec<Base64>) -> Vec<Vec<u8>> {
    statements
        .into_iter()
        .map(|statement| statement.0)
        .collect()
}

fn centiseconds(issued: IssueTime) -> u64 {
    issued.unix_ms() / 10
}
