//! The access decision, among many keys at one door.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::rules::{
    AccessRules, Calendar, Facts, Holidays, OffsetChange, Offsets, Span, decide,
};

const KEYS: usize = 5_000;

fn main() {
    divan::main();
}

/// All keys of a large property at one moment: divide by 5,000 for one decision, which names the next
/// moment of change as well.
#[divan::bench]
fn five_thousand_decisions(bencher: divan::Bencher<'_, '_>) {
    let offsets = offsets();
    let holidays = Holidays::default();
    let calendar = Calendar {
        offsets: &offsets,
        holidays: &holidays,
    };
    let keys: Vec<AccessRules> = (0..KEYS).map(rules).collect();
    let facts = Facts::at(now());
    bencher.bench(|| {
        let decisions = keys.iter().map(|rules| decide(rules, &calendar, &facts));
        decisions.filter(|decision| decision.is_allowed()).count()
    });
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("an instant")
}

/// A third each: always, a stay of some days, a cleaner's two windows a week.
fn rules(number: usize) -> AccessRules {
    let text = match number % 3 {
        0 => r#"{}"#,
        1 => r#"{"range": {"from": "2027-01-10T15:00", "until": "2027-01-20T11:00"}}"#,
        _ => {
            r#"{"windows": [{"days": ["tue"], "from": "09:00", "to": "11:00"},
                            {"days": ["fri"], "from": "14:00", "to": "16:00"}]}"#
        }
    };
    serde_json::from_str(text).expect("rules")
}

/// Ten years of summer and winter time.
fn offsets() -> Offsets {
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
