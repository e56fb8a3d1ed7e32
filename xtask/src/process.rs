//! Running other programs.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Runs a program to its end, its output going where ours goes.
///
/// # Errors
///
/// When it cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let succeeded = succeeds(command)?;
    ensure!(succeeded, "failed: {}", shown(command));
    Ok(())
}

/// Runs a program to its end and says whether it succeeded, its output going where ours goes.
///
/// # Errors
///
/// When it cannot be started.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    announce(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    Ok(status.success())
}

/// As [`succeeds`], with each line that the program prints handed to `see` as well.
///
/// # Errors
///
/// When it cannot be started or its output cannot be read.
pub(crate) fn watched(command: &mut Command, mut see: impl FnMut(&str)) -> Result<bool> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    let output = child.stdout.take().context("its output is piped")?;
    each_line(output, |line| {
        std::io::stdout().write_all(line)?;
        see(&plain(&String::from_utf8_lossy(line)));
        Ok(())
    })?;
    Ok(child.wait()?.success())
}

/// As [`succeeds`], for a program that tells of its work on the standard error: each line is handed
/// to `see`, which says whether it is worth showing.
///
/// # Errors
///
/// When it cannot be started or its output cannot be read.
pub(crate) fn overseen(command: &mut Command, mut see: impl FnMut(&str) -> bool) -> Result<bool> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    let output = child.stderr.take().context("its output is piped")?;
    each_line(output, |line| {
        if see(&plain(&String::from_utf8_lossy(line))) {
            std::io::stderr().write_all(line)?;
        }
        Ok(())
    })?;
    Ok(child.wait()?.success())
}

fn each_line(output: impl Read, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        take(&line)?;
        line.clear();
    }
    Ok(())
}

/// Whether a program can be started and succeeds; what it prints is dropped.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn announce(command: &Command) {
    println!("$ {}", shown(command));
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A line without the escapes that colour it.
fn plain(line: &str) -> String {
    let mut parts = line.trim_end().split('\u{1b}');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // An escape is `[`, parameters, and one letter that ends it.
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        text.push_str(end.map_or("", |end| &part[end + 1..]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(plain("\u{1b}[1;32mok\u{1b}[0m: 3\n"), "ok: 3");
        assert_eq!(plain("no colour"), "no colour");
    }
}
