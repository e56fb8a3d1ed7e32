//! The generated Kotlin on a desktop JVM.

use anyhow::Result;

use crate::bindings::{self, Language};
use crate::process::{watched, works};
use crate::summary::{Counts, Outcome};
use crate::workspace::{command, target};

pub(crate) fn tests() -> Result<Outcome> {
    if !works(command("mvn").arg("--version")) {
        return Ok(Outcome::NotRun(
            "Maven with a JDK (17 or newer) is not installed".into(),
        ));
    }
    // Swift too, which no test compiles here: that it can be generated is shown at least. Builds the
    // property that the tests run against as well.
    bindings::generate(&Language::ALL)?;
    let mut counts = Counts::default();
    let succeeded = watched(
        command("mvn")
            .args(["--batch-mode", "--no-transfer-progress"])
            .args(["--file", "tests/bindings/kotlin/pom.xml"])
            .arg(format!("-Dlatchkey.target={}", target().display()))
            .args(["clean", "test"]),
        |line| counts = counted(line).unwrap_or(counts),
    )?;
    Ok(Outcome::Ran(counts.judged_by(succeeded)))
}

/// What Surefire's closing line counts, such as `[INFO] Tests run: 3, Failures: 0, Errors: 0,
/// Skipped: 0`; a class's own line goes on with its time.
fn counted(line: &str) -> Option<Counts> {
    let (_, counts) = line.split_once("Tests run: ")?;
    let numbers: Option<Vec<usize>> = counts
        .split(", ")
        .map(|part| part.rsplit(": ").next()?.parse().ok())
        .collect();
    let [run, failures, errors, skipped] = numbers?[..] else {
        return None;
    };
    Some(Counts {
        passed: run.checked_sub(failures + errors + skipped)?,
        failed: failures + errors,
        skipped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_read_and_a_class_line_is_not() {
        let closing = "[INFO] Tests run: 7, Failures: 1, Errors: 1, Skipped: 2";
        let expected = Counts {
            passed: 3,
            failed: 2,
            skipped: 2,
        };
        assert_eq!(counted(closing), Some(expected));
        assert_eq!(
            counted(&format!("{closing}, Time elapsed: 0.1 s -- in A")),
            None
        );
    }
}
