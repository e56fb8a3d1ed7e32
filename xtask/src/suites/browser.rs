//! The guest's page in a real browser, before real doors.

use std::path::PathBuf;

use anyhow::Result;

use super::web::count;
use crate::process::{run, watched, works};
use crate::summary::{Counts, Outcome};
use crate::tools::{Missing, install_from_debian};
use crate::web::npm;
use crate::workspace::{cargo, command, target};

const SUITE: &str = "tests/browser";
const PLACES: [&str; 4] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

pub(crate) fn tests() -> Result<Outcome> {
    if !works(npm(SUITE).arg("--version")) {
        return Ok(Outcome::NotRun(
            "Node with npm (20 or newer) is not installed".into(),
        ));
    }
    let chromium = match chromium() {
        Ok(program) => program,
        Err(why) => return Ok(Outcome::NotRun(why)),
    };
    // With the features of the whole workspace, as for its tests, so that little is built twice.
    run(cargo().args(["build", "--locked", "--workspace", "--bin", "town"]))?;
    run(npm(SUITE).args(["ci", "--no-audit", "--no-fund"]))?;
    let town = target()
        .join("debug/town")
        .with_extension(std::env::consts::EXE_EXTENSION);
    let mut counts = Counts::default();
    let succeeded = watched(
        npm(SUITE)
            .args(["test"])
            .env("LATCHKEY_TOWN", town)
            .env("CHROMIUM", chromium),
        |line| count(line, &mut counts),
    )?;
    Ok(Outcome::Ran(counts.judged_by(succeeded)))
}

/// The browser: the one that `CHROMIUM` names, else an installed one, else Debian's, where we may
/// install it.
fn chromium() -> Result<PathBuf, Missing> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Ok(named.into());
    }
    if let Some(found) = installed() {
        return Ok(found);
    }
    install_from_debian("chromium");
    installed().ok_or_else(|| {
        "Chromium is not installed, and only root on Debian may install it here; CHROMIUM can name \
         another program"
            .into()
    })
}

fn installed() -> Option<PathBuf> {
    let mut places = PLACES.into_iter().map(PathBuf::from);
    places.find(|program| works(command(program).arg("--version")))
}
