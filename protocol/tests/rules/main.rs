//! The sentences of the rules of access, one table each.

#[path = "../common/mod.rs"]
mod common;

mod clock;
mod decision;
mod forms;
mod holidays;
mod questions;
mod range;
mod windows;
mod within;

use chrono::{DateTime, Utc};
use latchkey_protocol::rules::{AccessRules, Calendar, Facts, Holidays, Offsets, Reason, decide};
use serde_json::json;

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

pub(crate) fn rules(json: serde_json::Value) -> AccessRules {
    serde_json::from_value(json).expect("rules")
}

pub(crate) fn refusal(json: serde_json::Value) -> String {
    serde_json::from_value::<AccessRules>(json)
        .expect_err("refused")
        .to_string()
}

pub(crate) fn berlin() -> Offsets {
    common::offsets("Europe/Berlin", 2024..2040)
}

pub(crate) fn holidays(dates: &[&str]) -> Holidays {
    serde_json::from_value(json!(dates)).expect("holidays")
}

/// The answer as `yes` or the reason, and the instant of change.
pub(crate) fn ask(
    rules: &AccessRules,
    offsets: &Offsets,
    holidays: &Holidays,
    instant: &str,
) -> (&'static str, Option<String>) {
    let decision = decide(
        rules,
        &Calendar { offsets, holidays },
        &Facts::at(at(instant)),
    );
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    (
        decision.reason().map_or("yes", Reason::name),
        decision.changes_at().map(text),
    )
}

pub(crate) fn berlin_says(
    json: serde_json::Value,
    days: &[&str],
    instant: &str,
) -> (&'static str, String) {
    let (verdict, change) = ask(&rules(json), &berlin(), &holidays(days), instant);
    (verdict, change.unwrap_or_default())
}
