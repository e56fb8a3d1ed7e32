//! The aliro crate beside other people's implementations: `tests/aliro_peers`.

use anyhow::bail;

use super::Settings;
use super::report::{Counted, Report};
use crate::suites::aliro_peers::compare;
use crate::summary::Outcome;

pub(super) fn schedules(settings: &Settings, report: &mut Report) {
    agree("schedules", 100_000, settings, report);
}

pub(super) fn documents(settings: &Settings, report: &mut Report) {
    agree("documents", 10_000, settings, report);
}

fn agree(comparison: &str, cases: u32, settings: &Settings, report: &mut Report) {
    report.count(comparison, || {
        match compare(&[(comparison, cases)], settings.seed)? {
            Outcome::Ran(counts) => Ok(Counted {
                executions: (counts.passed + counts.failed) as u64,
                findings: counts.failed as u64,
            }),
            Outcome::NotRun(why) => bail!("NOT RUN: {why}"),
        }
    });
}
