//! An element of an Access Document, and what it allows at the moments where that may change.
#![no_main]

use aliro::document::{AccessData, Capabilities, Now, Verdict, evaluate};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(data) = AccessData::decode(bytes) else {
        return;
    };
    let encoded = data.encode().expect("what was read can be written");
    assert_eq!(AccessData::decode(&encoded).as_ref(), Ok(&data));

    let clockless = evaluate(&data, Capabilities::UNSECURE, None);
    let undenied = {
        let mut undenied = data.clone();
        undenied.rules.iter_mut().for_each(|rule| rule.deny = 0);
        undenied
    };
    let first = data.schedules.iter().map(|schedule| schedule.start).min();
    for moment in moments(&data) {
        let now = Some(Now {
            utc: moment,
            local: moment,
        });
        let verdict = evaluate(&data, Capabilities::UNSECURE, now);
        if clockless == Verdict::Allowed {
            assert_eq!(
                verdict,
                Verdict::Allowed,
                "what asks for no clock is always allowed"
            );
        }
        if verdict == Verdict::Allowed {
            let without = evaluate(&undenied, Capabilities::UNSECURE, now);
            assert_eq!(without, Verdict::Allowed, "a denial allows nothing");
        }
        let always = data.rules.is_empty() || data.rules.iter().any(|rule| rule.allow == 0);
        if !always && first.is_some_and(|first| moment < i64::from(first)) {
            assert_ne!(verdict, Verdict::Allowed, "before anything begins");
        }
    }
});

/// Around the beginnings and ends of the first schedules.
fn moments(data: &AccessData) -> Vec<i64> {
    let mut moments = vec![i64::MIN, i64::MAX];
    for schedule in data.schedules.iter().take(2) {
        let start = i64::from(schedule.start);
        moments.extend([start - 1, start]);
        if let Some(recurrence) = &schedule.recurrence {
            let end = start + i64::from(recurrence.duration());
            moments.extend([end - 1, end]);
        }
        if let Some(end) = schedule.end {
            moments.extend([i64::from(end) - 1, i64::from(end)]);
        }
    }
    moments
}
