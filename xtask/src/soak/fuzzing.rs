//! Every target of `fuzz/`.

use super::Settings;
use super::report::{Counted, Report};
use crate::fuzz::{Portion, Targets};

pub(super) fn targets(settings: &Settings, report: &mut Report) {
    let targets = match Targets::build(&settings.targets) {
        Ok(targets) => targets,
        Err(error) => return report.count("fuzz", || Err(error)),
    };
    for name in targets.names() {
        report.count(&format!("fuzz {name}"), || {
            let fed = targets.feed(name, Portion::Runs(settings.runs), settings.seed)?;
            if let Some(findings) = &fed.brought_down {
                println!(
                    "{name} is brought down by an input in {}",
                    findings.display()
                );
            }
            let counted = Counted {
                executions: fed.runs,
                findings: u64::from(fed.brought_down.is_some()),
            };
            Ok(counted.judged_by(true))
        });
    }
}
