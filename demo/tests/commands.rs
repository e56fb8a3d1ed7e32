//! The README's commands, as processes: the tour, and a phone in the terminal beside a running property.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it, outside its functions too"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

fn latchkey() -> Command {
    let mut latchkey = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    // Nothing of a test belongs into the keyring of whoever runs it.
    latchkey.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    latchkey
}

#[test]
fn the_tour_goes_as_it_tells() {
    let output = latchkey().args(["tour", "--json"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let steps = |ending: &str, what: &str| {
        let fits = |line: &&Value| {
            line["ending"] == ending
                && line["what"]
                    .as_str()
                    .is_some_and(|text| text.contains(what))
        };
        lines.iter().filter(fits).count()
    };
    assert_eq!(steps("done", "killed the portal's process"), 1);
    assert_eq!(
        steps("refused", "the code was used before"),
        2,
        "at an online gate and at an offline one"
    );
    assert_eq!(
        steps("refused", "at Main gate: the key was withdrawn"),
        2,
        "mobile key and guest's pass"
    );
    assert_eq!(
        steps("refused", "at North gate: the key was withdrawn"),
        2,
        "mobile key and guest's pass"
    );
    assert_eq!(lines.last().unwrap()["type"], "end");
}

/// A property that stays up, and the mail that its portal sends.
struct Demo {
    child: Child,
    lines: Receiver<String>,
}

impl Demo {
    fn start(home: &Path) -> Self {
        let mut child = latchkey()
            .args(["--no-tour", "--data"])
            .arg(home.join("demo"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let demo = Self { child, lines };
        demo.wait_for("Ctrl-C ends everything");
        demo
    }

    fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv().expect("the demo has ended");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Signs in as a person at a terminal would: asks, reads the mail, types the code.
    fn sign_in(&self, home: &Path, name: &str, email: &str) {
        let mut phone = latchkey()
            .args(["phone", "--as", name, "--home"])
            .arg(home)
            .args(["sign-in", email])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mail = self.wait_for(&format!("mail to {email}"));
        let code = mail.rsplit(' ').next().unwrap();
        writeln!(phone.stdin.take().unwrap(), "{code}").unwrap();
        assert!(phone.wait().unwrap().success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // The demo ends its roles when it is interrupted; a killed one could not.
        let interrupted = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        if !interrupted.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn phone(home: &Path, name: &str, command: &[&str]) -> Output {
    latchkey()
        .args(["phone", "--as", name, "--json", "--home"])
        .arg(home)
        .args(command)
        .output()
        .unwrap()
}

fn answer(home: &Path, name: &str, command: &[&str]) -> Value {
    let output = phone(home, name, command);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn two_terminals_are_two_people() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let demo = Demo::start(home);
    demo.sign_in(home, "ines", "ines.valdez@aldercourt.example");
    demo.sign_in(home, "tomas", "tomas.lindgren@mail.example");

    let keys = answer(home, "tomas", &["list"]);
    let names: Vec<_> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"Home A-01"), "{names:?}");
    let opened = answer(home, "tomas", &["unlock", "Unit A-01"]);
    assert_eq!(opened["opened"], true);
    let code = answer(home, "tomas", &["code", "Home A-01"]);
    assert!(code["text"].as_str().unwrap().starts_with("LK1:"));

    let issue = [
        "staff",
        "issue",
        "--name",
        "Weekend visitor",
        "--kind",
        "qr",
        "--door",
        "Main gate",
    ];
    assert_eq!(
        answer(home, "ines", &issue)["done"]["name"],
        "Weekend visitor"
    );
    let link = answer(home, "ines", &["staff", "share", "Weekend visitor"]);
    assert!(link["done"]["url"].as_str().unwrap().contains("/g/#"));
    answer(home, "ines", &["staff", "withdraw", "Weekend visitor"]);

    let grant = |door: &str| {
        let grant = ["guests", "grant", "--key", "Home A-01", "--name", "Aunt"];
        phone(home, "tomas", &[&grant[..], &["--door", door]].concat())
    };
    assert!(grant("Unit A-01").status.success());
    let link = answer(home, "tomas", &["guests", "share", "Aunt"]);
    assert!(link["done"]["url"].as_str().unwrap().contains("/g/#"));
    answer(home, "tomas", &["guests", "withdraw", "Aunt"]);
    assert!(
        !grant("Pool").status.success(),
        "a door of another key of his"
    );

    let refused = phone(home, "tomas", &["staff", "people"]);
    assert!(
        !refused.status.success(),
        "a resident sees no list of people"
    );
    let unknown = phone(home, "tomas", &["unlock", "No such door"]);
    assert!(!unknown.status.success());
    let said: Value = serde_json::from_slice(&unknown.stderr).unwrap();
    assert!(
        said["message"].as_str().unwrap().contains("No such door"),
        "{said}"
    );
}
