//! Portal, door and phone, killed at any moment and on disks that are full or do not sync: the modules `killed` and `disk`
//! of their tests.

use super::Settings;
use super::report::{Counted, Report};
use crate::process::watched;
use crate::workspace::cargo;

/// How often each is killed, and how often each meets each fault of its disk.
const TIMES: u64 = 200;

/// A row's name, the crate, which of its tests, and in which modules.
const ROWS: [(&str, &str, &[&str], &str); 5] = [
    (
        "kill: portal",
        "latchkey-portal",
        &["--test", "portal"],
        "killed::",
    ),
    (
        "kill: door",
        "latchkey-door",
        &["--test", "door"],
        "killed::",
    ),
    ("kill: phone", "latchkey-core", &["--lib"], "killed::"),
    (
        "disk: portal",
        "latchkey-portal",
        &["--test", "portal"],
        "disk::",
    ),
    ("disk: door", "latchkey-door", &["--test", "door"], "disk::"),
];

pub(super) fn everything(settings: &Settings, report: &mut Report) {
    for (name, package, tests, modules) in ROWS {
        report.count(name, || {
            let mut counted = Counted::default();
            let succeeded = watched(
                cargo()
                    .args(["test", "--locked", "--package", package])
                    .args(tests)
                    .args([modules, "--", "--nocapture"])
                    .env("LATCHKEY_KILLS", TIMES.to_string())
                    .env("LATCHKEY_SEED", settings.seed.to_string()),
                |line| counted.executions += survived(line).unwrap_or(0),
            )?;
            Ok(counted.judged_by(succeeded))
        });
    }
}

/// What a line such as `200 times, 3210 answers kept` counts.
fn survived(line: &str) -> Option<u64> {
    let (times, kept) = line.split_once(" times, ")?;
    // The test's name may stand before it.
    let times = times.rsplit(' ').next()?;
    kept.ends_with(" answers kept")
        .then(|| times.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_read() {
        assert_eq!(survived("200 times, 3210 answers kept"), Some(200));
        let behind = "test killed::under_load ... 200 times, 3210 answers kept";
        assert_eq!(survived(behind), Some(200));
        assert_eq!(survived("LATCHKEY_SEED=7"), None);
    }
}
