//! A phone's start: its wallet opened and its keys listed, decided for this moment, beside a plain file with the
//! same things.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use latchkey_core::phone::Phone;
use latchkey_env::SystemClock;
use latchkey_protocol::api::doors::Door;
use latchkey_protocol::api::keys::Key;
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::measure::Timed;
use crate::scene::{HEAD, OWNER, RESIDENT, RITA, Scene, doors};
use crate::table::{Bench, Limit};

/// Keys of one person, over so many doors: as many at each as its elements of a grant can hold apart.
const KEYS: usize = 500;
const DOORS: usize = 125;

/// Seconds that it may take.
const LIMIT: f64 = 5e-3;

pub(crate) fn bench() -> Bench {
    let mut bench = Bench::new("wallet");
    let scene = Rc::new(Scene::set(&property(), Arc::new(SystemClock)));
    // Closed again: each start of the app opens it.
    drop(scene.phone(RESIDENT));
    let owner = scene.desk(&scene.phone(OWNER));
    let (keys, doors) = (owner.keys().expect("keys"), owner.doors().expect("doors"));
    let plain = scene.path().join("plain.db");
    fill(&plain, &keys, &doors);
    let opened = bench.operation("opened, 500 keys listed", opened(scene));
    let plain = bench.operation("plain rusqlite", plain_opened(plain));
    bench.subject(opened).peer(plain, Limit::Within(LIMIT));
    bench
}

fn property() -> String {
    let mut file = format!("{HEAD}{RITA}");
    file += &doors(DOORS, "unit");
    for key in 0..KEYS {
        file += &format!(
            "[[keys]]
             name = \"Apartment {key}\"
             kind = \"mobile\"
             persons = [\"Rita Resident\"]
             doors = [\"Door {}\"]
             windows = [{{ days = [\"tue\", \"fri\"], from = \"09:00\", to = \"11:00\" }}]\n",
            key % DOORS
        );
    }
    file
}

/// The wallet in its folder, tallied and opened; every key decided at its door.
fn opened(scene: Rc<Scene>) -> Timed {
    Timed::new(move || {
        let phone = Phone::open(scene.wallet(RESIDENT)).expect("a wallet");
        let keys = phone.keys().expect("keys");
        assert_eq!(keys.len(), KEYS);
        keys
    })
}

/// The same keys and doors, neither sealed nor tallied nor decided.
fn plain_opened(file: PathBuf) -> Timed {
    Timed::new(move || {
        let sql = Connection::open(&file).expect("a file");
        let keys: Vec<Key> = all(&sql, "SELECT value FROM keys");
        let doors: Vec<Door> = all(&sql, "SELECT value FROM doors");
        assert_eq!((keys.len(), doors.len()), (KEYS, DOORS));
        (keys, doors)
    })
}

fn fill(file: &Path, keys: &[Key], doors: &[Door]) {
    let mut sql = Connection::open(file).expect("a file");
    sql.pragma_update(None, "journal_mode", "WAL").expect("WAL");
    let tables = "CREATE TABLE keys (value BLOB); CREATE TABLE doors (value BLOB);";
    sql.execute_batch(tables).expect("tables");
    let tx = sql.transaction().expect("a transaction");
    for key in keys {
        insert(&tx, "INSERT INTO keys VALUES (?1)", key);
    }
    for door in doors {
        insert(&tx, "INSERT INTO doors VALUES (?1)", door);
    }
    tx.commit().expect("filled");
}

fn insert<T: Serialize>(sql: &Connection, statement: &str, value: &T) {
    let value = serde_json::to_vec(value).expect("JSON");
    sql.execute(statement, [value]).expect("inserted");
}

fn all<T: DeserializeOwned>(sql: &Connection, query: &str) -> Vec<T> {
    let mut query = sql.prepare(query).expect("a query");
    let values = query.query_map([], |row| {
        let value: Vec<u8> = row.get(0)?;
        Ok(serde_json::from_slice(&value).expect("as it was written"))
    });
    let values: Result<_, _> = values.expect("rows").collect();
    values.expect("rows")
}
