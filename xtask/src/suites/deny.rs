//! What may come into the build: `deny.toml`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::succeeds;
use crate::summary::{Counts, Outcome};
use crate::tools;
use crate::workspace::command;

pub(crate) fn bans_licenses_sources() -> Result<Outcome> {
    let program = match tools::cargo_deny() {
        Ok(program) => program,
        Err(missing) => return Ok(Outcome::NotRun(missing)),
    };
    let mut counts = Counts::default();
    for check in ["bans", "licenses", "sources"] {
        counts += Counts::one(succeeds(deny(&program).args(["check", check]))?);
    }
    Ok(Outcome::Ran(counts))
}

pub(crate) fn advisories() -> Result<Outcome> {
    let program = match tools::cargo_deny() {
        Ok(program) => program,
        Err(missing) => return Ok(Outcome::NotRun(missing)),
    };
    if !succeeds(deny(&program).args(["fetch", "db"]))? {
        return Ok(Outcome::NotRun(
            "the advisory database is out of reach".into(),
        ));
    }
    let checked = succeeds(deny(&program).args(["check", "--disable-fetch", "advisories"]))?;
    Ok(Outcome::Ran(Counts::one(checked)))
}

fn deny(program: &Path) -> Command {
    let mut deny = command(program);
    deny.arg("--locked");
    deny
}
