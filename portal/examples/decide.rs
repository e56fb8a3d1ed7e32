//! Puts questions to the rules of access, one JSON line each, in zones as the portal expands them;
//! `cargo xtask decide` runs it. `--version` names the release of the zone database.

use std::collections::HashMap;
use std::io::{BufRead as _, BufWriter, Write as _};

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use latchkey_portal::zone;
use latchkey_protocol::rules::ask::{Answer, Question, Refusal};
use latchkey_protocol::rules::{Offsets, Span};

fn main() -> anyhow::Result<()> {
    if std::env::args().any(|argument| argument == "--version") {
        println!(
            "latchkey rules {}, tz {}",
            env!("CARGO_PKG_VERSION"),
            zone::release()
        );
        return Ok(());
    }
    let mut zones = Zones::default();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        match zones.answer(&line) {
            Ok(answer) => serde_json::to_writer(&mut out, &answer)?,
            Err(refusal) => serde_json::to_writer(&mut out, &refusal)?,
        }
        writeln!(out)?;
    }
    out.flush()?;
    Ok(())
}

/// Expansions by zone and year: questions come by the thousand.
#[derive(Default)]
struct Zones(HashMap<(String, i32), Offsets>);

impl Zones {
    fn answer(&mut self, line: &str) -> Result<Answer, Refusal> {
        let question = Question::parse(line)?;
        let key = (question.zone().to_owned(), question.at().year());
        if !self.0.contains_key(&key) {
            let offsets = zone::expand(question.zone(), years_around(key.1));
            let offsets = offsets.map_err(|error| question.refuse(error))?;
            self.0.insert(key.clone(), offsets);
        }
        Ok(question.answer(&self.0[&key]))
    }
}

/// No change is looked for further than a year ahead.
fn years_around(year: i32) -> Span {
    let new_year = |year| {
        let first = NaiveDate::from_ymd_opt(year, 1, 1);
        first.map(|day| day.and_time(chrono::NaiveTime::MIN).and_utc())
    };
    Span {
        from: new_year(year - 2).unwrap_or(DateTime::<Utc>::MIN_UTC),
        until: new_year(year + 3).unwrap_or(DateTime::<Utc>::MAX_UTC),
    }
}
