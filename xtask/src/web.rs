//! The guest's page, whose built files are kept in the repository so that the portal is built
//! without Node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::run;
use crate::workspace::{command, root};

/// Checks the types and builds `portal/web/dist` afresh, by the lock file.
pub(crate) fn build() -> Result<()> {
    run(npm().args(["ci", "--no-audit", "--no-fund"]))?;
    run(npm().args(["run", "check"]))?;
    run(npm().args(["run", "build"]))
}

/// Builds afresh and compares with what is kept.
///
/// # Errors
///
/// Naming the files that differ; they are left as they were built.
pub(crate) fn build_and_compare() -> Result<()> {
    let dist = folder().join("dist");
    let kept = contents(&dist)?;
    build()?;
    let built = contents(&dist)?;
    let names = kept.keys().chain(built.keys());
    let mut different: Vec<_> = names
        .filter(|name| kept.get(*name) != built.get(*name))
        .map(|name| name.display().to_string())
        .collect();
    different.sort();
    different.dedup();
    ensure!(
        different.is_empty(),
        "the files kept in portal/web/dist are not what its sources build ({}): run `cargo xtask \
         web` and commit",
        different.join(", ")
    );
    Ok(())
}

/// npm, in the page's folder.
pub(crate) fn npm() -> Command {
    let mut npm = command("npm");
    npm.current_dir(folder());
    npm
}

fn folder() -> PathBuf {
    root().join("portal/web")
}

/// Every file below a folder, by its path.
fn contents(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder);
        for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.insert(path.clone(), std::fs::read(path)?);
            }
        }
    }
    Ok(files)
}
