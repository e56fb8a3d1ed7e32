//! The portal as a process of its own, as `latchkey-portal`.

use std::process::ExitCode;

use clap::Parser as _;
use latchkey_portal::cli::{Args, run};

fn main() -> ExitCode {
    run(Args::parse())
}
