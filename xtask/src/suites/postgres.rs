//! The portal's tests and the whole system's, once more, on a PostgreSQL that is started for them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::rust;
use crate::postgres::{Durable, Server, programs};
use crate::process::{run, watched};
use crate::summary::{Counts, Outcome};
use crate::workspace::{cargo, root};

/// Whose tests run on both databases, by their folders.
const PACKAGES: [&str; 2] = ["portal", "tests"];
/// What has nothing to do with a database.
const APART: [&str; 1] = ["imports"];
/// The same of single modules: what happens to SQLite's own files.
const FILES: &str = "disk::";

pub(crate) fn tests() -> Result<Outcome> {
    let programs = match programs() {
        Ok(programs) => programs,
        Err(why) => return Ok(Outcome::NotRun(why)),
    };
    // Built as for the suite `rust`, so that nothing is built twice.
    let binaries = binaries()?;
    let server = Server::start(&programs, Durable::No)?;
    let mut counts = Counts::default();
    for (folder, binary) in binaries {
        let mut tests = Command::new(&binary);
        tests
            .current_dir(root().join(folder))
            .args(["--include-ignored", "--skip", FILES])
            .env("LATCHKEY_TEST_DATABASE", server.address())
            .env("CARGO_MANIFEST_DIR", root().join(folder));
        let mut of_these = None;
        let succeeded = watched(&mut tests, |line| {
            of_these = rust::counted(line).or(of_these);
        })?;
        // Some binaries have no tests.
        if !succeeded || of_these != Some(Counts::default()) {
            counts += of_these.unwrap_or_default().judged_by(succeeded);
        }
    }
    Ok(Outcome::Ran(counts))
}

/// The built tests with the folders of their packages.
fn binaries() -> Result<Vec<(&'static str, PathBuf)>> {
    run(cargo().args(["test", "--workspace", "--locked", "--no-run"]))?;
    let told = cargo()
        .args(["test", "--workspace", "--locked", "--no-run", "--quiet"])
        .args(["--message-format", "json"])
        .output()?;
    ensure!(told.status.success(), "cargo does not say what it built");
    let mut found = Vec::new();
    for line in String::from_utf8(told.stdout)?.lines() {
        let artifact: Value = serde_json::from_str(line).context("cargo's own JSON")?;
        found.extend(PACKAGES.iter().filter_map(|folder| {
            let binary = test_of(&artifact, &root().join(folder).join("Cargo.toml"))?;
            Some((*folder, binary))
        }));
    }
    ensure!(!found.is_empty(), "cargo built no tests");
    Ok(found)
}

/// The executable, if this is a test that the package has built.
fn test_of(artifact: &Value, manifest: &Path) -> Option<PathBuf> {
    let is_of_package = artifact["manifest_path"].as_str()? == manifest.to_str()?;
    let is_apart = APART.contains(&artifact["target"]["name"].as_str()?);
    let is_test = artifact["profile"]["test"].as_bool()?;
    (is_of_package && is_test && !is_apart)
        .then(|| artifact["executable"].as_str().map(PathBuf::from))?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tests_of_a_package_are_told_from_all_else_that_was_built() {
        let artifact = |manifest: &str, name: &str, test: bool| {
            json!({
                "reason": "compiler-artifact", "manifest_path": manifest,
                "target": { "name": name }, "profile": { "test": test }, "executable": "/t/x",
            })
        };
        let manifest = Path::new("/w/portal/Cargo.toml");
        let found = |artifact: &Value| test_of(artifact, manifest);
        let own = "/w/portal/Cargo.toml";
        assert_eq!(found(&artifact(own, "portal", true)), Some("/t/x".into()));
        assert_eq!(found(&artifact(own, "portal", false)), None);
        assert_eq!(found(&artifact(own, "imports", true)), None);
        assert_eq!(found(&artifact("/w/core/Cargo.toml", "x", true)), None);
        assert_eq!(found(&json!({ "reason": "build-finished" })), None);
    }
}
