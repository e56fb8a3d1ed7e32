//! A program as a process of its own: spoken with by lines, killed at any moment.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Process {
    /// Starts it, with its standard input and output in the test's hand.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (said, lines) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || read(BufReader::new(output), &said));
        }
        Self {
            input: child.stdin.take(),
            child,
            lines,
        }
    }

    /// The process, for signals and its standard error.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Writes a line to it. One that has ended hears nothing.
    pub fn say(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}");
        }
    }

    /// Its next line, waited for; none once it has ended.
    pub fn line(&self) -> Option<String> {
        self.lines.recv().ok()
    }

    /// What follows this in the next line that begins with it.
    ///
    /// # Panics
    /// When the process ends without such a line.
    pub fn line_after(&self, begin: &str) -> String {
        loop {
            let line = self
                .line()
                .unwrap_or_else(|| panic!("it ended without {begin:?}"));
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.to_owned();
            }
        }
    }

    /// Ends it by a signal that nothing can catch; what it had said that was not read yet.
    ///
    /// # Panics
    /// When it has ended before by itself.
    pub fn kill(mut self) -> Vec<String> {
        let ended = self.child.try_wait();
        assert!(
            matches!(ended, Ok(None)),
            "it has ended by itself: {ended:?}"
        );
        self.end()
    }

    /// The same, and it may have ended before.
    pub fn end(mut self) -> Vec<String> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.lines.iter().collect()
    }

    /// Closes its standard input and waits for its end.
    ///
    /// # Panics
    /// When there is nothing to wait for.
    #[must_use]
    pub fn ends(mut self) -> ExitStatus {
        drop(self.input.take());
        self.child.wait().expect("a child")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whole lines only: one that was cut off was not said.
fn read(mut output: impl BufRead, said: &mpsc::Sender<String>) {
    let mut line = String::new();
    while let Ok(1..) = output.read_line(&mut line) {
        let Some(whole) = line.strip_suffix('\n') else {
            return;
        };
        if said.send(whole.to_owned()).is_err() {
            return;
        }
        line.clear();
    }
}
