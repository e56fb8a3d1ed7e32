//! The test suites, in the order in which they run.

pub(crate) mod aliro_peers;
mod browser;
mod deny;
mod fuzz;
mod kotlin;
mod postgres;
mod rust;
mod secret_service;
mod web;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::summary::{Counts, Line, Outcome, Summary};

struct Suite {
    name: &'static str,
    shows: &'static str,
    run: fn() -> Result<Outcome>,
    /// Whether CI fails when it cannot run.
    must_run_in_ci: bool,
}

const SUITES: &[Suite] = &[
    Suite {
        name: "fmt",
        shows: "all Rust code is formatted",
        run: rust::fmt,
        must_run_in_ci: true,
    },
    Suite {
        name: "clippy",
        shows: "no lint of ours is broken, in tests neither",
        run: rust::clippy,
        must_run_in_ci: true,
    },
    Suite {
        name: "rust",
        shows: "every Rust test of the workspace passes",
        run: rust::tests,
        must_run_in_ci: true,
    },
    Suite {
        name: "postgres",
        shows: "the portal does on PostgreSQL what it does on SQLite, and several instances are one portal",
        run: postgres::tests,
        must_run_in_ci: true,
    },
    Suite {
        name: "secret-service",
        shows: "a wallet's key is kept in GNOME's keyring, and nowhere else while that is away or locked",
        run: secret_service::tests,
        must_run_in_ci: true,
    },
    Suite {
        name: "doc",
        shows: "the docs build without a warning",
        run: rust::doc,
        must_run_in_ci: true,
    },
    Suite {
        name: "web",
        shows: "the guest's page is built from its sources as kept, and its unit tests pass",
        run: web::build_and_tests,
        must_run_in_ci: true,
    },
    Suite {
        name: "kotlin",
        shows: "Kotlin on a JVM calls the library through its generated bindings",
        run: kotlin::tests,
        must_run_in_ci: true,
    },
    Suite {
        name: "browser",
        shows: "the guest's page in Chromium: its pictures open real doors, once",
        run: browser::tests,
        must_run_in_ci: true,
    },
    Suite {
        name: "aliro-peers",
        shows: "Aliro documents and schedules agree with pycose and dateutil, a sample of cases",
        run: aliro_peers::sample,
        must_run_in_ci: true,
    },
    Suite {
        name: "fuzz",
        shows: "no target of fuzz/ is brought down by the inputs that are kept, or by a sample of others",
        run: fuzz::sample,
        must_run_in_ci: true,
    },
    Suite {
        name: "deny",
        shows: "bans, licences and sources of all dependencies are as deny.toml wants them",
        run: deny::bans_licenses_sources,
        must_run_in_ci: true,
    },
    Suite {
        name: "advisories",
        shows: "no dependency has a known vulnerability",
        run: deny::advisories,
        // Its database lies outside the package registries, and may be out of reach.
        must_run_in_ci: false,
    },
];

/// Whether a suite that cannot run is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// It is said and counted.
    Developer,
    /// It is a failure.
    Ci,
}

impl Strictness {
    pub(crate) fn from_environment() -> Self {
        match std::env::var("CI") {
            Ok(value) if value == "true" => Self::Ci,
            _ => Self::Developer,
        }
    }
}

pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(SUITES.iter().map(|suite| suite.name))
}

pub(crate) fn print_list() {
    for suite in SUITES {
        println!("{:<12} {}", suite.name, suite.shows);
    }
}

/// Runs the named suites, or all.
pub(crate) fn run(names: &[String], strictness: Strictness) -> Result<ExitCode> {
    let wanted = |suite: &&Suite| names.is_empty() || names.iter().any(|name| name == suite.name);
    let mut summary = Summary::default();
    for suite in SUITES.iter().filter(wanted) {
        println!("\n== {}: {}\n", suite.name, suite.shows);
        summary.0.push(run_one(suite, strictness));
    }
    println!("\n== summary\n\n{summary}");
    Ok(match summary.succeeded() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "says how long a suite took on this machine; no device's clock is involved"
)]
fn run_one(suite: &Suite, strictness: Strictness) -> Line {
    let start = Instant::now();
    let outcome = (suite.run)().unwrap_or_else(|error| {
        println!("{}: {error:#}", suite.name);
        Outcome::Ran(Counts::one(false))
    });
    if let Outcome::NotRun(why) = &outcome {
        println!("NOT RUN: {why}");
    }
    Line {
        suite: suite.name,
        outcome,
        took: start.elapsed(),
        must_run: strictness == Strictness::Ci && suite.must_run_in_ci,
    }
}
