//! The program, as a process of its own.

use std::path::Path;
use std::process::Command;

use latchkey_protocol::bytes::Base64;
use latchkey_protocol::commissioning::SignedOffer;
use latchkey_protocol::ids::{DoorId, DoorNumber};
use latchkey_protocol::statement::Body;
use latchkey_test_faults::Process;
use serde_json::Value;
use tempfile::TempDir;

use crate::guest::Guest;
use crate::phone::Phone;
use crate::property::Property;

pub(crate) const DOOR: DoorId = DoorId([0xd0; 12]);

pub(crate) fn program(arguments: &[&str], folder: &Path) -> Command {
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
pub(crate) fn run(arguments: &[&str], folder: &Path) -> Process {
    Process::start(&mut program(arguments, folder))
}

/// Its next line, which must be of this kind.
pub(crate) fn hear(door: &Process, kind: &str) -> Value {
    let line = door.line().expect(kind);
    let heard: Value = serde_json::from_str(&line).expect(&line);
    assert_eq!(heard["type"], kind, "{heard}");
    heard
}

/// Where it listens: it has started.
pub(crate) fn listening(door: &Process) -> String {
    hear(door, "listening")["addr"].as_str().unwrap().to_owned()
}

pub(crate) fn package(property: &Property, offer: &Value) -> String {
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
    let mut door = run(
        &["run", "--listen", "127.0.0.1:0", "--end-with-input"],
        &folder,
    );
    let offer = hear(&door, "offer");
    assert_eq!(offer["code"], made["code"], "the code stays");
    let other = Property::new();
    door.say(&package(&other, &made).replace("d0d0", "d1d1"));
    hear(&door, "refused");
    door.say("offer");
    let offer = hear(&door, "offer");
    door.say(&package(&property, &offer));
    assert_eq!(hear(&door, "installed")["clock"], "set");

    let listening = hear(&door, "listening");
    assert_eq!(listening["door"], DOOR.to_string());
    let addr = listening["addr"].as_str().unwrap();
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let visit = Phone::resident(&property, "{}").speak(DOOR, stream).await;
    let opened = hear(&door, "opened");
    assert_eq!(opened["means"], "stream");
    assert_eq!(opened["event"], visit.record.unwrap().event.to_string());

    // The property's clock stands still, the door's goes on: a code is good for 20 seconds.
    let code = guest.short(property.now());
    door.say(&code);
    assert_eq!(hear(&door, "opened")["means"], "code");
    door.say(&format!("{DOOR} {code}"));
    assert_eq!(hear(&door, "denied")["reason"], "code_used_before");
    door.say("4006381333931");
    assert_eq!(hear(&door, "denied")["reason"], "wrong_code");

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
    let mut again = run(
        &["run", "--listen", "127.0.0.1:0", "--battery-clock"],
        &folder,
    );
    hear(&again, "listening");
    again.say(&code);
    assert_eq!(hear(&again, "denied")["reason"], "code_used_before");
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
    let mut hub = run(&["run", "--folder", gym.to_str().unwrap()], &pool);
    for (door, number) in doors {
        let offer = hear(&hub, "offer");
        hub.say(&package_for(&property, door, number, &offer));
        assert_eq!(hear(&hub, "installed")["door"], door.to_string());
    }
    let code = guest.long(property.now());
    // For nobody in particular: nobody answers.
    hub.say(&code);
    hub.say(&format!("{} {code}", doors[0].0));
    let denied = hear(&hub, "denied");
    assert_eq!(denied["door"], doors[0].0.to_string());
    assert_eq!(denied["reason"], "wrong_door");
    hub.say(&format!("{} {code}", doors[1].0));
    assert_eq!(hear(&hub, "opened")["door"], doors[1].0.to_string());
}
