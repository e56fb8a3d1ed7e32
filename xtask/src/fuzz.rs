//! libFuzzer over every parser that reads bytes from outside: `fuzz/`.

mod kept;
#[cfg(test)]
mod listed;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::{overseen, run};
use crate::workspace::{cargo, command, root, target};

/// What `cargo fuzz` sets, less the sanitizers, which need a nightly compiler; Rust checks its own
/// bounds, and the profile keeps overflow checks on.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// How much a target is fed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Portion {
    Seconds(u32),
    Runs(u64),
}

/// What came of feeding one target.
#[derive(Debug)]
pub(crate) struct Fed {
    /// How many inputs it took.
    pub(crate) runs: u64,
    /// Where the input lies that brought it down, if one did.
    pub(crate) brought_down: Option<PathBuf>,
}

/// Feeds the named targets, or all, for some seconds each.
///
/// # Errors
///
/// When one is brought down; the input that did it is kept.
pub(crate) fn fuzz(wanted: &[String], seconds: u32) -> Result<()> {
    let targets = Targets::build(wanted)?;
    let mut brought_down = Vec::new();
    for name in targets.names() {
        let fed = targets.feed(name, Portion::Seconds(seconds), 0)?;
        brought_down.extend(
            fed.brought_down
                .map(|at| format!("{name} ({})", at.display())),
        );
    }
    ensure!(
        brought_down.is_empty(),
        "brought down, the inputs are kept: {}",
        brought_down.join(", ")
    );
    Ok(())
}

/// Keeps in `fuzz/seeds` what of the named targets' inputs, or all targets', reaches most.
///
/// # Errors
///
/// When an input brings its target down, or a folder cannot be written.
pub(crate) fn keep(wanted: &[String]) -> Result<()> {
    let targets = Targets::build(wanted)?;
    for name in targets.names() {
        targets.keep(name)?;
    }
    Ok(())
}

/// Targets that are built.
pub(crate) struct Targets {
    names: Vec<String>,
    programs: PathBuf,
    folder: PathBuf,
}

impl Targets {
    /// Builds all targets, and stands for the named ones, or all.
    ///
    /// # Errors
    ///
    /// When there is no target of a name, or they do not compile.
    pub(crate) fn build(wanted: &[String]) -> Result<Self> {
        let mut names = known()?;
        for name in wanted {
            ensure!(
                names.contains(name),
                "no such target: {name} (there are {})",
                names.join(", ")
            );
        }
        names.retain(|name| wanted.is_empty() || wanted.contains(name));
        let host = host()?;
        let folder = target().join("fuzz");
        run(cargo()
            .args(["build", "--release", "--locked", "--target", &host])
            .args(["--manifest-path", "fuzz/Cargo.toml"])
            .env("CARGO_TARGET_DIR", &folder)
            .env("RUSTFLAGS", COVERAGE))?;
        Ok(Self {
            names,
            programs: folder.join(host).join("release"),
            folder,
        })
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Feeds one target what mutation makes of its corpus and its kept seeds. The dice are thrown
    /// from `seed`, or from one of libFuzzer's own when it is 0.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub(crate) fn feed(&self, name: &str, portion: Portion, seed: u32) -> Result<Fed> {
        let findings = self.folder.join("findings").join(name);
        std::fs::create_dir_all(self.corpus(name))?;
        std::fs::create_dir_all(&findings)?;
        let mut fuzz = self.program(name);
        fuzz.arg(match portion {
            Portion::Seconds(seconds) => format!("-max_total_time={seconds}"),
            Portion::Runs(runs) => format!("-runs={runs}"),
        });
        fuzz.arg(format!("-seed={seed}"))
            .arg(format!("-artifact_prefix={}/", findings.display()))
            // An input that takes this long is a finding, on a busy machine too.
            .arg("-timeout=60")
            .arg("-print_final_stats=1")
            .arg(self.corpus(name));
        let seeds = seeds(name);
        if seeds.exists() {
            fuzz.arg(seeds);
        }
        let mut runs = 0;
        let unharmed = overseen(&mut fuzz, |line| {
            runs = executed(line).unwrap_or(runs);
            is_more_than_news(line)
        })?;
        Ok(Fed {
            runs,
            brought_down: (!unharmed).then_some(findings),
        })
    }

    fn program(&self, name: &str) -> Command {
        command(self.programs.join(name))
    }

    /// Where libFuzzer gathers what reached something new.
    fn corpus(&self, name: &str) -> PathBuf {
        self.folder.join("corpus").join(name)
    }
}

/// What is kept in the repository of a target's inputs.
fn seeds(name: &str) -> PathBuf {
    root().join("fuzz/seeds").join(name)
}

/// Whether a line is more than the news that an input reached something new, of which there are
/// thousands, or the dictionary at the end.
fn is_more_than_news(line: &str) -> bool {
    let word = line.split_whitespace().nth(1);
    let news = line.starts_with('#') && matches!(word, Some("NEW" | "REDUCE" | "RELOAD"));
    let dictionary = line.starts_with("######") || line.starts_with('"');
    !news && !dictionary && !line.trim_start().starts_with("NEW_FUNC")
}

/// What the closing statistics count.
fn executed(line: &str) -> Option<u64> {
    let count = line.strip_prefix("stat::number_of_executed_units:")?;
    count.trim().parse().ok()
}

fn known() -> Result<Vec<String>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_read() {
        let count = "stat::number_of_executed_units: 10000000";
        assert_eq!(executed(count), Some(10_000_000));
        assert_eq!(executed("stat::new_units_added:          34"), None);
        let news = "#8143\tNEW    cov: 107 ft: 218 corp: 61/1Kb lim: 80 exec/s: 0 rss: 31Mb";
        assert!(!is_more_than_news(news));
        assert!(!is_more_than_news("\tNEW_FUNC[1/2]: 0x55 (target+0x1)"));
        assert!(!is_more_than_news("\"\\001p\" # Uses: 3439"));
        assert!(is_more_than_news("#1048576\tpulse  cov: 107 ft: 218"));
        assert!(is_more_than_news("thread panicked at 'NEW'"));
    }
}
