//! Portal and controllers as processes of their own: this same binary, started again in their roles.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

/// Set for a role that is to end when whoever started it is gone, however that came about.
const ENDS_WITH_INPUT: &str = "LATCHKEY_ROLE_ENDS_WITH_INPUT";

/// In a role that reads nothing: ends the process once its input does, which a killed demo closes too. What a portal
/// keeps is durable at any moment, so it may end at any.
pub(crate) fn end_with_input_if_asked() {
    if std::env::var_os(ENDS_WITH_INPUT).is_none() {
        return;
    }
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
}

/// A running role. It ends when this is dropped.
pub(crate) struct Role {
    child: Child,
    stdin: ChildStdin,
    /// What it prints, line by line; closed when it ends.
    pub(crate) lines: mpsc::UnboundedReceiver<String>,
}

impl Role {
    /// Starts this binary with these arguments. What it logs goes to a file beside the property's other files.
    pub(crate) fn start(arguments: &[String], log: &Path) -> Result<Self> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write the log {}", log.display()))?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .env(ENDS_WITH_INPUT, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start `{}`", arguments.join(" ")))?;
        let stdin = child.stdin.take().context("the role has no input")?;
        let stdout = child.stdout.take().context("the role has no output")?;
        let (sender, lines) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut reader = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            stdin,
            lines,
        })
    }

    /// Writes a line to its input.
    pub(crate) async fn say(&mut self, line: &str) -> Result<()> {
        self.stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .context("the role has ended")?;
        self.stdin.flush().await.context("the role has ended")
    }

    /// Waits for its end; whether it ended well.
    pub(crate) async fn succeeded(&mut self) -> Result<bool> {
        Ok(self
            .child
            .wait()
            .await
            .context("the role cannot be waited for")?
            .success())
    }

    /// Pulls its power: no chance to tidy up.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child
            .kill()
            .await
            .context("the role cannot be stopped")
    }
}
