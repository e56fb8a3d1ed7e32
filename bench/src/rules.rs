//! The access decision among the keys of a large property, each found by the credential that is shown.

mod cedar;
mod keys;

use std::rc::Rc;

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::rules::{AccessRules, OffsetChange, Offsets, Span, decide, verdict};

use self::keys::Property;
use crate::measure::Timed;
use crate::primitives;
use crate::table::{Bench, Limit};

/// Seconds that the yes or no may take, and the same with the next moment of change.
const VERDICT: f64 = 0.5e-6;
const DECISION: f64 = 50e-6;

/// Beside cedar-policy, which is there for decisions; and beside the check of a signature, because every
/// decision comes after at least one.
pub(crate) fn bench() -> Bench {
    let mut bench = Bench::new("rules");
    let property = Rc::new(Property::new());
    let check = bench.operation("a check of a signature", primitives::check(126));
    let cedar = bench.operation("cedar-policy", cedar::decision(&property));
    let yes_or_no = bench.operation("yes or no", yes_or_no(Rc::clone(&property)));
    let decision = bench.operation("with the next moment", decision(property));
    bench
        .subject(yes_or_no)
        .peer(cedar, Limit::Within(VERDICT))
        .peer(check, Limit::Shown);
    bench
        .subject(decision)
        .peer(cedar, Limit::Within(DECISION))
        .peer(check, Limit::Shown);
    bench
}

/// Each time with another credential.
fn yes_or_no(property: Rc<Property>) -> Timed {
    let mut turn = 0;
    Timed::new(move || {
        let asked = property.asked(&mut turn);
        verdict(
            property.found(asked.credential),
            &property.calendar(),
            &asked.facts,
        )
    })
}

fn decision(property: Rc<Property>) -> Timed {
    let mut turn = 0;
    Timed::new(move || {
        let asked = property.asked(&mut turn);
        decide(
            property.found(asked.credential),
            &property.calendar(),
            &asked.facts,
        )
    })
}

/// The moment of all measurements: eight o'clock on a Friday.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("an instant")
}

/// A cleaner's.
pub(crate) fn two_windows() -> AccessRules {
    let text = r#"{"windows": [{"days": ["tue"], "from": "09:00", "to": "11:00"},
                               {"days": ["fri"], "from": "14:00", "to": "16:00"}]}"#;
    serde_json::from_str(text).expect("rules")
}

/// Ten years of summer and winter time.
pub(crate) fn offsets() -> Offsets {
    let first = now() - TimeDelta::days(90);
    let change = |half_year: i32| OffsetChange {
        at: first + TimeDelta::days(182 * i64::from(half_year) + 1),
        offset: 3600 * (half_year % 2),
    };
    let span = Span {
        from: first,
        until: first + TimeDelta::days(3660),
    };
    Offsets::new("Europe/London", "2026c", span, 3600, (0..20).map(change)).expect("offsets")
}
