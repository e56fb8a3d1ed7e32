//! The pages: their sources, and the built files that are kept.

use anyhow::Result;

use crate::process::{watched, works};
use crate::summary::{Counts, Outcome};
use crate::web::{GUEST_PAGE, build_and_compare, npm};

pub(crate) fn build_and_tests() -> Result<Outcome> {
    if !works(npm(GUEST_PAGE).arg("--version")) {
        return Ok(Outcome::NotRun(
            "Node with npm (20 or newer) is not installed".into(),
        ));
    }
    build_and_compare()?;
    let mut counts = Counts::default();
    let succeeded = watched(npm(GUEST_PAGE).args(["test"]), |line| {
        count(line, &mut counts)
    })?;
    Ok(Outcome::Ran(counts.judged_by(succeeded)))
}

/// Reads one of the closing lines of Node's test runner, such as `# pass 12` or `ℹ pass 12`.
pub(super) fn count(line: &str, counts: &mut Counts) {
    let mut words = line.split_whitespace();
    let (Some("#" | "ℹ"), Some(what), Some(number), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return;
    };
    let Ok(number) = number.parse() else {
        return;
    };
    match what {
        "pass" => counts.passed = number,
        "fail" => counts.failed = number,
        "skipped" => counts.skipped = number,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_nodes_runner_are_read() {
        let mut counts = Counts::default();
        for line in [
            "# tests 9",
            "# pass 6",
            "ℹ fail 2",
            "# skipped 1",
            "# it 3 passes",
        ] {
            count(line, &mut counts);
        }
        let expected = Counts {
            passed: 6,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(counts, expected);
    }
}
