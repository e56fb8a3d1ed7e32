//! The program, as a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use latchkey_protocol::bytes::Base64;
use latchkey_protocol::commissioning::SignedOffer;
use latchkey_protocol::ids::{DoorId, DoorNumber};
use latchkey_protocol::statement::Body;
use serde_json::Value;
use tempfile::TempDir;

use crate::guest::Guest;
use crate::phone::Phone;
use crate::property::Property;

const DOOR: DoorId = DoorId([0xd0; 12]);

fn program(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey-door"));
    command
        .arg(arguments[0])
        .arg("--folder")
        .arg(folder)
        .args(&arguments[1..])
        .env("LATCHKEY_LOG", "warn");
    command
}

/// A controller's process, spoken with by lines.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn run(arguments: &[&str], folder: &Path) -> Self {
        let mut child = program(arguments, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_ref().unwrap(), "{line}").unwrap();
    }

    /// Closes its standard input and waits for its end.
    fn ends(mut self) -> std::process::ExitStatus {
        drop(self.input.take());
        self.child.wait().unwrap()
    }

    fn hear(&mut self, kind: &str) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let heard: Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(heard["type"], kind, "{heard}");
        heard
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn package(property: &Property, offer: &Value) -> String {
    package_for(property, DOOR, 7, offer)
}

fn package_for(property: &Property, door: DoorId, number: u16, offer: &Value) -> String {
    let offer = Base64::from_text(offer["offer"].as_str().unwrap()).unwrap();
    let offer = SignedOffer::from_bytes(&offer.0).unwrap().verify().unwrap();
    let package = property.package(door, DoorNumber(number), &offer);
    serde_json::to_string(&package).unwrap()
}

#[tokio::test]
async fn a_door_is_commissioned_and_works_from_its_standard_input() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path().join("gate");
    let made = program(&["init"], &folder).output().unwrap();
    assert!(made.status.success());
    let people = String::from_utf8(made.stderr).unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(people.contains(made["code"].as_str().unwrap()), "{people}");

    let mut property = Property::new();
    let guest = Guest::new(&property, "{}");
    property.state(Body::Pass(guest.signed.clone()));
    let mut door = Process::run(
        &["run", "--listen", "127.0.0.1:0", "--end-with-input"],
        &folder,
    );
    let offer = door.hear("offer");
    assert_eq!(offer["code"], made["code"], "the code stays");
    let other = Property::new();
    door.say(&package(&other, &made).replace("d0d0", "d1d1"));
    door.hear("refused");
    door.say("offer");
    let offer = door.hear("offer");
    door.say(&package(&property, &offer));
    assert_eq!(door.hear("installed")["clock"], "set");

    let listening = door.hear("listening");
    assert_eq!(listening["door"], DOOR.to_string());
    let addr = listening["addr"].as_str().unwrap();
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let visit = Phone::resident(&property, "{}").speak(DOOR, stream).await;
    let opened = door.hear("opened");
    assert_eq!(opened["means"], "stream");
    assert_eq!(opened["event"], visit.record.unwrap().event.to_string());

    // The property's clock stands still, the door's goes on: a code is good for 20 seconds.
    let code = guest.short(property.now());
    door.say(&code);
    assert_eq!(door.hear("opened")["means"], "code");
    door.say(&format!("{DOOR} {code}"));
    assert_eq!(door.hear("denied")["reason"], "code_used_before");
    door.say("4006381333931");
    assert_eq!(door.hear("denied")["reason"], "wrong_code");

    let status = program(&["status"], &folder).output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("passes        1 known"), "{status}");
    assert!(
        status.contains("events        4, 4 of them not reported yet"),
        "{status}"
    );
    let second = program(&["run"], &folder).output().unwrap();
    assert!(!second.status.success(), "one process at a time");
    assert!(door.ends().success(), "with its standard input");
    let mut again = Process::run(
        &["run", "--listen", "127.0.0.1:0", "--battery-clock"],
        &folder,
    );
    again.hear("listening");
    again.say(&code);
    assert_eq!(again.hear("denied")["reason"], "code_used_before");
}

#[test]
fn a_package_can_be_installed_from_a_file() {
    let folder = TempDir::new().unwrap();
    let controller = folder.path().join("lock");
    let made = program(&["init"], &controller).output().unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let property = Property::new();
    let file = folder.path().join("package.json");
    std::fs::write(&file, package(&property, &made)).unwrap();
    let arguments = ["install", "--package", file.to_str().unwrap()];
    let installed = program(&arguments, &controller).output().unwrap();
    assert!(installed.status.success());
    let installed: Value = serde_json::from_slice(&installed.stdout).unwrap();
    assert_eq!(installed["door"], DOOR.to_string());
    assert_eq!(installed["clock"], "the package holds no time");
    let again = program(&arguments, &controller).output().unwrap();
    assert!(!again.status.success());
    let missing = program(&["status"], folder.path()).output().unwrap();
    assert!(!missing.status.success());
}

#[test]
fn one_process_is_a_hub_for_several_doors() {
    let folders = TempDir::new().unwrap();
    let (pool, gym) = (folders.path().join("pool"), folders.path().join("gym"));
    let doors = [(DoorId([1; 12]), 1), (DoorId([2; 12]), 2)];
    let property = Property::new();
    let guest = Guest::at(&property, 2, "{}");
    for folder in [&pool, &gym] {
        assert!(
            program(&["init"], folder)
                .output()
                .unwrap()
                .status
                .success()
        );
    }
    let mut hub = Process::run(&["run", "--folder", gym.to_str().unwrap()], &pool);
    for (door, number) in doors {
        let offer = hub.hear("offer");
        hub.say(&package_for(&property, door, number, &offer));
        assert_eq!(hub.hear("installed")["door"], door.to_string());
    }
    let code = guest.long(property.now());
    // For nobody in particular: nobody answers.
    hub.say(&code);
    hub.say(&format!("{} {code}", doors[0].0));
    let denied = hub.hear("denied");
    assert_eq!(denied["door"], doors[0].0.to_string());
    assert_eq!(denied["reason"], "wrong_door");
    hub.say(&format!("{} {code}", doors[1].0));
    assert_eq!(hub.hear("opened")["door"], doors[1].0.to_string());
}

#[test]
fn what_was_answered_outlives_a_kill() {
    const ROUNDS: i64 = 8;
    let folder = TempDir::new().unwrap();
    let folder = folder.path().join("gate");
    assert!(
        program(&["init"], &folder)
            .output()
            .unwrap()
            .status
            .success()
    );
    let property = Property::new();
    let guest = Guest::new(&property, "{}");
    let mut door = Process::run(&["run"], &folder);
    let offer = door.hear("offer");
    door.say(&package(&property, &offer));
    door.hear("installed");
    for round in 0..ROUNDS {
        let code = guest.long(property.now() + chrono::TimeDelta::seconds(round));
        door.say(&code);
        door.hear("opened");
        // SIGKILL, the moment the answer is there.
        drop(door);
        door = Process::run(&["run", "--battery-clock"], &folder);
        door.say(&code);
        assert_eq!(door.hear("denied")["reason"], "code_used_before", "{round}");
    }
    let status = program(&["status"], &folder).output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    let events = format!("events        {}, ", 2 * ROUNDS);
    assert!(status.contains(&events), "each once: {status}");
}
