//! Stores of earlier versions open.

use std::fmt::Write as _;
use std::path::Path;

use latchkey_door::{Controller, FILE, RunConfig};
use latchkey_env::{OffsetClock, VirtualClock};
use latchkey_protocol::rules::Reason;
use latchkey_protocol::statement::Body;
use rstest::rstest;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::guest::Guest;
use crate::phone::Phone;
use crate::property::{Door, Property, START, env};

/// A store as SQL, with two codes in its first lines: one that has opened there, and one that has
/// not.
#[rstest]
#[case::first(include_str!("stores/v1.sql"))]
#[case::remembered_phones(include_str!("stores/v2.sql"))]
#[case::lock_sync(include_str!("stores/v3.sql"))]
#[tokio::test]
async fn a_store_of_every_version_opens_and_has_forgotten_nothing(#[case] dump: &str) {
    let code = |label| {
        let line = dump.lines().find_map(|line| line.strip_prefix(label));
        line.expect("the fixture names it")
    };
    let folder = TempDir::new().unwrap();
    let store = Connection::open(folder.path().join(FILE)).unwrap();
    store.execute_batch(dump).unwrap();
    drop(store);
    let clock = OffsetClock::new(
        std::sync::Arc::new(VirtualClock::at(START)),
        chrono::TimeDelta::zero(),
    );
    let controller = Controller::open_with_battery_clock(folder.path(), env(&clock)).unwrap();
    let running = controller.start(RunConfig::default()).await.unwrap();
    let status = running.status().await.unwrap();
    assert_eq!(
        (status.statements.all, status.list.version, status.passes),
        (2, 1, 1)
    );
    assert_eq!((status.events, status.unreported), (2, 2));
    let used = running.scan(code("-- used: ")).await.unwrap();
    assert_eq!(used.reason, Some(Reason::CodeUsedBefore));
    let fresh = running.scan(code("-- fresh: ")).await.unwrap();
    assert!(fresh.opened, "{fresh:?}");
}

/// Writes the fixture of the present version. To be run once before the schema changes.
#[tokio::test]
#[ignore = "writes the newest version's fixture: run by hand, once for each version"]
async fn write_the_fixture_of_this_version() {
    let mut property = Property::new();
    let guest = Guest::new(&property, "{}");
    property.state(Body::Pass(guest.signed.clone()));
    let door = Door::new(&property).await;
    let list = property.revoke(Default::default());
    let phone = Phone::resident(&property, "{}").carrying(&list);
    assert!(phone.visit(&door).await.record.is_some());
    let used = guest.short(property.now());
    assert!(door.running.scan(&used).await.unwrap().opened);
    let fresh = guest.short(property.now() + chrono::TimeDelta::seconds(1));
    let Door {
        running, folder, ..
    } = door;
    running.shutdown().await;
    let store = Connection::open(folder.path().join(FILE)).unwrap();
    let dump = format!("-- used: {used}\n-- fresh: {fresh}\n{}", dump(&store));
    let version: i64 = store
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/door/stores")
        .join(format!("v{version}.sql"));
    std::fs::write(file, dump).unwrap();
}

fn dump(store: &Connection) -> String {
    let version: i64 = store
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    let mut out = format!("PRAGMA user_version = {version};\n");
    let mut objects = store
        .prepare(
            "SELECT type, name, sql FROM sqlite_schema
             WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name",
        )
        .unwrap();
    let objects: Vec<(String, String, String)> = objects
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (kind, name, sql) in objects {
        writeln!(out, "{sql};").unwrap();
        if kind == "table" {
            rows(store, &name, &mut out);
        }
    }
    out
}

fn rows(store: &Connection, table: &str, out: &mut String) {
    let mut columns = store
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .unwrap();
    let columns: Vec<String> = columns
        .query_map([table], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let quoted: Vec<_> = columns
        .iter()
        .map(|name| format!("quote({name})"))
        .collect();
    let values = quoted.join(" || ', ' || ");
    let mut select = store
        .prepare(&format!("SELECT {values} FROM {table}"))
        .unwrap();
    let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for row in rows {
        let columns = columns.join(", ");
        writeln!(
            out,
            "INSERT INTO {table} ({columns}) VALUES ({});",
            row.unwrap()
        )
        .unwrap();
    }
}
