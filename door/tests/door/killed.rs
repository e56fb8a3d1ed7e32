//! Killed at any moment, by a signal that nothing can catch, while people come with codes and phones: the controller
//! starts by itself, what it said is there, no code opens twice, and a use is spent exactly where an opening is in the
//! log. `LATCHKEY_KILLS` says how often.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aliro::crypto::PublicKey;
use chrono::{DateTime, TimeDelta, Utc};
use latchkey_env::{Clock as _, SystemClock, SystemRandom, random_array, sleep};
use latchkey_protocol::bundle::{Content, Draft};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::commissioning::SignedOffer;
use latchkey_protocol::doorstate::{BundleNumber, ListNumber};
use latchkey_protocol::ids::{AttemptId, EventId, Generation, PassId};
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::statement::{Body, DoorSettings};
use latchkey_protocol::uses::{Ceiling, LeaseNumber};
use latchkey_test_faults::{Dice, Process, kills};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::guest::Guest;
use crate::phone::{Carries, Phone};
use crate::program::{DOOR, hear, listening, package, program, run};
use crate::property::{BUDGET, Property};

/// How much is answered at most before the moment comes.
const MOST: u64 = 12;
const LONGEST: Duration = Duration::from_millis(20);
const START: Duration = Duration::from_millis(60);
const GUESTS: usize = 4;
/// The pause before a door that is not there is tried again.
const AGAIN: Duration = Duration::from_millis(5);
/// More than can be spent here.
const USES: u32 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_it_starts_by_itself_and_knows_all_that_it_has_said() {
    let dice = Dice::throw();
    let mut street = Street::build().await;
    let kills = kills();
    for _ in 0..kills {
        street.busy(&dice).await;
        // Sometimes it is no more than about to start.
        if dice.below(4) == 0 {
            let starting = street.start();
            dice.moment(START).await;
            starting.kill();
        }
        let door = street.start();
        listening(&door);
        street.look();
        street.hold_up_again(door);
    }
    let door = street.start();
    listening(&door);
    street.look();
    assert!(street.openings_counted > 0);
    println!("{kills} times, {} answers kept", street.found.len());
}

/// A controller, and those who come.
struct Street {
    folder: TempDir,
    property: Property,
    /// The door's clock goes on with the machine's since then.
    begun: Duration,
    guests: Vec<Coming>,
    /// The first guest's key has a number of uses.
    counted: PassId,
    told: Arc<Mutex<Told>>,
    reader_key: PublicKey,
    /// What was found in the log.
    found: BTreeSet<EventId>,
    read_up_to: i64,
    openings_counted: u32,
}

/// A guest who holds up one code after the other.
struct Coming {
    guest: Guest,
    shown: String,
    answer: Answer,
    last: DateTime<Utc>,
}

/// What the door has said to a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    None,
    Opened,
    Denied,
}

/// What the door has said.
#[derive(Default)]
struct Told {
    events: BTreeSet<EventId>,
    /// The highest number of a statement and of a list that it has signed for.
    statements: u64,
    list: ListNumber,
}

impl Street {
    async fn build() -> Self {
        let folder = TempDir::new().unwrap();
        let place = folder.path().join("gate");
        let made = program(&["init"], &place).output().unwrap();
        assert!(made.status.success());
        let property = Property::new();
        let begun = SystemClock.monotonic();
        let mut door = run(&["run", "--listen", "127.0.0.1:0"], &place);
        let offer = hear(&door, "offer");
        door.say(&package(&property, &offer));
        hear(&door, "installed");
        let addr = listening(&door);
        let offer = Base64::from_text(offer["offer"].as_str().unwrap()).unwrap();
        let offer = SignedOffer::from_bytes(&offer.0).unwrap().verify().unwrap();
        let draft = Draft {
            property: property.id,
            door: DOOR,
            generation: Generation(1),
            number: BundleNumber {
                epoch: 1,
                number: 1,
            },
            all: 1,
            own: 0,
            content: Content {
                ceilings: vec![Ceiling {
                    budget: BUDGET,
                    number: LeaseNumber { epoch: 1, count: 1 },
                    ceiling: USES,
                    spent: 0,
                    until: None,
                }],
                ..Content::default()
            },
        };
        let carrier = Phone::resident(&property, "{}").carries(Carries {
            bundle: Some(property.seal(&offer.sealing_key, &draft)),
            ..Carries::default()
        });
        let visit = carrier.speak(DOOR, reach(&addr).await.unwrap()).await;
        let state = visit.state.unwrap().verify(&offer.reader_key).unwrap();
        assert_eq!(state.leases.len(), 1, "the uses are here");
        door.kill();
        let counted = format!(r#"{{"max_uses": {USES}}}"#);
        let rules = std::iter::once(&*counted).chain(std::iter::repeat("{}"));
        let guests = rules.take(GUESTS).map(|rules| Coming {
            guest: Guest::new(&property, rules),
            shown: String::new(),
            answer: Answer::Denied,
            last: property.now(),
        });
        let guests: Vec<Coming> = guests.collect();
        Self {
            counted: guests[0].guest.pass.id,
            guests,
            told: Arc::default(),
            folder,
            property,
            begun,
            reader_key: offer.reader_key,
            found: BTreeSet::new(),
            read_up_to: 0,
            openings_counted: 0,
        }
    }

    fn start(&self) -> Process {
        let place = self.folder.path().join("gate");
        let arguments = ["run", "--listen", "127.0.0.1:0", "--battery-clock"];
        run(&arguments, &place)
    }

    /// Until the door, with everybody before it, is killed.
    async fn busy(&mut self, dice: &Dice) {
        let mut door = self.start();
        let addr = listening(&door);
        self.property
            .clock
            .advance(SystemClock.monotonic() - self.begun);
        self.begun = SystemClock.monotonic();
        let (stop, stopped) = watch::channel(false);
        let mut phones = JoinSet::new();
        for phone in self.carriers() {
            let (addr, told) = (addr.clone(), self.told.clone());
            phones.spawn(come(phone, addr, self.reader_key, told, stopped.clone()));
        }
        let mut enough = dice.below(MOST);
        loop {
            self.hold_up(&mut door);
            if enough == 0 {
                break;
            }
            enough -= 1;
            let line = door.line().expect("it goes on");
            self.heard(&line);
        }
        dice.moment(LONGEST).await;
        for line in door.kill() {
            self.heard(&line);
        }
        stop.send_replace(true);
        phones.join_all().await;
    }

    /// Phones that bring the next statement and the next list.
    fn carriers(&mut self) -> Vec<Phone> {
        let statement = self
            .property
            .state(Body::DoorSettings(DoorSettings::default()));
        let list = self.property.revoke(Revocations::default());
        let phone = || {
            let phone = Phone::resident(&self.property, "{}");
            phone
                .carrying(&list)
                .with_statements(vec![statement.clone()])
        };
        vec![phone(), phone()]
    }

    /// Each guest whose last code was answered holds up the next.
    fn hold_up(&mut self, door: &mut Process) {
        let now = self.property.now()
            + TimeDelta::from_std(SystemClock.monotonic() - self.begun).unwrap();
        for coming in &mut self.guests {
            if coming.answer == Answer::None {
                continue;
            }
            // Codes count in hundredths of a second.
            coming.last = now.max(coming.last + TimeDelta::milliseconds(10));
            coming.shown = coming.guest.long(coming.last);
            coming.answer = Answer::None;
            door.say(&coming.shown);
        }
    }

    /// A line of the door's: an opening or a denial that it has stored.
    fn heard(&mut self, line: &str) {
        let said: Value = serde_json::from_str(line).expect(line);
        let answer = match said["type"].as_str() {
            Some("opened") => Answer::Opened,
            Some("denied") => Answer::Denied,
            _ => return,
        };
        let event = said["event"].as_str().unwrap().parse().unwrap();
        self.told.lock().unwrap().events.insert(event);
        let pass = said["subject"]["pass"].as_str();
        let pass = pass.map(|id| id.parse::<PassId>().unwrap());
        let mut guests = self.guests.iter_mut();
        if let Some(coming) = guests.find(|it| Some(it.guest.pass.id) == pass) {
            coming.answer = answer;
        }
    }

    /// A code that has opened opens no more. One that was not answered may, once.
    fn hold_up_again(&mut self, mut door: Process) {
        for at in 0..self.guests.len() {
            let (before, shown) = (self.guests[at].answer, self.guests[at].shown.clone());
            let mut times = if before == Answer::None { 2 } else { 1 };
            while times > 0 {
                self.guests[at].answer = Answer::None;
                door.say(&shown);
                while self.guests[at].answer == Answer::None {
                    let line = door.line().expect("it goes on");
                    self.heard(&line);
                }
                times -= 1;
            }
            assert_eq!(
                self.guests[at].answer,
                Answer::Denied,
                "opened before: {before:?}"
            );
        }
        door.kill();
    }

    /// What was said is stored, once, and a use is spent for each opening.
    fn look(&mut self) {
        let file = self.folder.path().join("gate").join("controller.sqlite");
        let store = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut events = store
            .prepare("SELECT sequence, body FROM events WHERE sequence > ?1 ORDER BY sequence")
            .unwrap();
        let mut rows = events.query([self.read_up_to]).unwrap();
        let told = &mut *self.told.lock().unwrap();
        while let Some(row) = rows.next().unwrap() {
            self.read_up_to = row.get(0).unwrap();
            let event: Value = serde_json::from_str(&row.get::<_, String>(1).unwrap()).unwrap();
            let id: EventId = event["id"].as_str().unwrap().parse().unwrap();
            assert!(self.found.insert(id), "an event twice: {event}");
            let is_counted = event["subject"]["pass"] == *self.counted.to_string();
            if is_counted && event["denied"].is_null() {
                self.openings_counted += 1;
            }
        }
        let lost: Vec<_> = told.events.difference(&self.found).collect();
        assert!(lost.is_empty(), "events were lost: {lost:?}");
        let number = |query: &str| {
            store
                .query_row(query, [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        let spent = number("SELECT spent FROM leases");
        assert_eq!(
            spent,
            i64::from(self.openings_counted),
            "a use for each opening"
        );
        let statements = number("SELECT all_doors FROM series");
        assert!(statements.cast_unsigned() >= told.statements);
        let list = number("SELECT coalesce(max(version), 0) FROM revocations");
        assert!(list.cast_unsigned() >= told.list.version);
    }
}

/// Comes again and again with this phone.
async fn come(
    mut phone: Phone,
    addr: String,
    reader_key: PublicKey,
    told: Arc<Mutex<Told>>,
    stopped: watch::Receiver<bool>,
) {
    while !*stopped.borrow() {
        phone.attempt = AttemptId(random_array(&SystemRandom));
        let Some(stream) = reach(&addr).await else {
            sleep(&SystemClock, AGAIN).await;
            continue;
        };
        let visit = phone.speak(DOOR, stream).await;
        let mut told = told.lock().unwrap();
        told.events.extend(visit.record.map(|record| record.event));
        if let Some(state) = visit.state {
            let state = state.verify(&reader_key).unwrap();
            told.statements = told.statements.max(state.statements.all);
            told.list = told.list.max(state.list);
        }
    }
}

async fn reach(addr: &str) -> Option<TcpStream> {
    TcpStream::connect(addr).await.ok()
}
