//! Every target of `fuzz/`, with the inputs that are kept and a few more.

use anyhow::Result;

use crate::fuzz::{Portion, Targets};
use crate::process::works;
use crate::soak::drawn;
use crate::summary::{Counts, Outcome};
use crate::workspace::command;

/// Inputs for each target.
const SAMPLE: u64 = 20_000;

pub(crate) fn sample() -> Result<Outcome> {
    if !works(command("c++").arg("--version")) {
        return Ok(Outcome::NotRun(
            "libFuzzer needs a C++ compiler (`c++`), and none is installed".into(),
        ));
    }
    let targets = Targets::build(&[])?;
    let seed = drawn();
    println!("seed {seed}");
    let mut counts = Counts::default();
    for name in targets.names() {
        let fed = targets.feed(name, Portion::Runs(SAMPLE), seed)?;
        if let Some(findings) = &fed.brought_down {
            println!(
                "{name} is brought down by an input in {}",
                findings.display()
            );
        }
        counts += Counts::one(fed.brought_down.is_none());
    }
    Ok(Outcome::Ran(counts))
}
