//! Histories of a key with a number of uses: `door/src/histories.rs`.

use super::Settings;
use super::report::{Counted, Report};
use crate::process::watched;
use crate::workspace::cargo;

const HISTORIES: u64 = 10_000;

pub(super) fn histories(settings: &Settings, report: &mut Report) {
    report.count("uses", || {
        let mut counted = Counted::default();
        let succeeded = watched(
            cargo()
                .args(["test", "--release", "--locked"])
                .args(["--package", "latchkey-door", "--lib", "histories"])
                .args(["--", "--nocapture"])
                .env("LATCHKEY_HISTORIES", HISTORIES.to_string())
                .env("LATCHKEY_SEED", settings.seed.to_string()),
            |line| counted.executions = gone_well(line).unwrap_or(counted.executions),
        )?;
        Ok(counted.judged_by(succeeded))
    });
}

/// What a line such as `300 histories, none went wrong` counts.
fn gone_well(line: &str) -> Option<u64> {
    let (histories, _) = line.split_once(" histories, none went wrong")?;
    histories.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_read() {
        assert_eq!(gone_well("300 histories, none went wrong"), Some(300));
        assert_eq!(gone_well("300 histories from seed 7"), None);
    }
}
