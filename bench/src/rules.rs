//! The access decision, among the keys of a large property.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::rules::{
    AccessRules, Calendar, Facts, Holidays, OffsetChange, Offsets, Span, decide,
};

use crate::measure::Timed;
use crate::primitives;
use crate::table::{Bench, Limit};

const KEYS: usize = 5_000;

/// Beside the check of a signature, because every decision comes after at least one.
pub(crate) fn bench() -> Bench {
    let mut bench = Bench::new("rules");
    let check = bench.operation("a check of a signature", primitives::check(126));
    let decision = bench.operation("a decision", decision());
    bench.subject(decision).peer(check, Limit::Shown);
    bench
}

/// One decision, which names the next moment of change as well; each time about another key.
fn decision() -> Timed {
    let offsets = offsets();
    let holidays = Holidays::default();
    let keys: Vec<AccessRules> = (0..KEYS).map(rules).collect();
    let facts = Facts::at(now());
    let mut next = 0;
    Timed::new(move || {
        let calendar = Calendar {
            offsets: &offsets,
            holidays: &holidays,
        };
        next = (next + 1) % KEYS;
        decide(&keys[next], &calendar, &facts)
    })
}
/// The moment of all measurements: a Friday.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("an instant")
}

/// A third each: always, a stay of some days, a cleaner's two windows a week.
fn rules(number: usize) -> AccessRules {
    let text = match number % 3 {
        0 => r#"{}"#,
        1 => r#"{"range": {"from": "2027-01-10T15:00", "until": "2027-01-20T11:00"}}"#,
        _ => return two_windows(),
    };
    serde_json::from_str(text).expect("rules")
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
