//! A PostgreSQL that is started for a chore and gone with it.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::process::{run, works};
use crate::tools::{Missing, install_from_debian, is_root};
use crate::workspace::{command, root};

/// Debian's packages put the server's programs here, below the version's number.
const DEBIAN: &str = "/usr/lib/postgresql";
const SETTINGS: [&str; 4] = [
    "max_connections=300",
    "shared_buffers=64MB",
    "unix_socket_directories=",
    "listen_addresses=127.0.0.1",
];

/// Of those who do not need to survive a power cut.
const FORGETFUL: [&str; 2] = ["fsync=off", "full_page_writes=off"];

/// The certificate and key with which it speaks TLS to those who ask for it.
const TLS: [(&str, &str); 2] = [
    ("portal/tests/fixtures/localhost.cert.pem", "cert.pem"),
    ("portal/tests/fixtures/localhost.key.pem", "key.pem"),
];

/// Whether what the server has acknowledged has to survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    Yes,
    No,
}

/// The folder of `initdb` and `postgres`: of the path, of Debian, or Debian's newly installed.
pub(crate) fn programs() -> Result<PathBuf, Missing> {
    if let Some(found) = installed() {
        return Ok(found);
    }
    install_from_debian("postgresql");
    installed().ok_or_else(|| {
        "PostgreSQL (13 or newer) is not installed, and only root on Debian may install it here"
            .into()
    })
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    folders.into_iter().find(|folder| {
        ["initdb", "postgres"]
            .iter()
            .all(|program| works(Command::new(folder.join(program)).arg("--version")))
    })
}

/// A server with a new, empty cluster; both are gone with this.
pub(crate) struct Server {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Server {
    pub(crate) fn start(programs: &Path, durable: Durable) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("latchkey-postgres-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        // The server refuses to run as root: then its folder and its processes are another's.
        let owner = is_root().then(unprivileged).transpose()?;
        for (kept, copied) in TLS {
            std::fs::copy(root().join(kept), folder.join(copied))?;
        }
        // It wants its key to itself.
        run(command("chmod").args(["-R", "go="]).arg(&folder))?;
        if let Some(owner) = owner {
            run(command("chown").args(["-R", owner]).arg(&folder))?;
        }
        let cluster = folder.join("cluster");
        run(as_user(owner, &programs.join("initdb"))
            .args(["--username=latchkey", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(&cluster)
            .current_dir(&folder)
            .stdout(Stdio::null()))?;
        let port = free_port()?;
        let mut server = as_user(owner, &programs.join("postgres"));
        server
            .arg("-D")
            .arg(&cluster)
            .args(["-p", &port.to_string()])
            .current_dir(&folder);
        let forgetful = FORGETFUL.iter().filter(|_| durable == Durable::No);
        for setting in SETTINGS.iter().chain(forgetful) {
            server.args(["-c", setting]);
        }
        let [cert, key] = TLS.map(|(_, copied)| folder.join(copied));
        server.args(["-c", "ssl=on"]);
        server.args(["-c", &format!("ssl_cert_file={}", cert.display())]);
        server.args(["-c", &format!("ssl_key_file={}", key.display())]);
        let process = server.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut server = Self {
            process,
            folder,
            port,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Its log says so; the rest of the log is read so that the server is never held up, and dropped.
    fn wait_until_ready(&mut self) -> Result<()> {
        let log = self.process.stderr.take().context("its log is piped")?;
        let mut lines = BufReader::new(log).lines();
        let mut seen = Vec::new();
        for line in lines.by_ref() {
            let line = line?;
            if line.contains("database system is ready to accept connections") {
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(());
            }
            seen.push(line);
        }
        anyhow::bail!("PostgreSQL did not start:\n{}", seen.join("\n"))
    }

    /// Names its database `postgres`.
    pub(crate) fn address(&self) -> String {
        format!("postgres://latchkey@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing in it is worth a clean end.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A user without rights that every Debian has.
fn unprivileged() -> Result<&'static str> {
    ["postgres", "nobody"]
        .into_iter()
        .find(|user| works(command("id").args(["-u", user])))
        .context("root needs the user postgres or nobody to run PostgreSQL")
}

fn as_user(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", user, "--clear-groups", "--"])
        .arg(program);
    command
}
