//! `fuzz/README.md` says which target feeds which parser, and leaves none out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::known;
use crate::workspace::root;

/// Crates that read bytes from outside by themselves; `aliro`'s targets go by its messages, not by its files.
const CRATES: [&str; 4] = ["protocol", "portal", "core", "door"];

/// How functions begin that read something.
const READERS: [&str; 6] = ["parse", "read", "decode", "from_", "heard", "claimed"];

/// What they are given.
const UNREAD: [&str; 3] = ["&str", "&[u8]", "&HeaderMap"];

/// How a type is read without a function of its own.
const READ_BY_TRAIT: [&str; 3] = ["FromStr for ", " Deserialize<'de> for ", "serde(try_from"];

/// The places and the targets of the table.
fn table(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut places, mut targets) = (BTreeSet::new(), BTreeSet::new());
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.split('|').collect();
        let [_, _, read_in, fed_by, _] = cells[..] else {
            panic!("not three columns: {row}");
        };
        let names = |cell: &str| -> Vec<String> {
            let quoted = cell.split('`').skip(1).step_by(2);
            quoted.map(str::to_owned).collect()
        };
        places.extend(names(read_in));
        targets.extend(names(fed_by));
    }
    (places, targets)
}

/// Whether a source has a public function, or a type, that reads what it is given.
fn has_reader(source: &str) -> bool {
    let source = source
        .split("#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default();
    let functions = source.split("pub ").skip(1).filter_map(|after| {
        let after = after.strip_prefix("const ").unwrap_or(after);
        after.strip_prefix("fn ")?.split(['{', ';']).next()
    });
    let mut readers = functions.filter(|signature| {
        let itself = signature.starts_with("claimed");
        READERS.iter().any(|name| signature.starts_with(name))
            && (itself || UNREAD.iter().any(|given| signature.contains(given)))
    });
    readers.next().is_some() || READ_BY_TRAIT.iter().any(|way| source.contains(way))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_public_parser_and_every_target_is_in_the_table() {
    let (places, targets) = table(&std::fs::read_to_string(root().join("fuzz/README.md")).unwrap());
    let there: BTreeSet<_> = known().unwrap().into_iter().collect();
    assert_eq!(
        targets, there,
        "targets of fuzz/README.md, and those there are"
    );
    for place in &places {
        assert!(root().join(place).exists(), "there is no {place}");
    }
    let mut parsers = 0;
    for folder in CRATES.map(|name| root().join(name).join("src")) {
        for path in sources(&folder) {
            if !has_reader(&std::fs::read_to_string(&path).unwrap()) {
                continue;
            }
            parsers += 1;
            let place = path.strip_prefix(root()).unwrap().to_str().unwrap();
            assert!(
                places.contains(place),
                "{place} reads what comes from outside: give it a target, and a place in fuzz/README.md"
            );
        }
    }
    assert!(parsers > 25, "{parsers} files");
}

#[test]
fn a_parser_is_known_by_what_it_is_called_and_given() {
    for source in [
        "pub fn parse(text: &str) -> X {",
        "pub const fn from_bytes(\n    bytes: &[u8],\n) -> X {",
        "pub fn claimed(&self) -> X {",
        "impl std::str::FromStr for X {",
        "#[serde(try_from = \"String\")]",
    ] {
        assert!(has_reader(source), "{source}");
    }
    for source in [
        "pub fn from_minutes(minutes: u32) -> X { f(\"&str\") }",
        "pub(crate) fn parse(text: &str) -> X {",
        "pub fn written(text: &str) -> X {",
        "pub fn x() {}\n#[cfg(test)]\nmod tests { pub fn parse(text: &str) {} }",
    ] {
        assert!(!has_reader(source), "{source}");
    }
}
