//! A phone that keeps in step with its portal: what a few changes cost beside many that did not happen, and
//! what a grant costs that is renewed.

mod pouchdb;
mod renewal;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use latchkey_core::phone::Phone;
use latchkey_core::staff::StaffDesk;
use latchkey_env::SystemClock;
use latchkey_protocol::api::keys::{Key, KeyDraft};

use self::pouchdb::PouchDb;
use crate::measure::Timed;
use crate::scene::{HEAD, OWNER, Scene, done, doors};
use crate::table::{Bench, Limit};

/// Keys that change between two syncs.
const CHANGES: usize = 5;
const FEW: usize = 50;
const MANY: usize = 5_000;
const KEYS_EACH: usize = 5;
const DOORS: usize = 20;

/// How many times as long five changes may take among many keys as among few.
const GROWTH: f64 = 1.2;
/// Bytes of HTTP bodies for five changes, both ways.
const BODIES: f64 = 2_000.0;
/// How many syncs are weighed.
const WEIGHED: usize = 20;

const STAFF: &str = "stefan@example.com";

pub(crate) fn bench() -> Bench {
    let mut bench = Bench::new("sync");
    let few = Staff::of(Scene::set(&property(FEW), Arc::new(SystemClock)));
    let many = Staff::of(Scene::set(&property(MANY), Arc::new(SystemClock)));
    let pouchdb = PouchDb::start(&many.keys[0], &[FEW, MANY]);

    let few = bench.operation("5 changes of 50 keys", few.timed());
    let many = bench.operation("5 changes of 5,000 keys", many.timed());
    let bodies = bench.bytes("5 changes of 5,000 keys, bodies", bodies());
    bench.subject(many).peer(few, Limit::AtMost(GROWTH));
    match pouchdb {
        Ok(pouchdb) => {
            let pouchdb = Rc::new(RefCell::new(pouchdb));
            let theirs = pouchdb::bodies(&pouchdb, MANY, WEIGHED);
            let theirs = bench.bytes("PouchDB, bodies", theirs);
            bench.subject(bodies).peer(theirs, Limit::Within(BODIES));
            let theirs =
                bench.operation("PouchDB, 5,000 documents", pouchdb::timed(&pouchdb, MANY));
            bench.subject(many).peer(theirs, Limit::Shown);
            let theirs_of_few =
                bench.operation("PouchDB, 50 documents", pouchdb::timed(&pouchdb, FEW));
            bench.subject(theirs).peer(theirs_of_few, Limit::Shown);
        }
        Err(why) => {
            bench.subject(bodies).alone(Limit::Within(BODIES));
            bench.not_run(format!("PouchDB: {why}"));
        }
    }
    renewal::add(&mut bench);
    bench
}

/// A member of staff whose phone lists all keys, and the owner, who renames some.
struct Staff {
    scene: Scene,
    phone: Arc<Phone>,
    owner: StaffDesk,
    keys: Vec<Key>,
    turn: usize,
}

impl Staff {
    fn of(scene: Scene) -> Self {
        let phone = scene.phone(STAFF);
        let owner = scene.desk(&scene.phone(OWNER));
        let keys = scene.desk(&phone).keys().expect("keys");
        // Of what the owner's sign-in has changed.
        let synced = scene.runtime.block_on(phone.sync());
        synced.expect("synced");
        Self {
            scene,
            phone,
            owner,
            keys,
            turn: 0,
        }
    }

    /// The owner's doing; not this phone's.
    fn change(&mut self) {
        for _ in 0..CHANGES {
            self.turn += 1;
            let key = &self.keys[self.turn % self.keys.len()];
            let draft = KeyDraft {
                name: format!("Renamed {}", self.turn),
                kind: key.kind,
                persons: key.persons.clone(),
                doors: key.doors.clone(),
                rules: key.rules.clone(),
            };
            let editing = self.owner.edit_key(key.id, &draft);
            done(self.scene.runtime.block_on(editing).expect("edited"));
        }
    }

    fn sync(&self) {
        let report = self.scene.runtime.block_on(self.phone.sync());
        let report = report.expect("synced");
        assert!(report.failures.is_empty(), "{report:?}");
        assert_eq!(report.changes, CHANGES);
    }

    fn timed(self) -> Timed {
        let staff = Rc::new(RefCell::new(self));
        let changing = Rc::clone(&staff);
        Timed::each(
            move || changing.borrow_mut().change(),
            move |()| staff.borrow().sync(),
        )
    }
}

/// The most that five changes among many keys took.
fn bodies() -> u64 {
    let (scene, bodies) = Scene::metered(&property(MANY), Arc::new(SystemClock));
    let mut staff = Staff::of(scene);
    let weighed = (0..WEIGHED).map(|_| {
        staff.change();
        bodies.take();
        staff.sync();
        bodies.take_length()
    });
    weighed.max().unwrap_or_default()
}

/// Keys of residents, five each, at twenty doors; half of them with hours.
fn property(keys: usize) -> String {
    let mut file = format!(
        "{HEAD}
         [[people]]
         name = \"Stefan Staff\"
         role = \"staff\"
         email = \"{STAFF}\"\n"
    );
    file += &doors(DOORS, "unit");
    for resident in 0..keys / KEYS_EACH {
        file += &format!("[[people]]\nname = \"Resident {resident}\"\nrole = \"resident\"\n");
    }
    for key in 0..keys {
        file += &format!(
            "[[keys]]
             name = \"Apartment {key}\"
             kind = \"mobile\"
             persons = [\"Resident {}\"]
             doors = [\"Door {}\"]\n",
            key / KEYS_EACH,
            key % DOORS
        );
        if key % 2 == 0 {
            file += "windows = [{ days = [\"tue\", \"fri\"], from = \"09:00\", to = \"11:00\" }]\n";
        }
    }
    file
}
