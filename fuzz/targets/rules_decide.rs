//! A decision over rules, zone and holidays of anybody's making: the change that it names is one,
//! and the answer holds until then.
#![no_main]

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use latchkey_protocol::rules::{
    AccessRules, Calendar, Facts, Holidays, OffsetChange, Offsets, Span, decide, verdict,
};

/// 2001-09-09.
const BEGIN: i64 = 1_000_000_000;

libfuzzer_sys::fuzz_target!(|input: (Vec<u8>, u32, Vec<(u32, i16)>, Vec<u16>)| {
    let (rules, at, changes, holidays) = input;
    let Ok(rules) = AccessRules::from_compact(&rules) else {
        return;
    };
    let instant = |second: u32| DateTime::from_timestamp(BEGIN + i64::from(second), 0);
    let changes = changes.into_iter().filter_map(|(at, minutes)| {
        let offset = i32::from(minutes % 720) * 60;
        instant(at).map(|at| OffsetChange { at, offset })
    });
    let span = Span {
        from: DateTime::<Utc>::MIN_UTC,
        until: DateTime::<Utc>::MAX_UTC,
    };
    let Ok(offsets) = Offsets::new("Fuzz/Zone", "0", span, 0, changes) else {
        return;
    };
    let days = holidays
        .into_iter()
        .filter_map(|day| NaiveDate::from_epoch_days(i32::from(day)));
    let Ok(holidays) = Holidays::new(days) else {
        return;
    };
    let Some(at) = instant(at) else {
        return;
    };
    let calendar = Calendar {
        offsets: &offsets,
        holidays: &holidays,
    };
    let decision = decide(&rules, &calendar, &Facts::at(at));
    let opens = |at| verdict(&rules, &calendar, &Facts::at(at)).is_ok();
    assert_eq!(decision.is_allowed(), opens(at));
    if let Some(change) = decision.changes_at() {
        assert!(at < change && change <= at + TimeDelta::hours(366 * 24));
        assert_ne!(opens(change), opens(at), "no change at {change}");
        let before = change - TimeDelta::seconds(1);
        assert_eq!(opens(before), opens(at), "changed before {change}");
        let between = at + (change - at) / 2;
        assert_eq!(
            opens(between),
            opens(at),
            "changed before {change}, at {between}"
        );
    }
});
