//! The rules of access, asked from outside.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace::cargo;

/// Hands the questions on standard input to the rules, as the portal reads zones, and the answers
/// to standard output; nothing else is written there.
///
/// # Errors
///
/// When it cannot be built or started.
pub(crate) fn decide(version: bool) -> Result<ExitCode> {
    let mut decide = cargo();
    decide
        .args(["run", "--quiet", "--locked", "--package", "latchkey-portal"])
        .args(["--example", "decide", "--"]);
    if version {
        decide.arg("--version");
    }
    let status = decide.status().context("cannot start cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
