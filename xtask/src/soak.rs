//! What takes long: the whole of which `cargo xtask test` takes a sample.

mod calendar;
mod fuzzing;
mod kill;
mod peers;
mod report;
mod uses;

use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;

use report::Report;

/// Something that is done very often.
struct Part {
    name: &'static str,
    shows: &'static str,
    /// Adds a row to the report for each thing that it counts.
    run: fn(&Settings, &mut Report),
}

const PARTS: &[Part] = &[
    Part {
        name: "calendar",
        shows: "1,000,000 decisions agree with an independent calendar",
        run: calendar::decisions,
    },
    Part {
        name: "schedules",
        shows: "100,000 random Aliro schedules agree with dateutil",
        run: peers::schedules,
    },
    Part {
        name: "documents",
        shows: "10,000 random Aliro documents agree with pycose, in both directions",
        run: peers::documents,
    },
    Part {
        name: "uses",
        shows: "10,000 histories of a key of 30 uses spend no 31st, count none twice, strand none",
        run: uses::histories,
    },
    Part {
        name: "kill",
        shows: "killed 200 times each, portal, door and phone lose nothing; nor on disks that fail",
        run: kill::everything,
    },
    Part {
        name: "fuzz",
        shows: "10,000,000 inputs bring no target of fuzz/ down",
        run: fuzzing::targets,
    },
];

#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// The parts to run; all when none is named
    #[arg(value_name = "PART", value_parser = names())]
    parts: Vec<String>,
    /// Say which parts there are and what each shows
    #[arg(long)]
    list: bool,
    /// What all dice are thrown from; drawn when not given, and always printed
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seed: Option<u32>,
    /// In the part `fuzz`, take only this file of fuzz/targets; may be given several times
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
    /// In the part `fuzz`, so many inputs for each target
    #[arg(long, default_value_t = 10_000_000)]
    runs: u64,
}

/// What a part is told.
struct Settings {
    /// Never 0, which libFuzzer takes for none.
    seed: u32,
    /// The files of fuzz/targets; none are all.
    targets: Vec<String>,
    /// Inputs for each of them.
    runs: u64,
}

/// Runs the named parts, or all, and sums up. What was found, or could not run, is a failure.
pub(crate) fn soak(wanted: Wanted) -> ExitCode {
    if wanted.list {
        for part in PARTS {
            println!("{:<12} {}", part.name, part.shows);
        }
        return ExitCode::SUCCESS;
    }
    let settings = Settings {
        seed: wanted.seed.unwrap_or_else(drawn),
        targets: wanted.targets,
        runs: wanted.runs,
    };
    let seed = settings.seed;
    let names = wanted.parts;
    let mut report = Report::default();
    for part in PARTS {
        if names.is_empty() || names.iter().any(|name| name == part.name) {
            println!("\n== {}: {} (seed {seed})\n", part.name, part.shows);
            (part.run)(&settings, &mut report);
        }
    }
    println!("\n== summary (seed {seed})\n\n{report}");
    match report.findings() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// A seed that nobody chose.
pub(crate) fn drawn() -> u32 {
    (RandomState::new().hash_one(0) as u32).max(1)
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(PARTS.iter().map(|part| part.name))
}
