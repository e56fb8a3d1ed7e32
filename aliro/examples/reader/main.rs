//! A reader that speaks APDUs over TCP, each preceded by its length in two
//! bytes, and decides whether to unsecure. See the README of the crate for its
//! configuration and its answer.

mod decide;
mod run;
#[path = "../shared/mod.rs"]
mod shared;

use std::net::TcpStream;
use std::process::ExitCode;

use serde_json::{Value, json};
use shared::{Arguments, Outcome};

fn main() -> ExitCode {
    match connect() {
        Ok(report) => {
            println!("{report}");
            match report["ok"] {
                Value::Bool(true) => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            println!("{}", json!({ "ok": false, "reason": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

/// One transaction; what came of it.
fn connect() -> Outcome<Value> {
    let arguments = Arguments::parse()?;
    let mut reader = run::Reader::new(&arguments.config)?;
    let mut last = Value::Null;
    arguments.serve(|stream: &mut TcpStream| {
        last = reader.run(stream);
        Ok(())
    })?;
    Ok(last)
}
