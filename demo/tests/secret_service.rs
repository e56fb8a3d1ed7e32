//! The phone in the terminal before a real Secret Service: GNOME's keyring, on a bus of the test's own.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it, outside its functions too"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A session's bus without anything that it could start.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;
const NONE: [PathBuf; 0] = [];
const PASSWORD: &str = "correct horse";

/// A desktop's session, and a phone in it.
struct Session {
    home: tempfile::TempDir,
    bus: Child,
    address: String,
    keyring: Option<Child>,
}

impl Session {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("bus.conf");
        std::fs::write(&config, BUS).unwrap();
        let mut bus = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        Self {
            home,
            bus,
            address: address.trim().to_owned(),
            keyring: None,
        }
    }

    /// Starts the keyring; without a password it stays locked.
    fn start_keyring(&mut self, password: Option<&str>) {
        let mut daemon = self.at_home("gnome-keyring-daemon");
        daemon.args(["--foreground", "--components=secrets"]);
        if password.is_some() {
            daemon.arg("--unlock");
        }
        let mut daemon = daemon
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = daemon.stdin.take().unwrap();
        input
            .write_all(password.unwrap_or_default().as_bytes())
            .unwrap();
        drop(input);
        self.keyring = Some(daemon);
        while !self.has_service() {
            std::thread::yield_now();
        }
    }

    fn stop_keyring(&mut self) {
        let mut daemon = self.keyring.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        while self.has_service() {
            std::thread::yield_now();
        }
    }

    /// The next sign-in of whoever has the password.
    fn unlock_keyring(&mut self) {
        self.stop_keyring();
        self.start_keyring(Some(PASSWORD));
        assert_eq!(self.sealed_by(), "secret_service");
    }

    fn has_service(&self) -> bool {
        let asked = self
            .at_home("dbus-send")
            .args([
                "--session",
                "--print-reply",
                "--dest=org.freedesktop.DBus",
                "/",
            ])
            .args([
                "org.freedesktop.DBus.NameHasOwner",
                "string:org.freedesktop.secrets",
            ])
            .output()
            .unwrap();
        assert!(asked.status.success(), "{asked:?}");
        String::from_utf8(asked.stdout)
            .unwrap()
            .contains("boolean true")
    }

    fn at_home(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let home = self.home.path();
        command
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("HOME", home)
            .env("XDG_DATA_HOME", home.join("share"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_RUNTIME_DIR", home)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("GNOME_KEYRING_CONTROL");
        command
    }

    /// What a command of the phone answers, or why it does not.
    fn phone(&self, command: &str) -> Result<Value, String> {
        let output = self
            .at_home(env!("CARGO_BIN_EXE_latchkey"))
            .args(["phone", "--json", "--home"])
            .arg(self.home.path())
            .arg(command)
            .output()
            .unwrap();
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout).unwrap());
        }
        let said: Value = serde_json::from_slice(&output.stderr).unwrap();
        Err(said["message"].as_str().unwrap().to_owned())
    }

    /// By what the wallet is sealed that opens.
    fn sealed_by(&self) -> String {
        let said = self.phone("where").unwrap();
        said["sealed_by"].as_str().unwrap().to_owned()
    }

    /// The key files of the phone.
    fn key_files(&self) -> Vec<PathBuf> {
        files(&self.home.path().join("sealing-keys/me"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in self.keyring.iter_mut().chain([&mut self.bus]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    }
}

#[test]
#[ignore = "needs GNOME's keyring: cargo xtask test secret-service"]
fn a_new_wallets_key_is_in_the_keyring_and_in_no_file() {
    let mut session = Session::start();
    session.start_keyring(Some(PASSWORD));
    assert_eq!(session.sealed_by(), "secret_service");
    assert_eq!(session.key_files(), NONE);
    assert_eq!(session.sealed_by(), "secret_service", "and opens again");
    // The keyring kept it on its disk.
    session.unlock_keyring();
}

#[test]
#[ignore = "needs GNOME's keyring: cargo xtask test secret-service"]
fn while_the_service_is_away_or_locked_its_wallet_stays_shut_and_gets_no_other_key() {
    let mut session = Session::start();
    session.start_keyring(Some(PASSWORD));
    session.phone("where").unwrap();
    session.stop_keyring();
    let said = session.phone("where").unwrap_err();
    assert!(said.contains("no Secret Service"), "{said}");
    // Nobody is there who could show its prompt.
    session.start_keyring(None);
    let said = session.phone("where").unwrap_err();
    assert!(said.contains("locked"), "{said}");
    assert_eq!(session.key_files(), NONE);
    session.unlock_keyring();
}

#[test]
#[ignore = "needs GNOME's keyring: cargo xtask test secret-service"]
fn a_keyring_that_takes_no_key_makes_no_wallet_and_no_file() {
    let mut session = Session::start();
    // There is no keyring yet, and nobody to make one.
    session.start_keyring(None);
    let said = session.phone("where").unwrap_err();
    assert!(said.contains("keyring"), "{said}");
    assert_eq!(session.key_files(), NONE);
    session.unlock_keyring();
}

#[test]
#[ignore = "needs GNOME's keyring: cargo xtask test secret-service"]
fn a_wallet_with_a_key_file_keeps_it_until_it_is_moved() {
    let mut session = Session::start();
    assert_eq!(session.sealed_by(), "file", "a bus without a service");
    assert_eq!(session.key_files().len(), 1);
    let said = session.phone("seal").unwrap_err();
    assert!(said.contains("no Secret Service"), "{said}");
    session.start_keyring(Some(PASSWORD));
    assert_eq!(session.sealed_by(), "file");
    session.phone("seal").unwrap();
    assert_eq!(session.key_files(), NONE);
    assert_eq!(session.sealed_by(), "secret_service");
    session.phone("seal").unwrap();
    assert_eq!(session.sealed_by(), "secret_service", "moved already");
}
