//! The aliro crate beside other people's implementations: `tests/aliro_peers`.

use anyhow::Result;

use crate::process::{run, watched};
use crate::soak::drawn;
use crate::summary::{Counts, Outcome};
use crate::tools;
use crate::workspace::{cargo, command, target};

pub(crate) fn sample() -> Result<Outcome> {
    compare(&[("documents", 50), ("schedules", 2_000)], drawn())
}

/// Makes these comparisons, each of so many cases that follow from the seed.
pub(crate) fn compare(comparisons: &[(&str, u32)], seed: u32) -> Result<Outcome> {
    let requirements = "tests/aliro_peers/requirements.txt";
    let packages = match tools::python_packages("aliro-peers", requirements) {
        Ok(packages) => packages,
        Err(missing) => return Ok(Outcome::NotRun(missing)),
    };
    run(cargo().args(["build", "--locked", "-p", "aliro", "--example", "documents"]))?;
    let mut python = command("python3");
    python
        .env("PYTHONPATH", packages)
        .arg("tests/aliro_peers/run.py")
        .arg(target().join("debug/examples/documents"))
        .args(["--seed", &seed.to_string()]);
    for (name, cases) in comparisons {
        python.arg(format!("--{name}={cases}"));
    }
    let mut counts = Counts::default();
    let succeeded = watched(&mut python, |line| counts = counted(line).unwrap_or(counts))?;
    Ok(Outcome::Ran(counts.judged_by(succeeded)))
}

/// What the closing line counts: `peers: 2100 passed, 0 failed`.
fn counted(line: &str) -> Option<Counts> {
    let (passed, failed) = line.strip_prefix("peers: ")?.split_once(", ")?;
    Some(Counts {
        passed: passed.strip_suffix(" passed")?.parse().ok()?,
        failed: failed.strip_suffix(" failed")?.parse().ok()?,
        skipped: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_read() {
        let expected = Counts {
            passed: 2099,
            failed: 1,
            skipped: 0,
        };
        assert_eq!(counted("peers: 2099 passed, 1 failed"), Some(expected));
        assert_eq!(counted("schedules: 2000 agree, 0 differ"), None);
    }
}
