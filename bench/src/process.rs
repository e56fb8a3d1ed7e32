//! This program once more, as a server of its own: what stands in another process can be weighed, and has open files
//! of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use clap::Parser as _;
use latchkey_portal::cli;

use crate::crowd::bare;

/// The first argument of a process that serves.
const PORTAL: &str = "portal";
const BROADCAST: &str = "broadcast";

/// What both say once they do, before their address.
pub(crate) const LISTENING: &str = "listening on http://";

/// Serves, if that is what this process was started for.
pub(crate) fn serve() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next()?.as_str() {
        PORTAL => {
            let named = std::iter::once(PORTAL.to_owned()).chain(arguments);
            Some(cli::run(cli::Args::parse_from(named)))
        }
        BROADCAST => Some(bare::serve()),
        _ => None,
    }
}

/// A process that serves. It is killed when this is dropped.
pub(crate) struct Process {
    process: Child,
    addr: SocketAddr,
}

impl Process {
    /// `latchkey-portal serve` there, on this data folder.
    pub(crate) fn portal(addr: SocketAddr, data: &Path) -> Self {
        let mut command = this_program();
        command.args([PORTAL, "serve", "--listen", &addr.to_string(), "--data"]);
        Self::start(command.arg(data).env("RUST_LOG", "warn"))
    }

    /// A server that does nothing but send on to all what one says.
    pub(crate) fn broadcast() -> Self {
        Self::start(this_program().arg(BROADCAST))
    }

    fn start(command: &mut Command) -> Self {
        let starting = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut process = starting.expect("started");
        let mut said = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let addr = said.by_ref().find_map(|line| {
            let line = line.expect("text");
            line.strip_prefix(LISTENING)?.parse().ok()
        });
        // The rest is read so that it is never held up.
        std::thread::spawn(move || said.for_each(drop));
        Self {
            addr: addr.expect("it listens"),
            process,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Bytes of memory that it occupies.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kilobytes * 1024)
    }

    /// Only Linux is asked.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn memory(&self) -> Option<u64> {
        None
    }
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().expect("this program"))
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing in it is worth a clean end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
