//! libFuzzer over every parser that reads bytes from outside: `fuzz/`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::{run, succeeds};
use crate::workspace::{cargo, command, root, target};

/// What `cargo fuzz` sets, less the sanitizers, which need a nightly compiler; Rust checks its own
/// bounds, and the profile keeps overflow checks on.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Feeds the named targets, or all, for some seconds each.
///
/// # Errors
///
/// When one is brought down; the input that did it is kept.
pub(crate) fn fuzz(wanted: &[String], seconds: u32) -> Result<()> {
    let known = targets()?;
    for name in wanted {
        ensure!(
            known.contains(name),
            "no such target: {name} (there are {})",
            known.join(", ")
        );
    }
    let host = host()?;
    let folder = target().join("fuzz");
    run(cargo()
        .args(["build", "--release", "--locked", "--target", &host])
        .args(["--manifest-path", "fuzz/Cargo.toml"])
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", COVERAGE))?;
    let mut brought_down = Vec::new();
    for name in known
        .iter()
        .filter(|name| wanted.is_empty() || wanted.contains(name))
    {
        let corpus = folder.join("corpus").join(name);
        let findings = folder.join("findings").join(name);
        std::fs::create_dir_all(&corpus)?;
        std::fs::create_dir_all(&findings)?;
        let mut fuzz = command(folder.join(&host).join("release").join(name));
        fuzz.arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .arg("-print_final_stats=1")
            .arg("-verbosity=0")
            .arg(corpus);
        let seeds = root().join("fuzz/seeds").join(name);
        if seeds.exists() {
            fuzz.arg(seeds);
        }
        if !succeeds(&mut fuzz)? {
            brought_down.push(format!("{name} ({})", findings.display()));
        }
    }
    ensure!(
        brought_down.is_empty(),
        "brought down, the inputs are kept: {}",
        brought_down.join(", ")
    );
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("fuzz/targets"))? {
        let path: PathBuf = entry?.path();
        names.extend(
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned()),
        );
    }
    names.sort();
    Ok(names)
}

/// Named explicitly, so that build scripts and procedural macros are compiled without counters.
fn host() -> Result<String> {
    let version = Command::new("rustc").arg("-vV").output()?;
    let version = String::from_utf8(version.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}
