//! PouchDB, which replicates as our phones do: by what changed since a checkpoint, over HTTP. Client and server in one
//! process of Node (`peers/pouchdb`), both on disk.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use latchkey_protocol::api::keys::Key;
use serde::Deserialize;
use tempfile::TempDir;

use crate::measure::Timed;

/// The process, commanded line by line.
pub(super) struct PouchDb {
    process: Child,
    line: ChildStdin,
    lines: BufReader<ChildStdout>,
    // Its files; gone with it.
    _folder: TempDir,
}

/// What five changes cost.
#[derive(Deserialize)]
struct Replicated {
    seconds: f64,
    bytes: u64,
}

impl PouchDb {
    /// Databases of so many documents each, every one such a key; the reason when it cannot be had.
    pub(super) fn start(key: &Key, sizes: &[usize]) -> Result<Self, String> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/pouchdb");
        let mut install = Command::new("npm");
        install.args(["ci", "--no-audit", "--no-fund", "--silent"]);
        match install.current_dir(&program).status() {
            Ok(status) if status.success() => {}
            Ok(_) => return Err("npm does not reach its packages".to_owned()),
            Err(_) => return Err("Node with npm (20 or newer) is not installed".to_owned()),
        }
        let folder = tempfile::tempdir().expect("a folder");
        let key = serde_json::to_vec(key).expect("JSON");
        std::fs::write(folder.path().join("key.json"), key).expect("a file");
        let mut process = Command::new("node")
            .arg("replicate.mjs")
            .arg(folder.path())
            .args(sizes.iter().map(usize::to_string))
            .current_dir(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("node: {error}"))?;
        let line = process.stdin.take().expect("it is piped");
        let lines = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut pouchdb = Self {
            process,
            line,
            lines,
            _folder: folder,
        };
        match pouchdb.next().as_str() {
            "ready" => Ok(pouchdb),
            _ => Err("it did not start".to_owned()),
        }
    }

    /// Five documents change, and the replica catches up.
    fn replicate(&mut self, size: usize) -> Replicated {
        writeln!(self.line, "{size}").expect("it listens");
        serde_json::from_str(&self.next()).expect("what it cost")
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

/// The most that five changes of so many documents took in bodies, both ways, of so many times.
pub(super) fn bodies(pouchdb: &RefCell<PouchDb>, size: usize, times: usize) -> u64 {
    let weighed = (0..times).map(|_| pouchdb.borrow_mut().replicate(size).bytes);
    weighed.max().unwrap_or_default()
}

pub(super) fn timed(pouchdb: &Rc<RefCell<PouchDb>>, size: usize) -> Timed {
    let pouchdb = Rc::clone(pouchdb);
    Timed::told(move || Duration::from_secs_f64(pouchdb.borrow_mut().replicate(size).seconds))
}

impl Drop for PouchDb {
    fn drop(&mut self) {
        // Nothing in it is worth a clean end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
