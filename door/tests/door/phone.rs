//! A phone: Aliro's device side over a stream, and our messages beside it.

use std::sync::{Arc, Mutex};

use aliro::command::Policy;
use aliro::crypto::{PublicKey, RingEntropy};
use aliro::device::{
    Credential, DeviceConfig, Disclosure, Event, Failure, GroupBinding, Memory, Remembered,
    Session, Trust,
};
use aliro::document::{DeviceRequest, DeviceResponse, RawDocument, Timestamp};
use aliro::identifier::{Interface, ReaderIdentifier};
use aliro::keys::BleVersions;
use aliro::message::{Action, MessageBuffer, ReaderState};
use aliro::proprietary::ProprietaryInformation;
use latchkey_protocol::doorstate::{BundleNumber, ListNumber, SignedDoorState};
use latchkey_protocol::grant::{GrantRequest, KeyAt, Lifetime, Place, Rights, prepare};
use latchkey_protocol::hello::{Answer, ClientHello, INTERFACE_STREAM, Parsed, ServerHello};
use latchkey_protocol::ids::{AttemptId, DoorId, DoorNumber, ElementId, PropertyId};
use latchkey_protocol::private::{
    BundlePage, LogParcel, Needs, Outcome, Page, PrivateMessage, ResultRecord,
};
use latchkey_protocol::rules::{AccessRules, Reason};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::property::{BUDGET, Door, Key, Property};

/// A person's phone at one property.
pub(crate) struct Phone {
    property: PropertyId,
    reader_ca: aliro::crypto::PublicKey,
    pub(crate) key: Key,
    /// What signs in the key's place: somebody who has not got it.
    pub(crate) forged_by: Option<Key>,
    pub(crate) element: ElementId,
    pub(crate) grant: Option<RawDocument>,
    pub(crate) interface: u8,
    /// What it brings along.
    list: Vec<u8>,
    statements: Vec<Vec<u8>>,
    /// What it carries of lock sync.
    pub(crate) carries: Carries,
    /// The gesture of the next visit.
    pub(crate) attempt: AttemptId,
    pub(crate) replaces: Vec<AttemptId>,
    /// The `signed` that it says its grant has, in place of the true one.
    pub(crate) boasts: Option<Timestamp>,
    /// Hears that this phone has proved its key; it then says nothing more.
    pub(crate) falls_silent: Option<tokio::sync::mpsc::UnboundedSender<()>>,
    /// Which of its messages is changed on the way, and how.
    pub(crate) tamper: Option<(usize, Tamper)>,
    /// The door that it has met, and by what that door knows it.
    pub(crate) met: Arc<Met>,
}

/// A memory of one door.
#[derive(Debug, Default)]
pub(crate) struct Met {
    what: Mutex<Option<(ReaderIdentifier, Remembered)>>,
    /// What it says now of its grant.
    disclosure: Mutex<Disclosure>,
}

impl Met {
    pub(crate) fn forget(&self) {
        *self.what.lock().unwrap() = None;
    }

    /// The key that both remember.
    pub(crate) fn key(&self) -> Option<[u8; 32]> {
        let what = self.what.lock().unwrap();
        what.as_ref().map(|(_, what)| *what.key.expose())
    }

    /// The same memory, taken to another door.
    pub(crate) fn at(&self, reader: ReaderIdentifier) -> Arc<Self> {
        let what = self.what.lock().unwrap().clone();
        Arc::new(Self {
            what: Mutex::new(what.map(|(_, what)| (reader, what))),
            disclosure: Mutex::default(),
        })
    }
}

impl Memory for Met {
    fn recall(&self, _: &PublicKey, reader: &ReaderIdentifier, _: Policy) -> Option<Remembered> {
        let what = self.what.lock().unwrap();
        let (_, what) = what.as_ref().filter(|(known, _)| known == reader)?;
        Some(Remembered {
            key: what.key.clone(),
            disclosure: *self.disclosure.lock().unwrap(),
        })
    }

    fn remember(&self, _: &PublicKey, reader: &ReaderIdentifier, what: Remembered) {
        *self.what.lock().unwrap() = Some((*reader, what));
    }
}

/// Answers a nonce.
pub(crate) type AnswersTime = Box<dyn Fn([u8; 16]) -> Vec<u8> + Send + Sync>;

/// What a phone with the right to it carries to and from a door.
#[derive(Default)]
pub(crate) struct Carries {
    /// A bundle.
    pub(crate) bundle: Option<Sealed>,
    /// A receipt for the log.
    pub(crate) receipt: Option<Vec<u8>>,
    /// Whether it takes the log along.
    pub(crate) takes_log: bool,
    /// Whether it has come for that alone, and opens nothing.
    pub(crate) only: bool,
    /// What the pages are in place of those that belong to the header.
    pub(crate) pages: Option<Vec<BundlePage>>,
    /// Answers the door's question for the time.
    pub(crate) time: Option<AnswersTime>,
}

/// A bundle as it travels.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) number: BundleNumber,
    pub(crate) header: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Sealed {
    /// All its pages.
    pub(crate) fn pages(&self) -> Vec<BundlePage> {
        BundlePage::cut(self.number, &self.body, None).collect()
    }
}

impl Carries {
    fn anything(&self) -> bool {
        self.bundle.is_some() || self.receipt.is_some() || self.takes_log || self.time.is_some()
    }

    /// What it says to a door that needs this.
    fn answers(&self, needs: &Needs) -> Vec<PrivateMessage> {
        let mut messages = Vec::new();
        if let (Some(answer), Some(nonce)) = (&self.time, needs.time) {
            messages.push(PrivateMessage::Time(answer(nonce)));
        }
        messages.extend(self.receipt.clone().map(PrivateMessage::LogReceipt));
        if let Some(bundle) = &self.bundle {
            let known = needs.assembling.as_ref();
            let known = known.filter(|known| known.number == bundle.number);
            let missing = known.map(|known| &known.missing[..]);
            messages.push(PrivateMessage::BundleHeader(bundle.header.clone()));
            let pages = match &self.pages {
                Some(pages) => pages.clone(),
                None => BundlePage::cut(bundle.number, &bundle.body, missing).collect(),
            };
            messages.extend(pages.into_iter().map(PrivateMessage::BundlePage));
        }
        messages.push(if self.takes_log {
            PrivateMessage::TakeLog { after: 0 }
        } else {
            PrivateMessage::Done
        });
        messages
    }
}

/// What somebody on the way does to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tamper {
    /// Flips a bit of this byte, counted modulo the message's length.
    Flip(usize),
    /// Sends it twice.
    Repeat,
    /// Leaves it out.
    Drop,
}

/// What the phone learned at a door.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    pub(crate) record: Option<ResultRecord>,
    pub(crate) lock: Option<ReaderState>,
    pub(crate) state: Option<SignedDoorState>,
    pub(crate) asked_for_documents: bool,
    /// Whether it had to sign.
    pub(crate) signed: bool,
    pub(crate) failure: Option<Failure>,
    /// How far the door had come, as it said itself.
    pub(crate) needs: Option<Needs>,
    /// What the phone took along of its log.
    pub(crate) log: Vec<LogParcel>,
    /// How many messages it sent, and how long each was.
    pub(crate) sent: usize,
    pub(crate) lengths: Vec<usize>,
}

impl Phone {
    /// With a grant for door 7 and these rules, as JSON.
    pub(crate) fn resident(property: &Property, rules: &str) -> Self {
        let mut phone = Self::stranger(property);
        phone.grant(property, 7, rules);
        phone
    }

    /// With a credential of this property and no grant.
    pub(crate) fn stranger(property: &Property) -> Self {
        let key = Key::new();
        let mut attempt = [0; 16];
        attempt[..15].copy_from_slice(&key.public().x()[..15]);
        Self {
            property: property.id,
            reader_ca: property.reader_ca.public(),
            key,
            forged_by: None,
            element: ElementId([0; 8]),
            grant: None,
            interface: INTERFACE_STREAM,
            list: Vec::new(),
            statements: Vec::new(),
            carries: Carries::default(),
            attempt: AttemptId(attempt),
            replaces: Vec::new(),
            boasts: None,
            falls_silent: None,
            tamper: None,
            met: Arc::default(),
        }
    }

    /// Gets a new grant: 7 days, for one door.
    pub(crate) fn grant(&mut self, property: &Property, door: u16, rules: &str) {
        self.element.0[0] += 1;
        self.element.0[1..].copy_from_slice(&self.key.public().x()[..7]);
        let rules: AccessRules = serde_json::from_str(rules).unwrap();
        let keys = [KeyAt {
            place: Place::Door(DoorNumber(door)),
            id: self.element,
            budget: rules.max_uses().map(|_| BUDGET),
            rules,
            rights: Rights::NONE,
        }];
        let request = GrantRequest {
            issuer: &property.issuer.public(),
            holder: &self.key.public(),
            keys: &keys,
            offsets: &property.offsets,
            lifetime: Lifetime {
                signed: property.now().timestamp(),
                seconds: 7 * 24 * 3600,
                iteration: 1,
            },
        };
        let mut grant = prepare(&request, || [3; 16]).unwrap();
        let unsigned = grant.documents.swap_remove(0).unsigned;
        let signature = property.issuer.sign(&unsigned.to_be_signed());
        self.grant = Some(unsigned.finish(signature).unwrap());
    }

    pub(crate) fn carrying(mut self, list: &[u8]) -> Self {
        self.list = list.to_vec();
        self
    }

    pub(crate) fn with_statements(mut self, statements: Vec<Vec<u8>>) -> Self {
        self.statements = statements;
        self
    }

    pub(crate) fn carries(mut self, carries: Carries) -> Self {
        self.carries = carries;
        self
    }

    /// Makes another gesture.
    pub(crate) fn gesture(mut self, number: u8) -> Self {
        self.attempt.0[15] = number;
        self
    }

    fn disclosure(&self) -> Disclosure {
        let grant = self.grant.as_ref();
        let signed = grant.map(|grant| self.boasts.unwrap_or(grant.signed()).to_bytes());
        Disclosure::documents(signed, None)
    }

    /// Goes to the door and presses the button.
    pub(crate) async fn visit(&self, door: &Door) -> Visit {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (visit, ()) = tokio::join!(self.speak(door.id, near), door.running.serve(far));
        visit
    }

    /// Speaks with whatever door is at the other end.
    pub(crate) async fn speak<S>(&self, door: DoorId, stream: S) -> Visit
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut talk = match Talk::open(self, door, stream).await {
            Some(talk) => talk,
            None => return Visit::default(),
        };
        let events = talk.session.start_rke().unwrap();
        talk.run(events).await;
        talk.visit
    }
}

/// One conversation.
struct Talk<'a, S> {
    phone: &'a Phone,
    stream: S,
    buffer: MessageBuffer,
    session: Session,
    visit: Visit,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Talk<'a, S> {
    async fn open(phone: &'a Phone, door: DoorId, mut stream: S) -> Option<Self> {
        let hello = ClientHello::to(door);
        stream.write_all(&hello.to_bytes()).await.ok()?;
        let mut bytes = Vec::new();
        let (answer, used) = loop {
            match ServerHello::parse(&bytes).unwrap() {
                Parsed::Whole(hello, used) => break (hello, used),
                Parsed::Needs(_) => {
                    let byte = stream.read_u8().await.ok()?;
                    bytes.push(byte);
                }
            }
        };
        assert_eq!(used, bytes.len());
        let Answer::Go { version } = answer.accept(&hello).unwrap() else {
            return None;
        };
        let config = DeviceConfig {
            credentials: vec![Credential {
                public_key: phone.key.public(),
                groups: vec![GroupBinding {
                    group: phone.property.0,
                    trust: Trust::IssuerCa(phone.reader_ca),
                }],
            }],
            proprietary: ProprietaryInformation::new(&[0x0100], None),
            interface: Interface(phone.interface),
            ble_versions: BleVersions {
                offered: answer.offered,
                selected: version,
            },
        };
        Some(Self {
            phone,
            stream,
            buffer: MessageBuffer::new(65_535),
            session: {
                *phone.met.disclosure.lock().unwrap() = phone.disclosure();
                Session::with_memory(config, phone.met.clone(), &RingEntropy::new()).unwrap()
            },
            visit: Visit::default(),
        })
    }

    async fn run(&mut self, events: Vec<Event>) {
        let mut queue = std::collections::VecDeque::from(events);
        loop {
            while let Some(event) = queue.pop_front() {
                if matches!(event, Event::Closed) {
                    let _ = self.stream.shutdown().await;
                    return;
                }
                queue.extend(self.carry_out(event).await);
            }
            let message = loop {
                if let Some(message) = self.buffer.next_message().unwrap() {
                    break message;
                }
                let mut piece = [0; 4096];
                match self.stream.read(&mut piece).await {
                    Ok(count) if count > 0 => self.buffer.push(&piece[..count]),
                    _ => return,
                }
            };
            queue.extend(self.session.on_message(&message));
        }
    }

    async fn carry_out(&mut self, event: Event) -> Vec<Event> {
        match event {
            Event::Send(message) => {
                self.send(message).await;
                Vec::new()
            }
            Event::ReaderAuthenticated(reader) => {
                assert_eq!(reader.identifier.group, self.phone.property.0);
                self.session.approve(self.phone.disclosure()).unwrap()
            }
            Event::Sign { message, .. } => {
                self.visit.signed = true;
                let signer = self.phone.forged_by.as_ref().unwrap_or(&self.phone.key);
                self.session.signed(signer.sign(&message)).unwrap()
            }
            Event::DocumentsRequested(request) => {
                self.visit.asked_for_documents = true;
                let asked = DeviceRequest::decode(&request).unwrap().access;
                let shown = self
                    .phone
                    .grant
                    .as_ref()
                    .and_then(|grant| grant.select(&asked));
                let mut response = DeviceResponse::of_status(0);
                response.documents.extend(shown);
                self.session.documents(&response.encode()).unwrap()
            }
            Event::AccessCompleted { .. } => {
                if let Some(proved) = &self.phone.falls_silent {
                    proved.send(()).unwrap();
                    return Vec::new();
                }
                if self.phone.carries.only {
                    return self.say([PrivateMessage::Carry]);
                }
                let commit = PrivateMessage::Commit {
                    attempt: self.phone.attempt,
                    replaces: self.phone.replaces.clone(),
                };
                let mut events = self.session.send_third_party(&commit.encode()).unwrap();
                events.extend(self.session.rke_request(Action::Unsecure).unwrap());
                events
            }
            Event::StatusChanged { state, .. } => {
                self.visit.lock = Some(state);
                if state == ReaderState::Jammed {
                    return vec![Event::Closed];
                }
                Vec::new()
            }
            Event::ThirdParty(bytes) => self.told(PrivateMessage::decode(&bytes).unwrap()),
            Event::Failed(failure) => {
                self.visit.failure = Some(failure);
                Vec::new()
            }
            Event::Notified(_) | Event::Busy | Event::Closed => Vec::new(),
        }
    }

    fn told(&mut self, message: PrivateMessage) -> Vec<Event> {
        match message {
            PrivateMessage::Result(record) => {
                let state = record.state.as_ref().expect("the door's state");
                self.visit.state = Some(SignedDoorState::from_bytes(state).unwrap());
                self.visit.record = Some(record);
                if self.phone.carries.anything() {
                    return self.say([PrivateMessage::Carry]);
                }
                let list = ListNumber {
                    epoch: 1,
                    version: 99,
                };
                let pages = Page::cut(list, &self.phone.list).into_iter();
                let pages = pages.map(PrivateMessage::RevocationPage);
                let statements = PrivateMessage::statements(self.phone.statements.iter().cloned());
                self.say(pages.chain(statements).chain([PrivateMessage::Done]))
            }
            PrivateMessage::Needs(needs) => {
                let answers = self.phone.carries.answers(&needs);
                self.visit.needs = Some(*needs);
                self.say(answers)
            }
            PrivateMessage::Log(Some(parcel)) => {
                let after = parcel.up_to;
                self.visit.log.push(parcel);
                self.say([PrivateMessage::TakeLog { after }])
            }
            PrivateMessage::Log(None) => self.say([PrivateMessage::Done]),
            PrivateMessage::State(state) => {
                self.visit.state = Some(SignedDoorState::from_bytes(&state).unwrap());
                Vec::new()
            }
            PrivateMessage::Done => vec![Event::Closed],
            other => panic!("a door does not say {other:?}"),
        }
    }

    fn say(&mut self, messages: impl IntoIterator<Item = PrivateMessage>) -> Vec<Event> {
        messages
            .into_iter()
            .flat_map(|message| self.session.send_third_party(&message.encode()).unwrap())
            .collect()
    }

    async fn send(&mut self, mut message: Vec<u8>) {
        let mut times = 1;
        if let Some((at, tamper)) = self.phone.tamper
            && at == self.visit.sent
        {
            match tamper {
                Tamper::Flip(byte) => {
                    let byte = byte % message.len();
                    message[byte] ^= 1;
                }
                Tamper::Repeat => times = 2,
                Tamper::Drop => times = 0,
            }
        }
        self.visit.sent += 1;
        self.visit.lengths.push(message.len());
        for _ in 0..times {
            // The door may have hung up.
            let _ = self.stream.write_all(&message).await;
        }
    }
}

/// Carries bytes both ways like a relay, but calls `meanwhile` before it lets the phone's message
/// of this number through.
pub(crate) async fn hold_back(
    phone: tokio::io::DuplexStream,
    door: tokio::io::DuplexStream,
    number: usize,
    meanwhile: impl FnOnce(),
) {
    let (mut from_phone, mut to_phone) = tokio::io::split(phone);
    let (mut from_door, mut to_door) = tokio::io::split(door);
    let up = async {
        let mut hello = [0; 9 + 2 + DoorId::LEN];
        from_phone.read_exact(&mut hello).await.unwrap();
        to_door.write_all(&hello).await.unwrap();
        let mut buffer = MessageBuffer::new(65_535);
        let (mut seen, mut meanwhile) = (0, Some(meanwhile));
        let mut piece = [0; 4096];
        while let Ok(count) = from_phone.read(&mut piece).await
            && count > 0
        {
            buffer.push(&piece[..count]);
            while let Some(message) = buffer.next_message().unwrap() {
                if seen == number
                    && let Some(meanwhile) = meanwhile.take()
                {
                    meanwhile();
                }
                seen += 1;
                if to_door.write_all(&message).await.is_err() {
                    return;
                }
            }
        }
    };
    let down = async {
        let _ = tokio::io::copy(&mut from_door, &mut to_phone).await;
        let _ = to_phone.shutdown().await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

/// Why the door refused; none when it opened.
pub(crate) fn denied(visit: &Visit) -> Option<Reason> {
    match visit
        .record
        .as_ref()
        .expect("the door has answered")
        .outcome
    {
        Outcome::Opened { .. } => None,
        Outcome::Denied { reason, .. } => Some(reason),
    }
}
