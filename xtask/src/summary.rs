//! What came of the suites.

use std::fmt;
use std::time::Duration;

/// What a suite's own runner counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Counts {
    /// One check that passed or failed.
    pub(crate) fn one(passed: bool) -> Self {
        Self {
            passed: usize::from(passed),
            failed: usize::from(!passed),
            skipped: 0,
        }
    }

    /// These counts, of a runner that ended well or badly: one that ended badly without a failed
    /// test (it did not compile, it was killed) counts as one failure, and so does one that ended
    /// well having run nothing.
    pub(crate) fn judged_by(mut self, succeeded: bool) -> Self {
        if self.failed == 0 && (!succeeded || self.passed == 0) {
            self.failed = 1;
        }
        self
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What came of one suite.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It ran.
    Ran(Counts),
    /// It could not run, and why.
    NotRun(String),
}

/// One line of the summary.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) suite: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
    /// Whether a suite that could not run counts as a failure.
    pub(crate) must_run: bool,
}

impl Line {
    fn verdict(&self) -> Verdict {
        match &self.outcome {
            Outcome::Ran(counts) if counts.failed == 0 => Verdict::Passed,
            Outcome::Ran(_) => Verdict::Failed,
            Outcome::NotRun(_) if self.must_run => Verdict::Failed,
            Outcome::NotRun(_) => Verdict::Skipped,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// All lines; shown as a table, closed by a count of suites.
#[derive(Debug, Default)]
pub(crate) struct Summary(pub(crate) Vec<Line>);

impl Summary {
    pub(crate) fn succeeded(&self) -> bool {
        self.count(&Verdict::Failed) == 0
    }

    fn count(&self, verdict: &Verdict) -> usize {
        let lines = self.0.iter();
        lines.filter(|line| line.verdict() == *verdict).count()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12} {:>7} {:>7} {:>7} {:>8}",
            "suite", "passed", "failed", "skipped", "seconds"
        )?;
        for line in &self.0 {
            let seconds = line.took.as_secs_f64();
            match &line.outcome {
                Outcome::Ran(Counts {
                    passed,
                    failed,
                    skipped,
                }) => writeln!(
                    f,
                    "{:<12} {passed:>7} {failed:>7} {skipped:>7} {seconds:>8.1}",
                    line.suite
                )?,
                Outcome::NotRun(why) => writeln!(f, "{:<12} NOT RUN: {why}", line.suite)?,
            }
        }
        writeln!(f)?;
        let skipped = self.count(&Verdict::Skipped);
        write!(
            f,
            "{} passed, {} failed",
            self.count(&Verdict::Passed),
            self.count(&Verdict::Failed)
        )?;
        if skipped > 0 {
            write!(f, ", {skipped} skipped")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outcome: Outcome, must_run: bool) -> Line {
        Line {
            suite: "rust",
            outcome,
            took: Duration::ZERO,
            must_run,
        }
    }

    fn closing(lines: Vec<Line>) -> (String, bool) {
        let summary = Summary(lines);
        let text = summary.to_string();
        let last = text.lines().last().unwrap_or_default().to_owned();
        (last, summary.succeeded())
    }

    #[test]
    fn the_closing_line_counts_suites() {
        let ran = |passed| line(Outcome::Ran(Counts::one(passed)), true);
        assert_eq!(
            closing(vec![ran(true), ran(true)]),
            ("2 passed, 0 failed".into(), true)
        );
        assert_eq!(
            closing(vec![ran(true), ran(false)]),
            ("1 passed, 1 failed".into(), false)
        );
    }

    #[test]
    fn a_suite_that_did_not_run_is_skipped_unless_it_must() {
        let not_run = |must_run| line(Outcome::NotRun("no browser".into()), must_run);
        assert_eq!(
            closing(vec![not_run(false)]),
            ("0 passed, 0 failed, 1 skipped".into(), true)
        );
        assert_eq!(
            closing(vec![not_run(true)]),
            ("0 passed, 1 failed".into(), false)
        );
    }

    #[test]
    fn a_runner_that_failed_or_ran_nothing_is_never_taken_for_a_pass() {
        let none = Counts::default();
        assert_eq!(none.judged_by(false).failed, 1);
        assert_eq!(none.judged_by(true).failed, 1);
        assert_eq!(Counts::one(true).judged_by(true).failed, 0);
        assert_eq!(Counts::one(true).judged_by(false).failed, 1);
    }
}
