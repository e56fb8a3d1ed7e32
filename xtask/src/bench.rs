//! What things cost, beside peers: `bench/`, with a PostgreSQL where one can be had.

use anyhow::{Context as _, Result};

use crate::postgres::{Durable, Server, programs};
use crate::process::run;
use crate::workspace::{BENCH, cargo, target};

/// The bench that wants it.
const ON_POSTGRES: &str = "postgres";

pub(crate) fn bench(benches: &[String]) -> Result<()> {
    let mut bench = cargo();
    bench
        .args(["run", "--release", "--locked", "--manifest-path", BENCH])
        .env("CARGO_TARGET_DIR", target().join("bench"))
        .arg("--")
        .args(benches);
    let is_wanted = benches.is_empty() || benches.iter().any(|name| name == ON_POSTGRES);
    // Without one, the bench says so in its place.
    let server = match is_wanted.then(programs).and_then(Result::ok) {
        Some(programs) => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let path = std::iter::once(programs.clone()).chain(std::env::split_paths(&path));
            bench.env("PATH", std::env::join_paths(path).context("PATH")?);
            Some(Server::start(&programs, Durable::Yes)?)
        }
        None => None,
    };
    if let Some(server) = &server {
        bench.env("LATCHKEY_BENCH_DATABASE", server.address());
    }
    run(&mut bench)
}
