//! The one entry to every chore: `cargo xtask --help`.

#![forbid(unsafe_code)]

mod aliro;
mod bench;
mod bindings;
mod decide;
mod fuzz;
mod mutants;
mod postgres;
mod process;
mod soak;
mod suites;
mod summary;
mod tools;
mod web;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::bindings::Language;
use crate::process::run;
use crate::suites::Strictness;
use crate::workspace::cargo;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The one entry to every chore"
)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Run the test suites, one after the other, and sum up
    ///
    /// A suite whose tools are missing and cannot be installed is NOT RUN: the summary says why and
    /// counts it as skipped. With CI=true in the environment that is a failure.
    Test {
        /// The suites to run; all when none is named
        #[arg(value_name = "SUITE", value_parser = suites::names())]
        suites: Vec<String>,
        /// Say which suites there are and what each shows
        #[arg(long)]
        list: bool,
    },
    /// Run every suite as CI does: what cannot run is a failure
    Ci,
    /// List every certification case of Aliro 1.0, with what became of it
    Aliro,
    /// Format all Rust code
    Fmt,
    /// Measure what things cost, as ratios; fails when a limit does not hold
    Bench {
        /// Files of bench/src, such as aliro; all when none is named
        #[arg(value_name = "BENCH")]
        benches: Vec<String>,
    },
    /// Feed parsers that read bytes from outside with libFuzzer
    Fuzz {
        /// Files of fuzz/targets; all when none is named
        #[arg(value_name = "TARGET")]
        targets: Vec<String>,
        /// How long to feed each
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Feed nothing, but put into fuzz/seeds, which is kept in the repository, the few inputs that
        /// reach most of what was reached so far
        #[arg(long, conflicts_with = "seconds")]
        keep: bool,
    },
    /// Change the checks of the access protocol one at a time: a test must notice each
    Mutants {
        /// Only this part of the changes, as `2/8`
        #[arg(long)]
        shard: Option<String>,
    },
    /// Write what the formats' tests make into tests/vectors, where it is frozen
    ///
    /// A file that was published never changes: what would change it is a new format version.
    Vectors,
    /// Put questions to the rules of access: JSON lines on standard input, answers on standard output
    #[command(disable_version_flag = true)]
    Decide {
        /// Name the release of the zone database, and ask nothing
        #[arg(long)]
        version: bool,
    },
    /// Do the whole of which `test` does a sample: a part after the other, and sum up
    ///
    /// What was found, and what could not run, is a failure.
    Soak(soak::Wanted),
    /// Build the guest's page and the demo's into their dist folders, which are kept in the repository
    Web {
        /// Fail when what is kept is not what the sources build
        #[arg(long)]
        check: bool,
    },
    /// Generate Kotlin and Swift from the library, into the target folder
    Bindings {
        /// The languages to generate; both when none is named
        languages: Vec<Language>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match carry_out(arguments.chore) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(chore: Chore) -> Result<ExitCode> {
    match chore {
        Chore::Test { list: true, .. } => suites::print_list(),
        Chore::Test { suites, .. } => return suites::run(&suites, Strictness::from_environment()),
        Chore::Aliro => return aliro::certification(),
        Chore::Ci => return suites::run(&[], Strictness::Ci),
        Chore::Bindings { languages } if languages.is_empty() => {
            bindings::generate(&Language::ALL)?
        }
        Chore::Bindings { languages } => bindings::generate(&languages)?,
        Chore::Web { check: true } => web::build_and_compare()?,
        Chore::Web { check: false } => web::build()?,
        Chore::Decide { version } => return decide::decide(version),
        Chore::Soak(wanted) => return Ok(soak::soak(wanted)),
        Chore::Bench { benches } => bench::bench(&benches)?,
        Chore::Fuzz {
            targets,
            keep: true,
            ..
        } => fuzz::keep(&targets)?,
        Chore::Fuzz {
            targets, seconds, ..
        } => fuzz::fuzz(&targets, seconds)?,
        Chore::Mutants { shard } => mutants::mutants(shard.as_deref())?,
        Chore::Vectors => {
            for (package, test, filter) in [
                ("latchkey-protocol", "vectors", ""),
                ("latchkey-portal", "portal", "signer_wire"),
            ] {
                run(cargo()
                    .args(["test", "--package", package, "--test", test, filter])
                    .env("LATCHKEY_WRITE_VECTORS", "1"))?;
            }
        }
        Chore::Fmt => {
            run(cargo().args(["fmt", "--all"]))?;
            for apart in workspace::APART {
                run(cargo().args(["fmt", "--manifest-path", apart]))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
