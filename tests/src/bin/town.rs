//! A small property at work, commanded over standard input and output; see `latchkey_tests::town`.

use std::io::{BufRead as _, Write as _};

use anyhow::Result;
use latchkey_tests::town::Town;
use serde_json::{Value, json};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<()> {
    let town = Town::start().await?;
    say(&json!({ "ready": true }))?;
    let (line, mut lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for read in std::io::stdin().lock().lines().map_while(Result::ok) {
            if line.send(read).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        say(&town.answer(&line).await)?;
    }
    Ok(())
}

fn say(answer: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")?;
    out.flush()
}
