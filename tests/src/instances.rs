//! Several processes of one portal, on one PostgreSQL, with one process that signs for all.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use latchkey_core::phone::Phone;
use latchkey_env::chrono::TimeDelta;
use tokio::sync::mpsc;

use crate::house::House;

/// The processes' common output: any of them may send a letter.
pub struct Crowd {
    program: PathBuf,
    said: mpsc::UnboundedSender<String>,
    lines: mpsc::UnboundedReceiver<String>,
    /// Where the signer listens, once it does.
    signer: Option<(Signing, String)>,
}

/// The signer's process. It is killed when this is dropped.
struct Signing(Child);

/// One process. It is killed when this is dropped.
pub struct Instance {
    process: Child,
    addr: SocketAddr,
}

impl Crowd {
    /// Processes of this program (the binary `instance`).
    #[must_use]
    pub fn of(program: &Path) -> Self {
        let (said, lines) = mpsc::unbounded_channel();
        Self {
            program: program.to_owned(),
            said,
            lines,
            signer: None,
        }
    }

    /// The address of the house's signer: a process of its own, with the keys that were made for the house.
    async fn signer(&mut self, house: &House) -> Result<String> {
        if let Some((_, socket)) = &self.signer {
            return Ok(socket.clone());
        }
        let keys = house.path().join("keys");
        std::fs::rename(house.data().join("signer"), &keys)?;
        let socket = format!("unix:{}", house.path().join("sockets/portals").display());
        let mut command = Command::new(&self.program);
        let command = command.args(["signer", "--listen", &socket, "--data"]);
        let process = self.run(command.arg(keys))?;
        self.signer = Some((Signing(process), socket.clone()));
        self.line("signing at ").await?;
        Ok(socket)
    }

    /// Runs a process whose lines go to all others'.
    fn run(&self, command: &mut Command) -> Result<Child> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.stderr(Stdio::null()).spawn()?;
        let lines = BufReader::new(process.stdout.take().context("it is piped")?).lines();
        let said = self.said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(process)
    }

    /// Starts one more for this house.
    ///
    /// # Errors
    /// When it does not start, or the house has no PostgreSQL.
    pub async fn start(&mut self, house: &House) -> Result<Instance> {
        let address = house.address().context("it takes a PostgreSQL")?;
        let signer = self.signer(house).await?;
        let mut command = Command::new(&self.program);
        let command = command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(house.path().join("portal"))
            .args(["--signer", &signer])
            .env("LATCHKEY_DATABASE_URL", address);
        let process = self.run(command)?;
        let listening = self.line("listening on http://").await?;
        Ok(Instance {
            process,
            addr: listening.parse()?,
        })
    }

    /// The rest of the next line that begins so.
    async fn line(&mut self, begin: &str) -> Result<String> {
        loop {
            let line = self.lines.recv().await.context("a line more")?;
            if let Some(rest) = line.strip_prefix(begin) {
                return Ok(rest.to_owned());
            }
        }
    }

    /// The phone of the person with this address, signed in at the portal's address as it knows it.
    ///
    /// # Errors
    /// When signing in fails.
    pub async fn phone(&mut self, house: &House, url: &str, email: &str) -> Result<Arc<Phone>> {
        let phone = house.wallet(email, TimeDelta::zero())?;
        let pending = phone.sign_in_start(url, email).await?;
        let code = self.line(&format!("mail to {email}: code ")).await?;
        let report = phone.sign_in_finish(&pending, &code, "phone").await?;
        ensure!(report.failures.is_empty(), "{report:?}");
        Ok(phone)
    }
}

impl Instance {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends it as a power cut would.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn kill(mut self) -> Result<()> {
        Ok(self.process.kill()?)
    }
}

impl Drop for Signing {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
