//! The guest's page and the demo's, whose built files are kept in the repository so that nothing
//! but these chores needs Node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::run;
use crate::workspace::{command, root};

/// The guest's page, whose package has tests of its own.
pub(crate) const GUEST_PAGE: &str = "portal/web";
const PAGES: [&str; 2] = [GUEST_PAGE, "demo/page"];

/// Checks the types and builds every `dist` afresh, by the lock files.
pub(crate) fn build() -> Result<()> {
    for page in PAGES {
        run(npm(page).args(["ci", "--no-audit", "--no-fund"]))?;
        run(npm(page).args(["run", "check"]))?;
        run(npm(page).args(["run", "build"]))?;
    }
    Ok(())
}

/// Builds afresh and compares with what is kept.
///
/// # Errors
///
/// Naming the files that differ; they are left as they were built.
pub(crate) fn build_and_compare() -> Result<()> {
    let kept = all_kept()?;
    build()?;
    let built = all_kept()?;
    let names = kept.keys().chain(built.keys());
    let mut different: Vec<_> = names
        .filter(|name| kept.get(*name) != built.get(*name))
        .map(|name| name.display().to_string())
        .collect();
    different.sort();
    different.dedup();
    ensure!(
        different.is_empty(),
        "the built files that are kept are not what their sources build ({}): run `cargo xtask \
         web` and commit",
        different.join(", ")
    );
    Ok(())
}

/// npm, in a page's folder.
pub(crate) fn npm(page: &str) -> Command {
    let mut npm = command("npm");
    npm.current_dir(root().join(page));
    npm
}

/// Every built file of every page.
fn all_kept() -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for page in PAGES {
        files.extend(contents(&root().join(page).join("dist"))?);
    }
    Ok(files)
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
