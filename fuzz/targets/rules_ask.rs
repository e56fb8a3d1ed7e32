//! A question to the rules, as a line of text, in a zone with two changes a year.
#![no_main]

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use latchkey_protocol::rules::ask::Question;
use latchkey_protocol::rules::{OffsetChange, Offsets, Span};

static OFFSETS: LazyLock<Offsets> = LazyLock::new(|| {
    let changes = (0..40).map(|half_year| OffsetChange {
        at: instant(1_585_443_600 + half_year * 182 * 86_400),
        offset: if half_year % 2 == 0 { 7_200 } else { 3_600 },
    });
    let span = Span {
        from: instant(1_577_836_800),
        until: instant(2_240_611_200),
    };
    Offsets::new("Fuzz/Zone", "0", span, 3_600, changes).expect("an expansion")
});

libfuzzer_sys::fuzz_target!(|line: &str| {
    if let Ok(question) = Question::parse(line) {
        let answer = question.answer(&OFFSETS);
        assert!(
            answer
                .changes_at
                .is_none_or(|change| change > question.at())
        );
    }
});

fn instant(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).expect("near")
}
