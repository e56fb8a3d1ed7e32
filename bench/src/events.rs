//! Events that doors report and the portal keeps: each told to its door only once it is on disk.

mod bare;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use latchkey_env::{SystemClock, SystemRandom, random_array};
use latchkey_protocol::api::events::Means;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::doorlink::{DoorEvent, FromDoor, FromPortal, Subject};
use latchkey_protocol::ids::{AttemptId, ElementId, EventId};

use rusqlite::Connection;

use self::bare::Bare;
use crate::doors::{Controller, Line};
use crate::measure::{Timed, elapsed};
use crate::scene::{HEAD, OWNER, RESIDENT, RITA, Scene, doors};
use crate::table::{Bench, Limit};

/// Doors that report at once; one event at a time each, the next when the last is kept.
const DOORS: u32 = 64;
/// Events of each in one sample.
const EVENTS: u32 = 4;
/// Of all of them.
pub(crate) const REPORTED: u32 = DOORS * EVENTS;

/// How many times as long as its peer an event may take.
pub(crate) const LIMIT: f64 = 2.0;

pub(crate) fn bench() -> Bench {
    let mut bench = Bench::new("events");
    let scene = Rc::new(Scene::set(&property(), Arc::new(SystemClock)));
    let kept = bench.operation(
        "kept by the portal, SQLite",
        Timed::told(reported(&scene, |query| in_file(&scene, query))),
    );
    let bare = bench.operation("one writer thread, bare", bare_kept(scene));
    bench.subject(kept).peer(bare, Limit::AtMost(LIMIT));
    bench
}

pub(crate) fn property() -> String {
    let mut file = format!(
        "{HEAD}{RITA}
         [[keys]]
         name = \"Home\"
         kind = \"mobile\"
         persons = [\"Rita Resident\"]
         doors = \"all\"\n"
    );
    file += &doors(DOORS as usize, "gate");
    file
}

/// What an event takes by doors on their lines: the opening of a resident's phone, which the portal knows; two ids of
/// it are asked of the portal's database.
pub(crate) fn reported(
    scene: &Rc<Scene>,
    ask: impl FnOnce(&str) -> (Vec<u8>, Vec<u8>),
) -> impl FnMut() -> Duration + 'static {
    drop(scene.phone(RESIDENT));
    let (key_hash, element) = ask("SELECT c.key_hash, e.id FROM credential c
         JOIN element e ON e.property = c.property AND e.credential = c.id LIMIT 1");
    let who = Subject::Credential {
        key_hash: Base64(key_hash),
        element: Some(ElementId::from_slice(&element).expect("an id")),
    };
    let owner = scene.phone(OWNER);
    let desk = scene.desk(&owner);
    let mut doors = scene.runtime.block_on(async {
        let mut doors = Vec::new();
        for door in desk.doors().expect("doors") {
            let controller = Controller::install(&desk, door.id).await;
            let line = controller.connect(scene.addr()).await;
            doors.push(Reporting {
                line,
                who: who.clone(),
                sequence: 0,
            });
        }
        doors
    });
    let scene = Rc::clone(scene);
    move || {
        let reporting = join_all(doors.iter_mut().map(Reporting::report));
        elapsed(|| scene.runtime.block_on(reporting)) / REPORTED
    }
}

/// A door that somebody opens again and again.
struct Reporting {
    line: Line,
    who: Subject,
    sequence: u64,
}

impl Reporting {
    /// Some events, each once the one before is kept.
    async fn report(&mut self) {
        for _ in 0..EVENTS {
            self.sequence += 1;
            let event = DoorEvent {
                id: EventId(random_array(&SystemRandom)),
                sequence: self.sequence,
                at_ms: 1_800_000_000_000,
                clock_unsure: false,
                means: Means::Stream,
                subject: self.who.clone(),
                attempt: Some(AttemptId(random_array(&SystemRandom))),
                denied: None,
            };
            let events = vec![event];
            self.line.say(&FromDoor::Events { events }).await;
            while !matches!(self.line.hear().await, FromPortal::EventsKept { up_to } if up_to == self.sequence)
            {
            }
        }
    }
}

fn in_file(scene: &Scene, query: &str) -> (Vec<u8>, Vec<u8>) {
    let file = Connection::open(scene.file()).expect("the portal's file");
    let row = file.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)));
    row.expect("a phone with a grant")
}

/// The same rows, by a thread that does nothing else.
fn bare_kept(scene: Rc<Scene>) -> Timed {
    let bare = Bare::start(&scene.path().join("bare.db"));
    Timed::told(move || {
        let keeping = (0..DOORS).map(|_| async {
            for _ in 0..EVENTS {
                bare.keep(random_array(&SystemRandom)).await;
            }
        });
        let keeping = join_all(keeping);
        elapsed(|| scene.runtime.block_on(keeping)) / REPORTED
    })
}
