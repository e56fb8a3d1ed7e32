//! What things cost, as ratios: each operation beside the least that it cannot do without, or beside a
//! peer that does the same job. One run, one table a bench; the exit code is 0 only if all limits hold.

#![forbid(unsafe_code)]

mod aliro;
mod codes;
mod crowd;
mod doors;
mod events;
mod key;
mod measure;
mod meter;
mod postgres;
mod primitives;
mod process;
mod rules;
mod scene;
mod sync;
mod table;
mod wallet;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::table::Bench;

#[derive(Debug, Parser)]
#[command(about = "What things cost, as ratios")]
struct Arguments {
    /// The benches to run; all when none is named
    benches: Vec<Name>,
}

/// A bench is a file of this folder.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    /// An unlock, both sides
    Aliro,
    /// The access decision
    Rules,
    /// Rotating codes
    Codes,
    /// A phone's start
    Wallet,
    /// A phone that keeps in step
    Sync,
    /// What doors report
    Events,
    /// The same on PostgreSQL
    Postgres,
    /// Many doors at one portal
    Crowd,
}

impl Name {
    fn bench(self) -> Bench {
        match self {
            Self::Aliro => aliro::bench(),
            Self::Rules => rules::bench(),
            Self::Codes => codes::bench(),
            Self::Wallet => wallet::bench(),
            Self::Sync => sync::bench(),
            Self::Events => events::bench(),
            Self::Postgres => postgres::bench(),
            Self::Crowd => crowd::bench(),
        }
    }
}

fn main() -> ExitCode {
    if let Some(served) = process::serve() {
        return served;
    }
    let mut names = Arguments::parse().benches;
    if names.is_empty() {
        names = Name::value_variants().to_vec();
    }
    let mut missed = 0;
    for name in names {
        let table = name.bench().run();
        println!("{table}");
        missed += table.missed();
    }
    if missed == 0 {
        println!("all limits hold");
        ExitCode::SUCCESS
    } else {
        println!("limits missed: {missed}");
        ExitCode::FAILURE
    }
}
