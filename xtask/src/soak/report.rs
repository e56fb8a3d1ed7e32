//! What came of the parts.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

/// What one row counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// How often it was done.
    pub(super) executions: u64,
    /// How often it was not as it must be.
    pub(super) findings: u64,
}

impl Counted {
    /// These counts, of a program that ended well or badly: one that ended badly without a finding
    /// (it did not compile, it was killed) has one, and so has one that ended well having done
    /// nothing.
    pub(super) fn judged_by(mut self, succeeded: bool) -> Self {
        if self.findings == 0 && (!succeeded || self.executions == 0) {
            self.findings = 1;
        }
        self
    }
}

#[derive(Debug)]
struct Row {
    name: String,
    counted: Counted,
    /// Why it counted nothing, or not to the end.
    trouble: Option<String>,
    took: Duration,
}

/// A row for each thing that was counted; shown as a table.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Row>);

impl Report {
    /// Adds a row for what `work` counts. An error is a finding.
    #[expect(
        clippy::disallowed_methods,
        reason = "says how long it took on this machine; no device's clock is involved"
    )]
    pub(super) fn count(&mut self, name: &str, work: impl FnOnce() -> Result<Counted>) {
        let start = Instant::now();
        let (counted, trouble) = match work() {
            Ok(counted) => (counted, None),
            Err(error) => (
                Counted::default().judged_by(false),
                Some(format!("{error:#}")),
            ),
        };
        let row = Row {
            name: name.to_owned(),
            counted,
            trouble,
            took: start.elapsed(),
        };
        println!("{row}");
        self.0.push(row);
    }

    pub(super) fn findings(&self) -> u64 {
        self.0.iter().map(|row| row.counted.findings).sum()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counted {
            executions,
            findings,
        } = self.counted;
        let seconds = self.took.as_secs_f64();
        let name = &self.name;
        write!(
            f,
            "{name:<28} {executions:>11} {findings:>9} {seconds:>9.1}"
        )?;
        match &self.trouble {
            Some(trouble) => write!(f, "  {trouble}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [part, executions, findings, seconds] = ["part", "executions", "findings", "seconds"];
        writeln!(f, "{part:<28} {executions:>11} {findings:>9} {seconds:>9}")?;
        for row in &self.0 {
            writeln!(f, "{row}")?;
        }
        write!(f, "\n{} findings", self.findings())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn what_failed_or_did_nothing_is_a_finding() {
        let done = Counted {
            executions: 5,
            findings: 0,
        };
        assert_eq!(done.judged_by(true).findings, 0);
        assert_eq!(done.judged_by(false).findings, 1);
        assert_eq!(Counted::default().judged_by(true).findings, 1);
        let found = Counted {
            findings: 3,
            ..done
        };
        assert_eq!(found.judged_by(false).findings, 3);
    }

    #[test]
    fn the_table_has_every_row_and_the_sum_of_findings() {
        let mut report = Report::default();
        report.count("calendar", || {
            Ok(Counted {
                executions: 1_000,
                findings: 2,
            })
        });
        report.count("schedules", || Err(anyhow!("no Python")));
        assert_eq!(report.findings(), 3);
        let text = report.to_string();
        let words = |line: usize| -> Vec<_> {
            let line = text.lines().nth(line).unwrap_or_default();
            line.split_whitespace().collect()
        };
        assert_eq!(words(1)[..3], ["calendar", "1000", "2"]);
        assert_eq!(words(2)[..3], ["schedules", "0", "1"]);
        assert!(text.contains("no Python"));
        assert!(text.ends_with("\n3 findings"));
    }
}
