//! What cargo and its components check.

use anyhow::Result;

use crate::process::{succeeds, watched, works};
use crate::summary::{Counts, Outcome};
use crate::workspace::{APART, BENCH, cargo};

pub(crate) fn fmt() -> Result<Outcome> {
    if !works(cargo().args(["fmt", "--version"])) {
        return Ok(missing_component("rustfmt"));
    }
    let mut counts = Counts::default();
    for manifest in ["Cargo.toml"].into_iter().chain(APART) {
        let check = ["fmt", "--all", "--check", "--manifest-path", manifest];
        counts += Counts::one(succeeds(cargo().args(check))?);
    }
    Ok(Outcome::Ran(counts))
}

pub(crate) fn clippy() -> Result<Outcome> {
    if !works(cargo().args(["clippy", "--version"])) {
        return Ok(missing_component("clippy"));
    }
    let mut counts = Counts::default();
    // Nothing else that is run every day would notice that a bench no longer compiles.
    for manifest in ["Cargo.toml", BENCH] {
        let check = ["clippy", "--workspace", "--all-targets", "--locked"];
        let mut clippy = cargo();
        clippy
            .args(check)
            .args(["--manifest-path", manifest, "--", "-D", "warnings"]);
        counts += Counts::one(succeeds(&mut clippy)?);
    }
    Ok(Outcome::Ran(counts))
}

pub(crate) fn doc() -> Result<Outcome> {
    one(cargo()
        .args(["doc", "--workspace", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

pub(crate) fn tests() -> Result<Outcome> {
    let mut counts = Counts::default();
    let succeeded = watched(
        cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"]),
        |line| counts += counted(line).unwrap_or_default(),
    )?;
    Ok(Outcome::Ran(counts.judged_by(succeeded)))
}

fn one(command: &mut std::process::Command) -> Result<Outcome> {
    Ok(Outcome::Ran(Counts::one(succeeds(command)?)))
}

fn missing_component(name: &str) -> Outcome {
    Outcome::NotRun(format!(
        "{name} is not installed (`rustup component add {name}`)"
    ))
}

/// What a closing line such as `test result: ok. 16 passed; 0 failed; 1 ignored; …` counts.
pub(super) fn counted(line: &str) -> Option<Counts> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |of: &str| {
        counts
            .split("; ")
            .find_map(|part| part.strip_suffix(of)?.trim().parse().ok())
    };
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
        skipped: number("ignored")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_of_a_test_run_is_read() {
        let line = "test result: FAILED. 16 passed; 2 failed; 1 ignored; 0 measured; 0 filtered \
                    out; finished in 0.01s";
        let expected = Counts {
            passed: 16,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(counted(line), Some(expected));
        assert_eq!(counted("test ids::reads ... ok"), None);
    }
}
