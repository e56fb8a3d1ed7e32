//! Imports point one way: `aliro` ← `protocol` ← `core` ← `bindings`, `protocol` ← `portal`,
//! `protocol` ← `door`; `core`, `portal` and `door` never import each other. Read from
//! `cargo metadata`, for ordinary, build and test dependencies alike. The fixture `bad-imports` is a
//! workspace that breaks each rule once, and proves that this test can fail.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Every crate of the workspace with those of ours that it may import. A new crate gets its place
/// here first.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("aliro", &[]),
    ("latchkey-protocol", &["aliro"]),
    ("latchkey-env", &[]),
    (
        "latchkey-core",
        // The last for its tests alone, here and below.
        &[
            "aliro",
            "latchkey-protocol",
            "latchkey-env",
            "latchkey-test-faults",
        ],
    ),
    (
        "latchkey-bindings",
        &["latchkey-protocol", "latchkey-core", "latchkey-env"],
    ),
    (
        "latchkey-portal",
        &[
            "aliro",
            "latchkey-protocol",
            "latchkey-env",
            "latchkey-test-database",
            "latchkey-test-faults",
        ],
    ),
    (
        "latchkey-door",
        &[
            "aliro",
            "latchkey-protocol",
            "latchkey-env",
            "latchkey-test-faults",
        ],
    ),
    ("latchkey-demo", EVERYTHING),
    ("latchkey-tests", EVERYTHING),
    ("latchkey-test-database", &[]),
    ("latchkey-test-faults", &["latchkey-env"]),
    ("xtask", &[]),
];

const EVERYTHING: &[&str] = &[
    "aliro",
    "latchkey-protocol",
    "latchkey-env",
    "latchkey-core",
    "latchkey-bindings",
    "latchkey-portal",
    "latchkey-door",
    "latchkey-test-database",
    "latchkey-test-faults",
];

/// What must not be reached from a crate of ours at all, through whatever dependency: the rules and
/// the protocol do no I/O, and only the facade knows of uniffi.
const NEVER_REACHES: &[(&str, &[&str])] = &[
    ("aliro", &["tokio", "reqwest", "rusqlite", "uniffi", "rand"]),
    (
        "latchkey-protocol",
        &["tokio", "reqwest", "rusqlite", "uniffi", "rand"],
    ),
    ("latchkey-core", &["uniffi", "axum"]),
    ("latchkey-portal", &["uniffi"]),
    ("latchkey-door", &["uniffi"]),
];

/// What must not be in the build at all (`deny.toml` has the reasons).
const BANNED: &[&str] = &[
    "openssl",
    "openssl-sys",
    "native-tls",
    "aws-lc-rs",
    "aws-lc-sys",
    "rsa",
];

/// The crate is for others, too: whoever takes it alone meets no word of ours.
#[test]
fn nothing_in_aliro_speaks_of_latchkey() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../aliro")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).to_lowercase();
            assert!(!text.contains("latchkey"), "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 50, "{read} files");
}

#[test]
fn imports_of_the_workspace_point_one_way() {
    let broken = broken_rules(&metadata(Path::new("../Cargo.toml")));
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_rule_is_seen_to_be_broken_in_the_bad_workspace() {
    let broken = broken_rules(&metadata(Path::new("fixtures/bad-imports/Cargo.toml")));
    let expected = [
        "aliro imports latchkey-env",
        "aliro reaches tokio",
        "latchkey-core imports latchkey-portal",
        "latchkey-core reaches uniffi",
        "latchkey-door imports latchkey-core",
        "latchkey-door reaches uniffi",
        "latchkey-portal imports latchkey-door",
        "newcomer has no place among the import rules",
        "openssl-sys is in the build",
    ];
    assert_eq!(broken, BTreeSet::from(expected.map(str::to_owned)));
}

#[test]
fn two_libraries_that_link_sqlite_are_seen() {
    let metadata = metadata(Path::new("../Cargo.toml"));
    let mut twice = metadata.clone();
    let sqlite = |package: &&cargo_metadata::Package| package.links.as_deref() == Some("sqlite3");
    let linking = metadata.packages.iter().find(sqlite);
    twice
        .packages
        .push(linking.expect("the workspace has SQLite").clone());
    let expected = "2 packages link sqlite3, not one";
    assert_eq!(broken_rules(&twice), BTreeSet::from([expected.to_owned()]));
}

/// Each rule that is broken, as a sentence.
fn broken_rules(metadata: &Metadata) -> BTreeSet<String> {
    let mut broken = BTreeSet::new();
    broken.extend(forbidden_imports(metadata));
    broken.extend(forbidden_reaches(metadata));
    broken.extend(banned_packages(metadata));
    broken.extend(sqlite_links(metadata));
    broken
}

fn forbidden_imports(metadata: &Metadata) -> Vec<String> {
    let rules: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let members = metadata.workspace_packages();
    let ours: BTreeSet<_> = members
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut broken = Vec::new();
    for package in &members {
        let name = package.name.as_str();
        let Some(allowed) = rules.get(name) else {
            broken.push(format!("{name} has no place among the import rules"));
            continue;
        };
        for dependency in &package.dependencies {
            let import = dependency.name.as_str();
            // A crate's own tests may ask for its features by importing it again.
            let itself = import == name && dependency.kind == DependencyKind::Development;
            if ours.contains(import) && !allowed.contains(&import) && !itself {
                broken.push(format!("{name} imports {import}"));
            }
        }
    }
    broken
}

fn forbidden_reaches(metadata: &Metadata) -> Vec<String> {
    let mut broken = Vec::new();
    for package in metadata.workspace_packages() {
        let rule = NEVER_REACHES
            .iter()
            .find(|(name, _)| *name == package.name.as_str());
        let Some((name, forbidden)) = rule else {
            continue;
        };
        let reached = reached_from(metadata, &package.id);
        let met = forbidden.iter().filter(|crate_| reached.contains(**crate_));
        broken.extend(met.map(|crate_| format!("{name} reaches {crate_}")));
    }
    broken
}

/// The names of all that a package is built from, tests and build scripts left out.
fn reached_from<'a>(metadata: &'a Metadata, start: &'a PackageId) -> BTreeSet<&'a str> {
    let resolve = metadata
        .resolve
        .as_ref()
        .expect("metadata with dependencies");
    let mut seen = BTreeSet::from([start]);
    let mut open = vec![start];
    while let Some(id) = open.pop() {
        let ordinary = resolve[id].deps.iter().filter(|dependency| {
            let mut kinds = dependency.dep_kinds.iter();
            kinds.any(|kind| kind.kind == DependencyKind::Normal)
        });
        open.extend(
            ordinary
                .map(|dependency| &dependency.pkg)
                .filter(|id| seen.insert(id)),
        );
    }
    seen.into_iter()
        .map(|id| metadata[id].name.as_str())
        .collect()
}

fn banned_packages(metadata: &Metadata) -> Vec<String> {
    let names = metadata
        .packages
        .iter()
        .map(|package| package.name.as_str());
    let banned = names.filter(|name| BANNED.contains(name));
    banned
        .map(|name| format!("{name} is in the build"))
        .collect()
}

/// Two copies of SQLite in one process corrupt each other's files (their POSIX locks know nothing
/// of one another).
fn sqlite_links(metadata: &Metadata) -> Option<String> {
    let links = metadata
        .packages
        .iter()
        .filter_map(|package| package.links.as_deref());
    let count = links.filter(|library| *library == "sqlite3").count();
    (count > 1).then(|| format!("{count} packages link sqlite3, not one"))
}

/// As cargo resolved it for this machine; what other platforms would add is in `deny.toml`'s care.
fn metadata(manifest: &Path) -> Metadata {
    MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest))
        .other_options(["--locked", "--filter-platform", &host()].map(str::to_owned))
        .exec()
        .expect("cargo metadata")
}

fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().expect("rustc -vV");
    let version = String::from_utf8(output.stdout).expect("text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}
