//! The two examples open a door between themselves, as processes, in every mode
//! that they have.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use aliro::crypto::PublicKey;
use aliro::document::issuer::{AccessDocument, Element, RevocationDocument, key_id};
use aliro::document::{
    AccessData, AccessRule, Capabilities, IssuerName, RevocationData, RevocationEntry, Timestamp,
    Validity,
};
use common::{Installation, Key};
use serde_json::{Value, json};

const NOW: &str = "2027-01-01T00:00:00Z";

/// The folder with the built examples.
fn examples() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // target/debug/deps/this-test
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(2).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "--package", "aliro", "--examples"])
            .arg("--target-dir")
            .arg(folder.parent().unwrap());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success());
        folder.join("examples")
    })
}

fn config_file(name: &str, config: &Value) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("{name}-{}.json", std::process::id()));
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// A device that listens; it ends with the test.
struct Device {
    process: Child,
    port: String,
    // Kept open, so that the device can go on saying what happens.
    _output: BufReader<ChildStdout>,
}

impl Device {
    fn start(name: &str, config: &Value) -> Self {
        let mut process = Command::new(examples().join("device"))
            .args(["--listen", "--config"])
            .arg(config_file(&format!("{name}-device"), config))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("listening on port ").unwrap();
        Self {
            process,
            port: port.to_owned(),
            _output: output,
        }
    }

    /// One visit of a reader; its report. The exit code agrees with it.
    fn visit(&self, name: &str, config: &Value) -> Value {
        let output = Command::new(examples().join("reader"))
            .arg("--connect")
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("--config")
            .arg(config_file(&format!("{name}-reader"), config))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "one line: {text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(output.status.success(), report["ok"] == true);
        report
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn hex_key(key: &PublicKey) -> String {
    hex::encode(key.as_bytes())
}

fn private(name: &str) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, name.as_bytes()))
}

/// Configurations of a reader with a certificate and a device that trusts its
/// issuer.
fn certified() -> (Value, Value) {
    let installation = Installation::new();
    let credential = hex_key(&installation.credential.public());
    let issuer = hex_key(&installation.issuer.public());
    let device = json!({
        "credential_priv": private("credential"),
        "groups": [{
            "id": hex::encode(installation.identifier.group), "kind": "ca", "pub": issuer,
        }],
    });
    let reader = json!({
        "reader_priv": private("reader"),
        "reader_identifier": hex::encode(installation.identifier.to_bytes()),
        "cert": hex::encode(installation.certificate.as_bytes()),
        "issuer_pub": issuer,
        "known": [credential],
        "now": NOW,
        "want_key": true,
    });
    (device, reader)
}

/// The same with a reader that is known by its own key.
fn direct() -> (Value, Value) {
    let (mut device, mut reader) = certified();
    device["groups"][0]["kind"] = json!("key");
    device["groups"][0]["pub"] = json!(hex_key(&Key::named("reader").public()));
    reader.as_object_mut().unwrap().remove("cert");
    (device, reader)
}

fn with(mut config: Value, more: Value) -> Value {
    let all = config.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    config
}

fn opens(name: &str, device: &Value, reader: &Value) -> Value {
    let report = Device::start(name, device).visit(name, reader);
    assert_eq!(report["ok"], true, "{report}");
    let credential = hex_key(&Key::named("credential").public());
    assert_eq!(report["credential"], credential);
    report
}

#[test]
fn the_standard_phase_in_every_shape() {
    let ble = json!({ "interface": "c3" });
    for (shape, (device, reader)) in [("direct", direct()), ("certified", certified())] {
        for (name, more) in [
            ("plain", json!({})),
            ("load_cert", json!({ "load_cert": true })),
            ("key_slot", json!({ "want_key": false })),
            ("chained", json!({ "command_limit": 40 })),
        ] {
            let name = format!("standard-{shape}-{name}");
            let report = opens(&name, &device, &with(reader.clone(), more.clone()));
            assert_eq!(report["phase"], "standard");
            let over_ble = with(with(reader.clone(), more), ble.clone());
            opens(
                &format!("{name}-ble"),
                &with(device.clone(), ble.clone()),
                &over_ble,
            );
        }
    }
}

#[test]
fn the_fast_phase_with_what_was_given_back() {
    for (name, more) in [("nfc", json!({})), ("ble", json!({ "interface": "c3" }))] {
        let (device, reader) = certified();
        let reader = with(with(reader, more.clone()), json!({ "fast": true }));
        let name = format!("fast-{name}");
        let device = Device::start(&name, &with(device, more));
        let first = device.visit(&name, &reader);
        assert_eq!(first["phase"], "standard", "{first}");
        let given_back = with(
            reader.clone(),
            json!({ "kpersistent": first["kpersistent"] }),
        );
        let second = device.visit(&name, &given_back);
        assert_eq!(
            (&second["ok"], &second["phase"]),
            (&json!(true), &json!("fast"))
        );
        assert_eq!(second["kpersistent"], first["kpersistent"]);
        // A hit counts for known credentials alone.
        let stranger = with(given_back, json!({ "known": [] }));
        let third = device.visit(&name, &stranger);
        assert_eq!(
            (&third["ok"], &third["phase"]),
            (&json!(false), &json!("standard"))
        );
    }
}

fn validity(iteration: u64) -> Validity {
    Validity {
        signed: Timestamp::parse("2026-11-24T05:00:00Z").unwrap(),
        valid_from: Timestamp::parse("2026-11-24T05:00:00Z").unwrap(),
        valid_until: Timestamp::parse("2027-11-24T05:00:00Z").unwrap(),
        expected_update: None,
        iteration: Some(iteration),
    }
}

fn access(iteration: u64) -> String {
    let issuer = Key::named("document issuer");
    let unsigned = AccessDocument {
        issuer: IssuerName::KeyId(key_id(&issuer.public())),
        device_key: Key::named("credential").public(),
        validity: validity(iteration),
        time_required: true,
        elements: vec![Element {
            identifier: "floor1".to_owned(),
            salt: [7; 16],
            data: AccessData {
                id: b"right".to_vec(),
                rules: vec![AccessRule {
                    capabilities: Capabilities::UNSECURE,
                    allow: 0,
                    deny: 0,
                }],
                ..AccessData::default()
            },
        }],
    }
    .prepare()
    .unwrap();
    let signature = issuer.sign(&unsigned.to_be_signed());
    hex::encode(unsigned.finish(signature).unwrap().as_bytes())
}

fn revocation(entry: RevocationEntry) -> String {
    let issuer = Key::named("document issuer");
    let unsigned = RevocationDocument {
        issuer: IssuerName::KeyId(key_id(&issuer.public())),
        validity: validity(4),
        time_required: false,
        elements: vec![Element {
            identifier: "floor1".to_owned(),
            salt: [8; 16],
            data: RevocationData::overwrite(vec![entry]),
        }],
    }
    .prepare()
    .unwrap();
    let signature = issuer.sign(&unsigned.to_be_signed());
    hex::encode(unsigned.finish(signature).unwrap().as_bytes())
}

fn step_up() -> (Value, Value) {
    let (device, reader) = certified();
    let issuer = hex_key(&Key::named("document issuer").public());
    let reader = with(
        reader,
        json!({
            "known": [], "stepup": true, "elements": ["floor1"], "document_issuers": [issuer],
        }),
    );
    (with(device, json!({ "access": access(4) })), reader)
}

#[test]
fn step_up_lets_in_whom_nobody_knows() {
    for (name, more) in [("nfc", json!({})), ("ble", json!({ "interface": "c3" }))] {
        let (device, reader) = step_up();
        let name = format!("stepup-{name}");
        let report = opens(&name, &with(device, more.clone()), &with(reader, more));
        assert_eq!(report["phase"], "stepup");
        assert_eq!(report["access_elements"], json!(["floor1"]));
        assert_eq!(report["iteration"], 4);
    }
}

#[test]
fn step_up_asks_even_after_a_hit() {
    let (device, reader) = step_up();
    let known = json!([hex_key(&Key::named("credential").public())]);
    let reader = with(reader, json!({ "fast": true, "known": known }));
    let device = Device::start("stepup-fast", &device);
    let first = device.visit("stepup-fast", &reader);
    let again = with(reader, json!({ "kpersistent": first["kpersistent"] }));
    let second = device.visit("stepup-fast", &again);
    assert_eq!(
        (&second["ok"], &second["phase"]),
        (&json!(true), &json!("stepup"))
    );
}

#[test]
fn what_does_not_pass_is_refused_with_a_reason() {
    let (device, reader) = step_up();
    let key_hash = aliro::document::key_hash(&Key::named("credential").public());
    let by_key = RevocationEntry {
        key_hash: Some(key_hash),
        id: Vec::new(),
        expiry: None,
    };
    let by_id = RevocationEntry {
        key_hash: None,
        id: b"right".to_vec(),
        expiry: None,
    };
    let mut without = device.clone();
    without.as_object_mut().unwrap().remove("access");
    let cases = [
        ("absent", without, json!({}), "no document"),
        (
            "stale",
            device.clone(),
            json!({ "iteration": 12 }),
            "validity iteration too old",
        ),
        (
            "late",
            device.clone(),
            json!({ "now": "2028-01-01T00:00:00Z" }),
            "expired",
        ),
        (
            "element",
            device.clone(),
            json!({ "elements": ["floor2"] }),
            "no document",
        ),
        (
            "issuer",
            device.clone(),
            json!({ "document_issuers": [hex_key(&Key::named("issuer").public())] }),
            "issuer not trusted",
        ),
        (
            "revoked-key",
            with(device.clone(), json!({ "revocation": revocation(by_key) })),
            json!({}),
            "revoked",
        ),
        (
            "revoked-id",
            with(device.clone(), json!({ "revocation": revocation(by_id) })),
            json!({}),
            "revoked",
        ),
    ];
    for (name, device, more, reason) in cases {
        let name = format!("refused-{name}");
        let reader = with(reader.clone(), more);
        let report = Device::start(&name, &device).visit(&name, &reader);
        assert_eq!(report["ok"], false, "{report}");
        assert_eq!(report["reason"], reason, "{report}");
    }
}

#[test]
fn a_revoked_credential_leaves_the_persistent_keys_and_stays_out() {
    let (device, reader) = step_up();
    let credential = hex_key(&Key::named("credential").public());
    let reader = with(reader, json!({ "known": [credential], "fast": true }));
    let first = Device::start("revoked-1", &device).visit("revoked-1", &reader);
    assert_eq!(
        first["kpersistent"].as_object().unwrap().len(),
        1,
        "{first}"
    );
    let entry = RevocationEntry {
        key_hash: Some(aliro::document::key_hash(
            &Key::named("credential").public(),
        )),
        id: Vec::new(),
        expiry: None,
    };
    let revoking = with(device.clone(), json!({ "revocation": revocation(entry) }));
    let again = with(reader, json!({ "kpersistent": first["kpersistent"] }));
    let second = Device::start("revoked-2", &revoking).visit("revoked-2", &again);
    assert_eq!(second["ok"], false);
    assert_eq!(second["kpersistent"], json!({}));
    assert_eq!(second["revoked"]["keys"].as_array().unwrap().len(), 1);
    // Known and without documents: the list is enough.
    let third = with(
        again,
        json!({ "revoked": second["revoked"], "stepup": false }),
    );
    let report = Device::start("revoked-3", &device).visit("revoked-3", &third);
    assert_eq!(
        (&report["ok"], &report["reason"]),
        (&json!(false), &json!("revoked"))
    );
}

#[test]
fn a_stranger_at_either_end_is_refused() {
    let (device, reader) = certified();
    let unknown = with(reader.clone(), json!({ "known": [] }));
    let report = Device::start("stranger-device", &device).visit("stranger-device", &unknown);
    assert_eq!(report["reason"], "credential not known");
    let slots = with(unknown, json!({ "want_key": false }));
    let report = Device::start("stranger-slot", &device).visit("stranger-slot", &slots);
    assert_eq!(
        (&report["ok"], &report["credential"]),
        (&json!(false), &Value::Null)
    );
    let thief = with(reader, json!({ "reader_priv": private("thief") }));
    let report = Device::start("stranger-reader", &device).visit("stranger-reader", &thief);
    assert_eq!(report["ok"], false);
    assert_eq!(
        report["credential"],
        Value::Null,
        "a thief learns nobody's name"
    );
}

#[test]
fn without_a_device_there_is_still_one_line() {
    let (_, reader) = certified();
    let output = Command::new(examples().join("reader"))
        .args(["--connect", "127.0.0.1:1", "--config"])
        .arg(config_file("nobody", &reader))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
}
