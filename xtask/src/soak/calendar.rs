//! The rules of access against a calendar that is not ours: `protocol/tests/calendar.rs`.

use super::Settings;
use super::report::{Counted, Report};
use crate::process::watched;
use crate::workspace::cargo;

const CASES: u64 = 1_000_000;

pub(super) fn decisions(settings: &Settings, report: &mut Report) {
    report.count("calendar", || {
        let mut counted = Counted::default();
        let succeeded = watched(
            cargo()
                .args(["test", "--release", "--locked"])
                .args(["--package", "latchkey-protocol", "--test", "calendar"])
                .args(["--", "--nocapture"])
                .env("CALENDAR_CASES", CASES.to_string())
                .env("CALENDAR_SEED", settings.seed.to_string()),
            |line| counted.executions = agreeing(line).unwrap_or(counted.executions),
        )?;
        Ok(counted.judged_by(succeeded))
    });
}

/// What a line such as `1500 cases, no disagreement: {…}` counts.
fn agreeing(line: &str) -> Option<u64> {
    let (cases, _) = line.split_once(" cases, no disagreement")?;
    cases.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_read() {
        assert_eq!(agreeing("1500 cases, no disagreement: {}"), Some(1500));
        assert_eq!(agreeing("test result: ok. 2 passed"), None);
    }
}
