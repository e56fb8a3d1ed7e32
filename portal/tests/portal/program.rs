//! The program as its operators run it: a process, with a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use latchkey_test_faults::Process;
use tempfile::TempDir;

use crate::client::{Device, code_in};
use crate::world::Place;

/// Where a program keeps its data.
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) place: Place,
    /// Whether the signer is a process of its own.
    apart: bool,
}

/// A program that serves. It is killed when the test is over.
pub(crate) struct Serving {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            folder: tempfile::tempdir().unwrap(),
            place: Place::make(),
            apart: false,
        }
    }

    /// With the property of this file.
    pub(crate) fn with(file: &str) -> Self {
        let site = Self::new();
        let made = site.create(file);
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        site
    }

    /// The same with a signer of its own, which runs.
    pub(crate) fn apart(file: &str) -> (Self, Process) {
        let site = Self {
            apart: true,
            ..Self::new()
        };
        let signer = site.start_signer(&[]);
        let made = site.create(file);
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        (site, signer)
    }

    /// A signer that signs.
    pub(crate) fn start_signer(&self, arguments: &[&str]) -> Process {
        let process = Process::start(&mut self.signer(arguments));
        process.line_after("signing at ");
        process
    }

    /// `signer`, ready to be started.
    pub(crate) fn signer(&self, arguments: &[&str]) -> Command {
        let mut program = self.program(&["signer", "--data"]);
        program.arg(self.folder.path().join("keys"));
        let sockets = [
            "--listen",
            &self.socket("portals"),
            "--operators",
            &self.socket("operators"),
        ];
        program.args(sockets).args(arguments);
        program.env("RUST_LOG", "error");
        program
    }

    /// The address of a socket of the signer's.
    pub(crate) fn socket(&self, name: &str) -> String {
        let path = self.folder.path().join("sockets").join(name);
        format!("unix:{}", path.display())
    }

    fn signed_at(&self, program: &mut Command, socket: &str) {
        if self.apart {
            program.args(["--signer", &self.socket(socket)]);
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// `property create` with what stands in this file.
    pub(crate) fn create(&self, file: &str) -> Output {
        let path = self.folder.path().join("property.toml");
        std::fs::write(&path, file).unwrap();
        let mut program = self.program(&["property", "create", "--from"]);
        program.arg(path).arg("--data").arg(self.data());
        self.signed_at(&mut program, "operators");
        program.output().unwrap()
    }

    /// `audit`.
    pub(crate) fn audit(&self) -> Output {
        let mut program = self.program(&["audit", "--data"]);
        program.arg(self.data()).output().unwrap()
    }

    /// `property begin-epoch`.
    pub(crate) fn begin_epoch(&self, arguments: &[&str]) -> Output {
        let mut program = self.program(&["property", "begin-epoch", "--data"]);
        program.arg(self.data());
        self.signed_at(&mut program, "operators");
        program.args(arguments).output().unwrap()
    }

    /// `serve`, ready to be started.
    pub(crate) fn server(&self) -> Command {
        let mut program = self.program(&["serve", "--listen", "127.0.0.1:0", "--data"]);
        program.arg(self.data()).env("RUST_LOG", "warn");
        self.signed_at(&mut program, "portals");
        program
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut program = Command::new(Path::new(env!("CARGO_BIN_EXE_latchkey-portal")));
        program.args(arguments);
        match &self.place.address {
            Some(address) => program.env("LATCHKEY_DATABASE_URL", address),
            None => program.env_remove("LATCHKEY_DATABASE_URL"),
        };
        program
    }
}

impl Serving {
    pub(crate) fn start(program: &mut Command) -> Self {
        let process = Process::start(program);
        let url = process.line_after("listening on ");
        Self { process, url }
    }

    pub(crate) async fn sign_in(&self, email: &str) -> Device {
        let mut device = Device::new(&self.url);
        let id = device.ask_for_code(email).await;
        let code = self.process.line_after(&format!("mail to {email}: code "));
        let answer = device.confirm(&id, &code_in(&code)).await;
        device.take(&answer);
        device
    }
}
