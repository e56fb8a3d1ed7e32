//! `latchkey-door`: see `latchkey_door::cli`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use latchkey_door::cli;
use tracing_subscriber::EnvFilter;

/// The controller that decides at a door.
#[derive(Debug, Parser)]
#[command(name = "latchkey-door", version, about)]
struct Program {
    #[command(flatten)]
    args: cli::Args,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_env("LATCHKEY_LOG").unwrap_or_else(|_| EnvFilter::new("info")),
        )
        // Standard output speaks JSON to whoever started this.
        .with_writer(std::io::stderr)
        .init();
    match cli::run(Program::parse().args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latchkey-door: {error:#}");
            ExitCode::FAILURE
        }
    }
}
