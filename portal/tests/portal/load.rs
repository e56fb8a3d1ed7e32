//! A portal's everyday work, all at once, against a portal that may go away or refuse at any moment: people are
//! entered, keys issued and withdrawn, tokens renewed, events reported. What was acknowledged is written down, what was
//! not is asked for again in the same words, and in the end all must be there, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey_env::{SystemClock, SystemRandom, random_array, sleep};
use latchkey_protocol::api::events::Means;
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::api::people::Person;
use latchkey_protocol::api::sync::{Entity, EntityKind};
use latchkey_protocol::doorlink::{DoorEvent, FromDoor, FromPortal, Subject};
use latchkey_protocol::ids::{DoorId, EventId, KeyId, PersonId, PropertyId};
use latchkey_protocol::proof::KeyKind;
use latchkey_protocol::rules::{Reason, Status};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Answer, Device, Key as Software};
use crate::door::{Door, Line};
use crate::program::Serving;
use crate::world::{INSTALLER, MANAGER, OWNER, RESIDENT, STAFF};

/// The pause before something that found nobody is tried again.
const AGAIN: Duration = Duration::from_millis(5);

/// The work, and what came of it so far.
pub(crate) struct Load {
    property: PropertyId,
    workers: Vec<Worker>,
    told: Arc<Told>,
    /// Looks at all that changes.
    observer: Device,
    cursor: Option<String>,
    seen: BTreeMap<(EntityKind, String), Option<Entity>>,
}

/// What the portal has acknowledged.
#[derive(Default)]
pub(crate) struct Told {
    acknowledged: Mutex<Acknowledged>,
    /// How much was, and how much was refused.
    pub(crate) count: watch::Sender<u64>,
    refused: watch::Sender<u64>,
    /// In which words.
    details: Mutex<BTreeSet<String>>,
}

#[derive(Default)]
struct Acknowledged {
    people: BTreeSet<String>,
    issued: BTreeSet<KeyId>,
    withdrawn: BTreeSet<KeyId>,
    events: BTreeSet<EventId>,
    /// What was signed under each number.
    signed: BTreeMap<String, Vec<u8>>,
}

enum Worker {
    Writer(Box<Writer>),
    Door(Box<Reporter>),
}

impl Load {
    /// Signs everybody in and puts a door to work.
    pub(crate) async fn prepare(serving: &Serving) -> Self {
        let observer = serving.sign_in(OWNER).await;
        let property = observer.me().await.memberships[0].property;
        let installer = serving.sign_in(INSTALLER).await;
        let door = Door::install_by(&installer, property, "North gate").await;
        let rita = serving.sign_in(RESIDENT).await;
        let phone = Software::new();
        let body = rita
            .registration_at(property, KeyKind::AccessCredential, &phone)
            .await;
        let path = format!("/v1/properties/{property}");
        let registered = rita.post(&format!("{path}/credentials"), body).await;
        assert!(registered.status.is_success(), "{}", registered.text());
        let people: Value = observer.get(&format!("{path}/people")).await.ok();
        let all = people["items"].as_array().unwrap();
        let hers = all.iter().find(|it| it["name"] == "Rita Resident").unwrap();
        let hers: PersonId = hers["id"].as_str().unwrap().parse().unwrap();
        let mut workers = vec![Worker::Door(Box::new(Reporter::new(door)))];
        for (at, who) in [MANAGER, STAFF, STAFF].into_iter().enumerate() {
            let device = serving.sign_in(who).await;
            workers.push(Worker::Writer(Box::new(Writer {
                device,
                path: path.clone(),
                name: format!("Writer {at}"),
                door: first_door(&observer, &path).await,
                resident: hers,
                entered: hers,
                count: 0,
                asked: None,
                issued: None,
            })));
        }
        Self {
            property,
            workers,
            told: Arc::default(),
            observer,
            cursor: None,
            seen: BTreeMap::new(),
        }
    }

    pub(crate) fn told(&self) -> Arc<Told> {
        self.told.clone()
    }

    /// Everybody works at the portal at this address until `done` is.
    pub(crate) async fn drive<T>(&mut self, url: &str, done: impl Future<Output = T>) -> T {
        let (stop, stopped) = watch::channel(false);
        let mut working = JoinSet::new();
        for mut worker in self.workers.drain(..) {
            let (url, told, stopped) = (url.to_owned(), self.told.clone(), stopped.clone());
            working.spawn(async move {
                match &mut worker {
                    Worker::Writer(writer) => writer.work(&url, &told, &stopped).await,
                    Worker::Door(reporter) => reporter.work(&url, &told, &stopped).await,
                }
                worker
            });
        }
        let done = tokio::select! {
            done = done => done,
            // Nobody stops before: it failed, and the test with it.
            Some(ended) = working.join_next() => panic!("{:?}", ended.map(drop)),
        };
        stop.send_replace(true);
        self.workers = working.join_all().await;
        done
    }

    /// All that was acknowledged is there, all is there once, and nothing else was seen to come back or to go: looked
    /// at from where the last look ended.
    pub(crate) async fn check(&mut self, url: &str) {
        self.observer.move_to(url);
        let renewed = self.observer.refresh_with(&self.observer.refresh).await;
        self.observer.take(&renewed);
        let page = self
            .observer
            .sync_at(self.property, self.cursor.as_deref())
            .await;
        self.cursor = Some(page.cursor);
        for change in page.changes {
            self.seen.insert((change.kind, change.id), change.value);
        }
        let mut people: BTreeMap<&str, u32> = BTreeMap::new();
        let mut keys: BTreeMap<KeyId, Status> = BTreeMap::new();
        let mut events = BTreeSet::new();
        for entity in self.seen.values().flatten() {
            match entity {
                Entity::Person(person) => *people.entry(&person.name).or_default() += 1,
                Entity::Key(key) => {
                    assert!(!key.persons.is_empty(), "half a key: {key:?}");
                    keys.insert(key.id, key.status);
                }
                Entity::Event(event) => {
                    events.insert(event.id);
                }
                _ => {}
            }
        }
        assert!(people.values().all(|&count| count == 1), "{people:?}");
        let told = self.told.acknowledged.lock().unwrap();
        let lost: Vec<_> = told
            .people
            .iter()
            .filter(|name| !people.contains_key(name.as_str()))
            .collect();
        assert!(lost.is_empty(), "people were lost: {lost:?}");
        for id in &told.issued {
            assert!(keys.contains_key(id), "a key was lost: {id}");
        }
        for id in &told.withdrawn {
            assert_eq!(keys[id], Status::Revoked, "a withdrawal was lost: {id}");
        }
        let lost: Vec<_> = told.events.difference(&events).collect();
        assert!(lost.is_empty(), "events were lost: {lost:?}");
    }

    /// A look at everything from the beginning shows what was seen bit by bit.
    pub(crate) async fn check_all(&mut self, url: &str) {
        self.check(url).await;
        let all = self.observer.sync_at(self.property, None).await;
        for change in all.changes {
            let seen = self.seen.get(&(change.kind, change.id.clone()));
            let seen = seen.cloned().map(without_contact);
            let all = without_contact(change.value);
            assert_eq!(seen, Some(all), "{:?} {}", change.kind, change.id);
        }
    }
}

/// The same without when doors were last heard of, which nobody is told of each time.
fn without_contact(mut entity: Option<Entity>) -> Option<Entity> {
    match &mut entity {
        Some(Entity::Door(door)) => (door.last_contact, door.connected) = (None, false),
        Some(Entity::Key(key)) => {
            let doors = key.withdrawal.iter_mut().flat_map(|it| &mut it.doors);
            doors.for_each(|door| door.last_contact = None);
        }
        _ => {}
    }
    entity
}

async fn first_door(device: &Device, path: &str) -> DoorId {
    let doors: Value = device.get(&format!("{path}/doors")).await.ok();
    doors["items"][0]["id"].as_str().unwrap().parse().unwrap()
}

impl Told {
    fn note(&self, note: impl FnOnce(&mut Acknowledged)) {
        note(&mut self.acknowledged.lock().unwrap());
        self.count.send_modify(|count| *count += 1);
    }

    /// Waits until so much more was acknowledged.
    pub(crate) async fn more(&self, count: u64) {
        grown(&self.count, count).await;
    }

    /// Waits until so much more was refused.
    pub(crate) async fn more_refused(&self, count: u64) {
        grown(&self.refused, count).await;
    }

    /// Whether something was refused in these words.
    pub(crate) fn was_refused_with(&self, words: &str) -> bool {
        let details = self.details.lock().unwrap();
        details.iter().any(|detail| detail.contains(words))
    }
}

async fn grown(counter: &watch::Sender<u64>, by: u64) {
    let mut counted = counter.subscribe();
    let enough = *counted.borrow() + by;
    counted.wait_for(|count| *count >= enough).await.unwrap();
}

/// One of the staff, who does one thing after the other.
struct Writer {
    device: Device,
    path: String,
    name: String,
    door: DoorId,
    resident: PersonId,
    /// Whoever was entered last.
    entered: PersonId,
    count: u32,
    /// What was asked for and not answered.
    asked: Option<Asked>,
    /// A key of the resident's that is to be withdrawn.
    issued: Option<KeyId>,
}

#[derive(Clone)]
struct Asked {
    what: What,
    method: Method,
    path: String,
    body: Option<Value>,
    key: String,
}

#[derive(Clone, Copy)]
enum What {
    Person,
    Key,
    ResidentsKey,
    Withdrawal(KeyId),
    Tokens,
}

impl Writer {
    async fn work(&mut self, url: &str, told: &Told, stopped: &watch::Receiver<bool>) {
        self.device.move_to(url);
        while !*stopped.borrow() {
            let asked = match self.asked.take() {
                Some(asked) => asked,
                None => self.next(),
            };
            self.asked = Some(asked.clone());
            match self.ask(&asked).await {
                Some(answer) if answer.status.is_success() => {
                    self.asked = None;
                    self.answered(&asked, &answer, told);
                }
                Some(answer) => {
                    // Refused for now, and in words.
                    let problem = answer.problem();
                    let is_passing = ["store-unavailable", "signer-unavailable"];
                    assert!(is_passing.contains(&&*problem), "{}", answer.text());
                    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
                    let said: Value = serde_json::from_slice(&answer.body).unwrap();
                    let detail = said["detail"].as_str().map(str::to_owned);
                    told.details.lock().unwrap().extend(detail);
                    told.refused.send_modify(|refused| *refused += 1);
                    sleep(&SystemClock, AGAIN).await;
                }
                None => sleep(&SystemClock, AGAIN).await,
            }
        }
    }

    fn next(&mut self) -> Asked {
        self.count += 1;
        let what = match (self.count % 5, self.issued) {
            (1, _) => What::Person,
            (2, _) => What::Key,
            (3, _) => What::ResidentsKey,
            (4, Some(key)) => What::Withdrawal(key),
            _ => What::Tokens,
        };
        let issue = |holder: PersonId| {
            json!({
                "name": format!("{} {}", self.name, self.count),
                "kind": "mobile",
                "persons": [holder],
                "doors": { "some": [self.door] },
            })
        };
        let (method, path, body) = match what {
            What::Person => {
                let name = format!("{} {}", self.name, self.count);
                let body = json!({ "name": name, "role": "resident" });
                (Method::POST, "/people".to_owned(), Some(body))
            }
            What::Key => (Method::POST, "/keys".to_owned(), Some(issue(self.entered))),
            What::ResidentsKey => (Method::POST, "/keys".to_owned(), Some(issue(self.resident))),
            What::Withdrawal(key) => (Method::DELETE, format!("/keys/{key}"), None),
            What::Tokens => (Method::POST, String::new(), None),
        };
        Asked {
            what,
            method,
            path: format!("{}{path}", self.path),
            body,
            key: format!("load-{}", hex::encode(random_array::<8>(&SystemRandom))),
        }
    }

    async fn ask(&self, asked: &Asked) -> Option<Answer> {
        if let What::Tokens = asked.what {
            return self.device.try_refresh_with(&self.device.refresh).await;
        }
        let (method, body) = (asked.method.clone(), asked.body.clone());
        let key = Some(&*asked.key);
        self.device
            .try_call_with_key(method, &asked.path, body, key)
            .await
    }

    fn answered(&mut self, asked: &Asked, answer: &Answer, told: &Told) {
        match asked.what {
            What::Person => {
                let person: Person = answer.ok();
                self.entered = person.id;
                told.note(|it| {
                    it.people.insert(person.name);
                });
            }
            What::Key | What::ResidentsKey => {
                let key: Key = answer.ok();
                if let What::ResidentsKey = asked.what {
                    self.issued = Some(key.id);
                }
                told.note(|it| {
                    it.issued.insert(key.id);
                });
            }
            What::Withdrawal(id) => {
                self.issued = None;
                told.note(|it| {
                    it.withdrawn.insert(id);
                });
            }
            What::Tokens => {
                self.device.take(answer);
                told.note(|_| {});
            }
        }
    }
}

/// A door's controller that reports what happens, and reads what was signed for it.
struct Reporter {
    door: Door,
    sequence: u64,
    /// What the portal has not said that it keeps.
    unkept: Vec<DoorEvent>,
}

impl Reporter {
    fn new(door: Door) -> Self {
        Self {
            door,
            sequence: 0,
            unkept: Vec::new(),
        }
    }

    async fn work(&mut self, url: &str, told: &Told, stopped: &watch::Receiver<bool>) {
        while !*stopped.borrow() {
            self.line(url, told, stopped).await;
            sleep(&SystemClock, AGAIN).await;
        }
    }

    /// One line, until it breaks.
    async fn line(
        &mut self,
        url: &str,
        told: &Told,
        stopped: &watch::Receiver<bool>,
    ) -> Option<()> {
        let mut line = Line::try_open_at(url).await?;
        line.try_sign_in(&self.door).await?;
        while !*stopped.borrow() {
            if let Some(up_to) = self.hear(&mut line, told).await? {
                let (kept, unkept) = std::mem::take(&mut self.unkept)
                    .into_iter()
                    .partition(|event| event.sequence <= up_to);
                self.unkept = unkept;
                told.note(|it| it.events.extend(ids(kept)));
            }
            self.happen();
            let events = self.unkept.clone();
            line.try_say(&FromDoor::Events { events }).await?;
        }
        Some(())
    }

    /// Up to which event the portal says that it keeps them.
    async fn hear(&mut self, line: &mut Line, told: &Told) -> Option<Option<u64>> {
        loop {
            let message = line.try_next().await?;
            self.door.take(&message);
            match message {
                FromPortal::Welcome { .. } => return Some(None),
                FromPortal::EventsKept { up_to } => return Some(Some(up_to)),
                FromPortal::Revocation { document } => {
                    let number = self.door.state.list;
                    let mut acknowledged = told.acknowledged.lock().unwrap();
                    let signed = &mut acknowledged.signed;
                    let first = signed
                        .entry(format!("{number:?}"))
                        .or_insert(document.0.clone());
                    assert_eq!(*first, document.0, "two lists {number:?}");
                }
                _ => {}
            }
        }
    }

    fn happen(&mut self) {
        for _ in 0..3 {
            self.sequence += 1;
            self.unkept.push(DoorEvent {
                id: EventId(random_array(&SystemRandom)),
                sequence: self.sequence,
                at_ms: 1_800_000_000_000,
                clock_unsure: false,
                means: Means::Stream,
                subject: Subject::Stranger,
                attempt: None,
                denied: Some(Reason::Unknown),
            });
        }
    }
}

fn ids(events: Vec<DoorEvent>) -> impl Iterator<Item = EventId> {
    events.into_iter().map(|event| event.id)
}
