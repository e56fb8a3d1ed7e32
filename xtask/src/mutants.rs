//! Changes to the checks of the access protocol that the tests must notice: `.cargo/mutants.toml`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process::{run, works};
use crate::workspace::{command, target};

/// `cargo mutants` over what `.cargo/mutants.toml` names, or a part of it.
///
/// # Errors
///
/// When the tool cannot be installed, and when a change goes unnoticed: `aliro/MUTANTS.md` lists the
/// ones that nothing can notice.
pub(crate) fn mutants(shard: Option<&str>) -> Result<()> {
    let mut mutants = command(installed()?);
    mutants
        .args(["mutants", "--package", "aliro"])
        .arg("--output")
        .arg(target());
    if let Some(shard) = shard {
        mutants.args(["--shard", shard]);
    }
    run(&mut mutants)
}

/// From the path, or built once into the target folder.
fn installed() -> Result<PathBuf> {
    const NAME: &str = "cargo-mutants";
    let folder = target().join("tools").join(NAME);
    let built = folder.join("bin").join(NAME);
    for program in [PathBuf::from(NAME), built.clone()] {
        if works(Command::new(&program).args(["mutants", "--version"])) {
            return Ok(program);
        }
    }
    println!("cargo-mutants is not installed; building it (about a minute)");
    run(command("cargo")
        .args([
            "install",
            NAME,
            "--version",
            "27.1.0",
            "--locked",
            "--debug",
        ])
        .arg("--root")
        .arg(&folder))?;
    Ok(built)
}
