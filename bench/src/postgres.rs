//! The events that doors report, kept on PostgreSQL, beside what its own benchmark reaches with its simplest write.

use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use latchkey_portal::Database;
use postgres::{Client, NoTls};

use crate::events::{LIMIT, REPORTED, property, reported};
use crate::measure::Timed;
use crate::scene::Scene;
use crate::table::{Bench, Limit};

/// Names a server whose database `postgres` this may use: `cargo xtask bench` starts one.
const SERVER: &str = "LATCHKEY_BENCH_DATABASE";

/// Of a sample, on both sides.
const SECONDS: u64 = 2;
const ROUNDS: usize = 6;

/// Of pgbench.
const CLIENTS: &str = "8";

pub(crate) fn bench() -> Bench {
    let mut bench = Bench::new("postgres");
    let Ok(server) = std::env::var(SERVER) else {
        bench.not_run(
            "PostgreSQL (13 or newer) is not installed, or this was not started by `cargo xtask bench`",
        );
        return bench;
    };
    let Some(pgbench) = pgbench(&server) else {
        bench.not_run("pgbench, which comes with PostgreSQL, is not installed");
        return bench;
    };
    let ours = new_database(&server, "latchkey");
    let database = Database::postgres(&ours, None).expect("an address");
    let scene = Rc::new(Scene::on(database, &property()));
    let report = reported(&scene, |query| {
        let row = client(&ours).query_one(query, &[]);
        let row = row.expect("a phone with a grant");
        (row.get(0), row.get(1))
    });
    let kept = bench.operation("kept by the portal, PostgreSQL", of_seconds(report));
    let pgbench = bench.operation("pgbench -N, a transaction", pgbench);
    bench.subject(kept).peer(pgbench, Limit::AtMost(LIMIT));
    bench.note(move |table| {
        let rate = |operation| 1.0 / table.takes(operation);
        format!(
            "a second: {:.0} events, {:.0} transactions",
            rate(kept),
            rate(pgbench)
        )
    });
    bench.rounds(ROUNDS);
    bench
}

/// The mean of as long as pgbench is run.
fn of_seconds(mut report: impl FnMut() -> Duration + 'static) -> Timed {
    let long = Duration::from_secs(SECONDS);
    Timed::told(move || {
        let (mut sum, mut times) = (Duration::ZERO, 0);
        while sum * REPORTED < long {
            sum += report();
            times += 1;
        }
        sum / times
    })
}

/// A transaction of its clients.
fn pgbench(server: &str) -> Option<Timed> {
    let database = new_database(server, "pgbench");
    let mut filling = Command::new("pgbench");
    filling
        .args(["--initialize", "--quiet", "--scale=10"])
        .arg(&database)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let filled = filling.status().ok()?;
    assert!(filled.success(), "pgbench fills its tables");
    Some(Timed::told(move || {
        let mut running = Command::new("pgbench");
        running
            .args(["--skip-some-updates", "--no-vacuum", "--client", CLIENTS])
            .args(["--time", &SECONDS.to_string()])
            .arg(&database)
            .stderr(Stdio::null());
        let out = running.output().expect("pgbench runs").stdout;
        let out = String::from_utf8(out).expect("text");
        let rate = out.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rate| rate.split(' ').next()?.parse::<f64>().ok());
        Duration::from_secs_f64(1.0 / rate.expect("transactions a second"))
    }))
}

/// The address of a new database of this name.
fn new_database(server: &str, name: &str) -> String {
    let create = format!("CREATE DATABASE {name}");
    client(server).batch_execute(&create).expect("a database");
    let of_server = server.strip_suffix("/postgres");
    format!("{}/{name}", of_server.expect("the database postgres"))
}

fn client(address: &str) -> Client {
    Client::connect(address, NoTls).expect("the server")
}
