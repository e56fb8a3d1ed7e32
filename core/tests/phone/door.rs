//! A door in a test's hand: `aliro::reader::Session` behind a TCP listener, with a certificate by the
//! property's reader CA. It records every byte that phones send.

use std::sync::{Arc, Mutex};

use aliro::certificate::CertificateRequest;
use aliro::crypto::{PublicKey, RingEntropy};
use aliro::document::DeviceRequest;
use aliro::identifier::{Interface, ReaderIdentifier};
use aliro::keys::BleVersions;
use aliro::message::{MessageBuffer, OperationSource, ReaderState, Reporting};
use aliro::reader::{
    Authenticated, BoundedMemory, CertificateDelivery, Event, Failure, Phase, ReaderConfig,
    ReaderKey, Session,
};
use latchkey_protocol::doorstate::{BundleNumber, ListNumber, StatementNumbers};
use latchkey_protocol::grant::asked_elements;
use latchkey_protocol::hello::{Answer, ClientHello, INTERFACE_STREAM, Parsed, SUPPORTED};
use latchkey_protocol::ids::{AttemptId, DoorId, DoorNumber, EventId, Generation, sub_identifier};
use latchkey_protocol::private::{
    Assembling, BundlePage, LogParcel, LogReach, MAX_MESSAGE, Needs, Outcome, Page, PageAssembler,
    PrivateMessage, ResultRecord, Wants,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{PROPERTY, Signer, World};

/// How a door behaves.
#[derive(Clone)]
pub(crate) struct Script {
    /// Which door it says it is, and its certificate says.
    pub(crate) door: DoorId,
    pub(crate) generation: Generation,
    /// Which door it says it is in the hello.
    pub(crate) hello_as: DoorId,
    pub(crate) offered: Vec<u16>,
    /// Aliro's interface byte.
    pub(crate) interface: u8,
    pub(crate) outcome: Outcome,
    pub(crate) wants: Wants,
    /// Never says a word.
    pub(crate) silent: bool,
    /// Hangs up this often after the commit, instead of answering.
    pub(crate) lose_answers: u32,
    /// What it asks for in step-up.
    pub(crate) asks: Vec<String>,
    /// By what it knows phones again; none asks for a signature each time.
    pub(crate) memory: Option<Arc<BoundedMemory>>,
    /// Whether a phone that it knows has to sign all the same.
    pub(crate) insists: bool,
    /// Whether it knows of lock sync; an older door does not.
    pub(crate) knows_lock_sync: bool,
    /// What it needs beside what it wants, and how far its log reaches.
    pub(crate) bundle_after: BundleNumber,
    pub(crate) assembling: Option<Assembling>,
    pub(crate) log: LogReach,
}

impl Script {
    pub(crate) fn opening(door: DoorId, number: u16) -> Self {
        Self {
            door,
            generation: Generation(1),
            hello_as: door,
            offered: SUPPORTED.to_vec(),
            interface: INTERFACE_STREAM,
            outcome: Outcome::Opened { until: None },
            wants: Wants::default(),
            silent: false,
            lose_answers: 0,
            asks: asked_elements(DoorNumber(number)),
            memory: None,
            insists: false,
            knows_lock_sync: true,
            bundle_after: BundleNumber::default(),
            assembling: None,
            log: LogReach::default(),
        }
    }

    /// One that knows phones again.
    pub(crate) fn remembering(door: DoorId, number: u16) -> Self {
        Self {
            memory: Some(Arc::new(BoundedMemory::new(16))),
            ..Self::opening(door, number)
        }
    }
}

/// What a door has seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Every byte that phones sent, connection by connection.
    pub(crate) bytes: Vec<Vec<u8>>,
    /// What phones sent after the door had proved itself, as messages.
    pub after_auth1: Vec<Vec<u8>>,
    pub(crate) credentials: Vec<PublicKey>,
    /// How each was known, and what it said of its documents.
    pub(crate) known: Vec<Authenticated>,
    /// Element names of the documents that came, and the documents' bytes.
    pub(crate) documents: Vec<(Vec<String>, Vec<u8>)>,
    pub(crate) commits: Vec<(AttemptId, Vec<AttemptId>)>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) list: Option<Vec<u8>>,
    pub(crate) statements: Vec<Vec<u8>>,
    /// How often a phone came to carry, and what it brought of lock sync.
    pub(crate) carries: u32,
    pub(crate) headers: Vec<Vec<u8>>,
    pub(crate) pages: Vec<BundlePage>,
    pub(crate) receipts: Vec<Vec<u8>>,
    /// After which entries it was asked for its log.
    pub(crate) log_after: Vec<u64>,
    pub(crate) parted: u32,
}

pub(crate) struct TestDoor {
    pub(crate) address: String,
    pub(crate) script: Script,
    pub(crate) seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for TestDoor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TestDoor {
    /// A door whose certificate is by the world's reader CA.
    pub(crate) async fn start(world: &World, script: Script) -> Self {
        Self::certified_by(&world.reader_ca, script).await
    }

    pub(crate) async fn certified_by(ca: &Signer, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let key = Signer::new();
        let sub = sub_identifier(script.door, script.generation);
        let name: String = sub.iter().map(|byte| format!("{byte:02x}")).collect();
        let request = CertificateRequest::new(key.public())
            .subject(&name)
            .unwrap();
        let signature = ca.sign(&request.to_be_signed(&ca.public()));
        let config = ReaderConfig {
            interface: Interface(script.interface),
            ..ReaderConfig::new(
                ReaderIdentifier::new(PROPERTY.0, sub),
                ReaderKey::Certified {
                    certificate: request.assemble(&signature).compress(),
                    issuer: ca.public(),
                    delivery: CertificateDelivery::LoadCert,
                },
            )
        };
        let connections = seen.clone();
        let kept = script.clone();
        let task = tokio::spawn(async move {
            let (mut script, key) = (script, Arc::new(key));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.lock().unwrap().bytes.push(Vec::new());
                let conversation = Conversation {
                    stream,
                    script: script.clone(),
                    key: key.clone(),
                    seen: connections.clone(),
                };
                script.lose_answers = script.lose_answers.saturating_sub(1);
                tokio::spawn(conversation.run(config.clone()));
            }
        });
        Self {
            address,
            script: kept,
            seen,
            task,
        }
    }
}

impl TestDoor {
    /// Waits until the door has seen this.
    pub(crate) async fn until(&self, seen: impl Fn(&Seen) -> bool) {
        while !seen(&self.seen.lock().unwrap()) {
            tokio::task::yield_now().await;
        }
    }
}

struct Conversation {
    stream: TcpStream,
    script: Script,
    key: Arc<Signer>,
    seen: Arc<Mutex<Seen>>,
}

impl Conversation {
    async fn run(mut self, mut config: ReaderConfig) -> Option<()> {
        let mut bytes = Vec::new();
        let hello = loop {
            match ClientHello::parse(&bytes).unwrap() {
                Parsed::Whole(hello, used) => {
                    bytes.drain(..used);
                    break hello;
                }
                Parsed::Needs(_) => bytes.extend(self.read().await?),
            }
        };
        if self.script.silent {
            while self.read().await.is_some() {}
            return None;
        }
        let answer = hello.answer(&self.script.offered, self.script.hello_as);
        self.stream.write_all(&answer.to_bytes()).await.ok()?;
        let Answer::Go { version } = answer.answer else {
            return None;
        };
        config.ble_versions = BleVersions {
            offered: answer.offered,
            selected: version,
        };
        let entropy = RingEntropy::new();
        let mut session = match self.script.memory.clone() {
            Some(memory) => Session::with_memory(config, memory, &entropy).unwrap(),
            None => Session::new(config, &entropy).unwrap(),
        };
        let mut buffer = MessageBuffer::new(MAX_MESSAGE + 16);
        buffer.push(&bytes);
        let mut assembler = PageAssembler::new();
        let mut commit = None;
        let mut proved = false;
        loop {
            while let Some(message) = buffer.next_message().unwrap() {
                if proved {
                    self.seen.lock().unwrap().after_auth1.push(message.clone());
                }
                let mut events = std::collections::VecDeque::from(session.on_message(&message));
                while let Some(event) = events.pop_front() {
                    let next = match event {
                        Event::Send(message) => {
                            self.stream.write_all(&message).await.ok()?;
                            Vec::new()
                        }
                        Event::Sign(message) => {
                            proved = true;
                            session.signed(self.key.sign(&message)).unwrap()
                        }
                        Event::Authenticated(device) => {
                            self.note(&device);
                            if device.phase == Phase::Fast {
                                let next = match self.script.insists {
                                    true => session.prove(),
                                    false => session
                                        .complete(ReaderState::Secured, Reporting::ThisDevice),
                                };
                                events.extend(next.unwrap());
                                continue;
                            }
                            let request = DeviceRequest {
                                access: self.script.asks.clone(),
                                revocation: Vec::new(),
                            };
                            session.request_documents(&request.encode()).unwrap()
                        }
                        Event::Documents(response) => {
                            self.keep_documents(&response);
                            session
                                .complete(ReaderState::Secured, Reporting::ThisDevice)
                                .unwrap()
                        }
                        Event::Completed | Event::Exchanged(_) => Vec::new(),
                        Event::ThirdParty(bytes) => match PrivateMessage::decode(&bytes).unwrap() {
                            PrivateMessage::Commit { attempt, replaces } => {
                                commit = Some(attempt);
                                let mut seen = self.seen.lock().unwrap();
                                seen.commits.push((attempt, replaces));
                                Vec::new()
                            }
                            PrivateMessage::RevocationPage(page) => {
                                self.keep_page(&mut assembler, page);
                                Vec::new()
                            }
                            PrivateMessage::Statements(all) => {
                                self.seen.lock().unwrap().statements.extend(all);
                                Vec::new()
                            }
                            PrivateMessage::Done => {
                                self.seen.lock().unwrap().parted += 1;
                                let state = PrivateMessage::State(b"later state".to_vec());
                                let mut events = session.send_third_party(&state.encode()).unwrap();
                                let done = PrivateMessage::Done.encode();
                                events.extend(session.send_third_party(&done).unwrap());
                                events
                            }
                            other => {
                                let answer = self.lock_sync(other);
                                let answer = answer.map(|answer| answer.encode());
                                let sent = answer.map(|answer| session.send_third_party(&answer));
                                sent.map_or_else(Vec::new, Result::unwrap)
                            }
                        },
                        Event::RkeRequest { .. } if self.script.lose_answers > 0 => return None,
                        Event::RkeRequest { .. } => self.answer(&mut session, commit.unwrap()),
                        Event::Failed(failure) => {
                            self.seen.lock().unwrap().failures.push(failure);
                            Vec::new()
                        }
                        Event::Closed => return None,
                    };
                    events.extend(next);
                }
            }
            let piece = self.read().await?;
            buffer.push(&piece);
        }
    }

    fn lock_sync(&self, message: PrivateMessage) -> Option<PrivateMessage> {
        let mut seen = self.seen.lock().unwrap();
        let script = &self.script;
        match message {
            PrivateMessage::Carry => {
                seen.carries += 1;
                script.knows_lock_sync.then(|| {
                    PrivateMessage::Needs(Box::new(Needs {
                        generation: script.generation,
                        list_after: script.wants.list_after,
                        statements_after: script.wants.statements_after,
                        bundle_after: script.bundle_after,
                        assembling: script.assembling.clone(),
                        log: script.log,
                        time: None,
                    }))
                })
            }
            PrivateMessage::BundleHeader(header) => {
                seen.headers.push(header);
                None
            }
            PrivateMessage::BundlePage(page) => {
                seen.pages.push(page);
                None
            }
            PrivateMessage::LogReceipt(receipt) => {
                seen.receipts.push(receipt);
                None
            }
            // Ten entries a parcel.
            PrivateMessage::TakeLog { after } => {
                seen.log_after.push(after);
                let after = after.max(script.log.kept);
                Some(PrivateMessage::Log((after < script.log.last).then(|| {
                    let up_to = (after + 10).min(script.log.last);
                    LogParcel {
                        up_to,
                        sealed: format!("entries up to {up_to}").into_bytes(),
                    }
                })))
            }
            other => panic!("{other:?}"),
        }
    }

    async fn read(&mut self) -> Option<Vec<u8>> {
        let mut piece = vec![0; 4096];
        let count = self.stream.read(&mut piece).await.ok()?;
        piece.truncate(count);
        let mut seen = self.seen.lock().unwrap();
        seen.bytes.last_mut().unwrap().extend_from_slice(&piece);
        (count > 0).then_some(piece)
    }

    fn answer(&self, session: &mut Session, attempt: AttemptId) -> Vec<Event> {
        let state = match self.script.outcome {
            Outcome::Opened { .. } => ReaderState::Unsecured,
            Outcome::Denied { .. } => ReaderState::Secured,
        };
        let mut events = session
            .send_status_changed(OperationSource::ThisDeviceRke, state)
            .unwrap();
        let record = PrivateMessage::Result(ResultRecord {
            attempt,
            outcome: self.script.outcome,
            event: EventId([7; 16]),
            state: Some(b"signed state".to_vec()),
            wants: self.script.wants,
        });
        events.extend(session.send_third_party(&record.encode()).unwrap());
        events
    }

    fn note(&self, device: &Authenticated) {
        let mut seen = self.seen.lock().unwrap();
        seen.credentials.push(device.credential);
        seen.known.push(device.clone());
    }

    fn keep_documents(&self, response: &[u8]) {
        let response = aliro::document::DeviceResponse::decode(response).unwrap();
        for document in response.documents {
            let names = document.identifiers().map(str::to_owned).collect();
            let bytes = document.as_bytes().to_vec();
            self.seen.lock().unwrap().documents.push((names, bytes));
        }
    }

    fn keep_page(&self, assembler: &mut PageAssembler, page: Page) {
        if let Some(list) = assembler.take(page) {
            self.seen.lock().unwrap().list = Some(list);
        }
    }
}

/// A door that lacks everything.
pub(crate) fn wants_all() -> Wants {
    Wants {
        list_after: ListNumber::default(),
        statements_after: StatementNumbers::default(),
    }
}
