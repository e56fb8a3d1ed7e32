//! The portal's tests and the whole system's, once more, on a PostgreSQL that is started for them.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::rust;
use crate::process::{run, watched, works};
use crate::summary::{Counts, Outcome};
use crate::tools::{Missing, install_from_debian, is_root};
use crate::workspace::{cargo, command, root};

/// Whose tests run on both databases, by their folders.
const PACKAGES: [&str; 2] = ["portal", "tests"];
/// What has nothing to do with a database.
const APART: [&str; 1] = ["imports"];
/// The same of single modules: what happens to SQLite's own files.
const FILES: &str = "disk::";
/// Debian's packages put the server's programs here, below the version's number.
const DEBIAN: &str = "/usr/lib/postgresql";
/// What tests do not need: to survive a power cut.
const SETTINGS: [&str; 6] = [
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=64MB",
    "unix_socket_directories=",
    "listen_addresses=127.0.0.1",
];

/// The certificate and key with which it speaks TLS to those who ask for it.
const TLS: [(&str, &str); 2] = [
    ("portal/tests/fixtures/localhost.cert.pem", "cert.pem"),
    ("portal/tests/fixtures/localhost.key.pem", "key.pem"),
];

pub(crate) fn tests() -> Result<Outcome> {
    let programs = match programs() {
        Ok(programs) => programs,
        Err(why) => return Ok(Outcome::NotRun(why)),
    };
    // Built as for the suite `rust`, so that nothing is built twice.
    let binaries = binaries()?;
    let server = Server::start(&programs)?;
    let mut counts = Counts::default();
    for (folder, binary) in binaries {
        let mut tests = Command::new(&binary);
        tests
            .current_dir(root().join(folder))
            .args(["--include-ignored", "--skip", FILES])
            .env("LATCHKEY_TEST_DATABASE", server.address())
            .env("CARGO_MANIFEST_DIR", root().join(folder));
        let mut of_these = None;
        let succeeded = watched(&mut tests, |line| {
            of_these = rust::counted(line).or(of_these);
        })?;
        // Some binaries have no tests.
        if !succeeded || of_these != Some(Counts::default()) {
            counts += of_these.unwrap_or_default().judged_by(succeeded);
        }
    }
    Ok(Outcome::Ran(counts))
}

/// The folder of `initdb` and `postgres`: of the path, of Debian, or Debian's newly installed.
fn programs() -> Result<PathBuf, Missing> {
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

/// The built tests with the folders of their packages.
fn binaries() -> Result<Vec<(&'static str, PathBuf)>> {
    run(cargo().args(["test", "--workspace", "--locked", "--no-run"]))?;
    let told = cargo()
        .args(["test", "--workspace", "--locked", "--no-run", "--quiet"])
        .args(["--message-format", "json"])
        .output()?;
    ensure!(told.status.success(), "cargo does not say what it built");
    let mut found = Vec::new();
    for line in String::from_utf8(told.stdout)?.lines() {
        let artifact: Value = serde_json::from_str(line).context("cargo's own JSON")?;
        found.extend(PACKAGES.iter().filter_map(|folder| {
            let binary = test_of(&artifact, &root().join(folder).join("Cargo.toml"))?;
            Some((*folder, binary))
        }));
    }
    ensure!(!found.is_empty(), "cargo built no tests");
    Ok(found)
}

/// The executable, if this is a test that the package has built.
fn test_of(artifact: &Value, manifest: &Path) -> Option<PathBuf> {
    let is_of_package = artifact["manifest_path"].as_str()? == manifest.to_str()?;
    let is_apart = APART.contains(&artifact["target"]["name"].as_str()?);
    let is_test = artifact["profile"]["test"].as_bool()?;
    (is_of_package && is_test && !is_apart)
        .then(|| artifact["executable"].as_str().map(PathBuf::from))?
}

/// A server with a new, empty cluster; both are gone with this.
struct Server {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Server {
    fn start(programs: &Path) -> Result<Self> {
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
        for setting in SETTINGS {
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

    fn address(&self) -> String {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tests_of_a_package_are_told_from_all_else_that_was_built() {
        let artifact = |manifest: &str, name: &str, test: bool| {
            json!({
                "reason": "compiler-artifact", "manifest_path": manifest,
                "target": { "name": name }, "profile": { "test": test }, "executable": "/t/x",
            })
        };
        let manifest = Path::new("/w/portal/Cargo.toml");
        let found = |artifact: &Value| test_of(artifact, manifest);
        let own = "/w/portal/Cargo.toml";
        assert_eq!(found(&artifact(own, "portal", true)), Some("/t/x".into()));
        assert_eq!(found(&artifact(own, "portal", false)), None);
        assert_eq!(found(&artifact(own, "imports", true)), None);
        assert_eq!(found(&artifact("/w/core/Cargo.toml", "x", true)), None);
        assert_eq!(found(&json!({ "reason": "build-finished" })), None);
    }
}
