//! The program as its operators run it: a process with a console, a log, signals.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use latchkey_protocol::api::Page;
use latchkey_protocol::api::people::Person;
use serde_json::json;

use crate::client::{Device, code_in};
use crate::world::Place;

const OWNER: &str = "olga@harbour.example";
const FILE: &str = r#"
[property]
name = "Yard"
zone = "Europe/Berlin"
[owner]
name = "Olga"
email = "olga@harbour.example"
"#;

/// A portal process; killed when the test is over.
struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    url: String,
}

fn program(place: &Place) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchkey-portal"));
    match &place.address {
        Some(address) => program.env("LATCHKEY_DATABASE_URL", address),
        None => program.env_remove("LATCHKEY_DATABASE_URL"),
    };
    program
}

fn create(folder: &std::path::Path, place: &Place) {
    let file = folder.join("yard.toml");
    std::fs::write(&file, FILE).unwrap();
    let made = program(place)
        .args(["property", "create", "--from"])
        .arg(&file)
        .arg("--data")
        .arg(folder.join("data"))
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

impl Process {
    fn serve(folder: &std::path::Path, place: &Place) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = program(place)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log-format",
                "json",
                "--data",
            ])
            .arg(folder.join("data"))
            .env("RUST_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        let first = lines.recv().unwrap();
        let url = first
            .strip_prefix("listening on ")
            .expect("where it listens")
            .to_owned();
        Self { child, lines, url }
    }

    async fn sign_in(&self) -> Device {
        let mut device = Device::new(&self.url);
        let id = device.ask_for_code(OWNER).await;
        let line = self.lines.recv().unwrap();
        assert!(
            line.starts_with(&format!("mail to {OWNER}: code ")),
            "{line}"
        );
        let answer = device.confirm(&id, &code_in(&line)).await;
        device.take(&answer);
        device
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_ends_when_it_is_asked_to_and_its_log_names_requests_and_holds_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let place = &Place::make();
    create(folder.path(), place);
    let mut process = Process::serve(folder.path(), place);
    let mut log = process.child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut all = String::new();
        log.read_to_string(&mut all).map(|_| all)
    });
    let device = process.sign_in().await;
    let answer = device.get("/v1/me").await;
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();

    let killed = Command::new("kill")
        .args(["-TERM", &process.child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let status = process.child.wait().unwrap();
    assert!(status.success(), "{status}");
    let log = reader.join().unwrap().unwrap();
    assert!(log.contains(&id), "the request is in the log by its id");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON");
    }
    for (what, secret) in [
        ("access token", device.access.as_str()),
        ("refresh token", device.refresh.as_str()),
        ("address", OWNER),
        ("name", "Olga"),
    ] {
        assert!(!log.contains(secret), "the log holds the {what}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let place = &Place::make();
    create(folder.path(), place);
    let mut process = Process::serve(folder.path(), place);
    let device = process.sign_in().await;
    let property = device.me().await.memberships[0].property;
    let path = format!("/v1/properties/{property}/people");
    for n in 0..25 {
        let new = json!({ "name": format!("Person {n}"), "role": "resident" });
        assert!(device.post(&path, new).await.status.is_success());
    }
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    let process = Process::serve(folder.path(), place);
    let mut device = device;
    device.move_to(&process.url);
    let people: Page<Person> = device.get(&path).await.ok();
    assert_eq!(people.items.len(), 26);
    drop(process);
    let audit = program(place)
        .args(["audit", "--data"])
        .arg(folder.path().join("data"))
        .output();
    let audit = audit.unwrap();
    assert!(audit.status.success());
    assert!(String::from_utf8_lossy(&audit.stdout).contains("the audit chain holds"));
}

#[test]
fn a_file_with_a_mistake_makes_nothing_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let place = &Place::make();
    let file = folder.path().join("yard.toml");
    std::fs::write(
        &file,
        FILE.replace("zone = \"Europe/Berlin\"", "zone = \"Berlin\""),
    )
    .unwrap();
    let made = program(place)
        .args(["property", "create", "--from"])
        .arg(&file)
        .arg("--data")
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    assert!(!made.status.success());
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(said.contains("did you mean `Europe/Berlin`"), "{said}");
}

#[test]
fn a_row_of_the_audit_chain_that_was_altered_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let place = &Place::make();
    create(folder.path(), place);
    let data = folder.path().join("data");
    place.alter(&data, |_| {
        "UPDATE audit SET subject = 'somebody else' WHERE number = 3".to_owned()
    });
    let audit = program(place)
        .args(["audit", "--data"])
        .arg(data)
        .output()
        .unwrap();
    assert!(!audit.status.success());
    let said = String::from_utf8_lossy(&audit.stderr);
    assert!(said.contains("broken at row 3"), "{said}");
}
