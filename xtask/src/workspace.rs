//! Where things are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's top folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// The benches, a workspace of their own.
pub(crate) const BENCH: &str = "bench/Cargo.toml";

/// Workspaces of their own, beside the one that everybody builds.
pub(crate) const APART: [&str; 2] = [BENCH, "fuzz/Cargo.toml"];

/// Where cargo puts what it builds, and we what we generate or fetch.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The cargo that runs us, in the workspace's top folder.
pub(crate) fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command(cargo)
}

/// A program, to be run in the workspace's top folder.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}
