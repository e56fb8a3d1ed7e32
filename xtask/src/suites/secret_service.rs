//! Wallets whose key is in a real Secret Service.

use std::process::Command;

use anyhow::Result;

use super::rust;
use crate::process::{watched, works};
use crate::summary::{Counts, Outcome};
use crate::tools::install_from_debian;
use crate::workspace::cargo;

/// The programs, and Debian's packages of them.
const PROGRAMS: [(&str, &str); 2] = [
    ("dbus-daemon", "dbus"),
    ("gnome-keyring-daemon", "gnome-keyring"),
];

pub(crate) fn tests() -> Result<Outcome> {
    for (program, package) in PROGRAMS {
        if !is_there(program) {
            install_from_debian(package);
        }
        if !is_there(program) {
            return Ok(Outcome::NotRun(format!(
                "{program} is not installed, and only root on Debian may install it here"
            )));
        }
    }
    let mut counts = Counts::default();
    let succeeded = watched(
        cargo().args(["test", "--workspace", "--locked"]).args([
            "--test",
            "secret_service",
            "--",
            "--ignored",
        ]),
        |line| counts += rust::counted(line).unwrap_or_default(),
    )?;
    Ok(Outcome::Ran(counts.judged_by(succeeded)))
}

fn is_there(program: &str) -> bool {
    works(Command::new(program).arg("--version"))
}
