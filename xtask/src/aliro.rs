//! The certification tool's cases for Aliro 1.0, and what became of each.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::process::watched;
use crate::workspace::{cargo, root};

/// The id and what proving it takes, one a line.
const CASES: &str = "aliro/tests/certification.tsv";

/// Runs every case that logic can prove and lists them all.
///
/// # Errors
///
/// When the list cannot be read, or cargo cannot be started.
pub(crate) fn certification() -> Result<ExitCode> {
    let path = root().join(CASES);
    let list = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let mut results = BTreeMap::new();
    let tests = ["test", "--package", "aliro", "--locked", "--no-fail-fast"];
    let binaries = [
        "certification_reader",
        "certification_documents",
        "certification_device",
        "certification_ble",
    ];
    let binaries = binaries.iter().flat_map(|name| ["--test", name]);
    watched(cargo().args(tests).args(binaries), |line| {
        results.extend(result(line));
    })?;
    println!();
    let (mut passed, mut failed) = (0, 0);
    for (id, needs) in cases(&list)? {
        let outcome = match (needs, results.get(&id.to_lowercase())) {
            ("logic", Some(true)) => {
                passed += 1;
                "pass".to_owned()
            }
            ("logic", _) => {
                failed += 1;
                "FAIL".to_owned()
            }
            (hardware, _) => format!("needs hardware: {hardware}"),
        };
        println!("{id:<75} {outcome}");
    }
    println!("\n{passed} pass, {failed} fail; a pass proves the logic, not conformance");
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn cases(list: &str) -> Result<Vec<(&str, &str)>> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let cases: Option<Vec<_>> = lines.map(|line| line.split_once('\t')).collect();
    let cases = cases.context("a line is not an id, a tab and a need")?;
    ensure!(!cases.is_empty(), "the list is empty");
    Ok(cases)
}

/// What a line such as `test nfc_rdr_fast ... ok` says.
fn result(line: &str) -> Option<(String, bool)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.to_owned(), outcome == "ok"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tests_are_read_and_others_are_not() {
        assert_eq!(
            result("test nfc_rdr_fast ... ok"),
            Some(("nfc_rdr_fast".to_owned(), true))
        );
        assert_eq!(
            result("test nfc_rdr_fast ... FAILED"),
            Some(("nfc_rdr_fast".to_owned(), false))
        );
        assert_eq!(result("test result: ok. 36 passed"), None);
    }

    #[test]
    fn the_list_has_every_case() {
        let list = std::fs::read_to_string(root().join(CASES)).expect("the list is there");
        let cases = cases(&list).expect("the list reads");
        assert_eq!(cases.len(), 134);
        let logic = cases.iter().filter(|(_, needs)| *needs == "logic");
        assert_eq!(logic.count(), 108);
    }
}
