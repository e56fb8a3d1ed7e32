//! The compact form: one encoding for each value, frozen bytes, and nothing else is read.

use std::num::NonZeroU32;

use latchkey_protocol::rules::{
    AccessRules, CompactError, LocalMoment, MAX_WINDOWS, Range, RulesError, Weekdays, WeeklyWindow,
};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

/// Signed in statements and printed in codes: these bytes may never change.
#[rstest]
#[case::no_limit(json!({}), "00")]
#[case::closed_on_holidays(json!({"closed_on_holidays": true}), "04")]
#[case::start(json!({"range": {"from": "1970-01-01T00:01"}}), "0100000001")]
#[case::end(json!({"range": {"until": "1970-01-01"}}), "02000005a0")]
#[case::uses(json!({"max_uses": 30}), "080000001e")]
// Monday (bit 22), 1 minute (bit 11), 2 minutes (bit 1).
#[case::window(json!({"windows": [{"days": ["mon"], "from": "00:01", "to": "00:02"}]}), "0000400802")]
#[case::all(json!({
    "range": {"from": "2026-05-01T15:00", "until": "2026-05-03"},
    "windows": [
        {"days": ["tue", "fri"], "from": "09:00", "to": "11:00"},
        {"days": [1, 2, 3, 4, 5, 6, 7], "from": "22:00", "to": "24:00"},
    ],
    "closed_on_holidays": true,
    "max_uses": 30,
}), "0f01c4144401c421a00000001e0490e2941fe945a0")]
fn frozen_bytes(#[case] json: serde_json::Value, #[case] bytes: &str) {
    let rules: AccessRules = serde_json::from_value(json).expect("rules");
    assert_eq!(hex::encode(rules.to_compact()), bytes);
    let read = AccessRules::from_compact(&hex::decode(bytes).expect("hex"));
    assert_eq!(read.expect("rules"), rules);
}

#[rstest]
#[case::nothing("", CompactError::Truncated)]
#[case::flag_of_later_times("10", CompactError::UnknownFlags)]
#[case::half_a_start("010000", CompactError::Truncated)]
#[case::half_a_window("00004008", CompactError::Truncated)]
#[case::bits_of_later_times("0020400802", CompactError::UnknownFlags)]
#[case::no_weekday("0000000802", CompactError::Rules(RulesError::NoWeekday))]
#[case::ends_at_zero("0000400800", CompactError::NotCanonical)]
#[case::no_uses("0800000000", CompactError::Rules(RulesError::NoUses))]
#[case::ends_first(
    "030000000200000001",
    CompactError::Rules(RulesError::EndNotAfterStart)
)]
#[case::too_far("01ffffffff", CompactError::Rules(RulesError::YearOutOfReach))]
#[case::descending("000040100300400802", CompactError::NotCanonical)]
#[case::twice("000040080200400802", CompactError::NotCanonical)]
#[case::same_hours_twice("000040080200800802", CompactError::NotCanonical)]
fn bytes_that_are_refused(#[case] bytes: &str, #[case] why: CompactError) {
    let read = AccessRules::from_compact(&hex::decode(bytes).expect("hex"));
    assert_eq!(read, Err(why));
}

prop_compose! {
    fn window()(days in 1u8..128, from in 0u16..1440, to in 0u16..=1440) -> WeeklyWindow {
        let days = Weekdays::from_bits(days).expect("days");
        WeeklyWindow::new(days, from, to).expect("a window")
    }
}

prop_compose! {
    fn range()(
        sides in any::<[bool; 2]>(),
        from in 0..=LocalMoment::MAX.minutes(),
        length in 1..2_000_000u32,
    ) -> Range {
        let until = (from + length).min(LocalMoment::MAX.minutes());
        let from = from.min(until - 1);
        let side = |minutes| LocalMoment::from_minutes(minutes).expect("a moment");
        Range::new(sides[0].then(|| side(from)), sides[1].then(|| side(until))).expect("a range")
    }
}

prop_compose! {
    fn rules()(
        range in range(),
        windows in prop::collection::vec(window(), 0..=MAX_WINDOWS),
        closed in any::<bool>(),
        uses in any::<u32>(),
    ) -> AccessRules {
        AccessRules::new(range, windows, closed, NonZeroU32::new(uses)).expect("rules")
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(rules in rules()) {
        let bytes = rules.to_compact();
        prop_assert!(bytes.len() <= 13 + 4 * rules.windows().len());
        prop_assert_eq!(AccessRules::from_compact(&bytes), Ok(rules.clone()));
        let json = serde_json::to_string(&rules).expect("json");
        prop_assert_eq!(serde_json::from_str::<AccessRules>(&json).expect("rules"), rules);
    }

    /// Whatever is read is the one encoding of what it says: no other bytes say the same.
    #[test]
    fn there_is_one_encoding(mut bytes in rules().prop_map(|rules| rules.to_compact()), change in any::<(usize, u8)>()) {
        let at = change.0 % bytes.len();
        bytes[at] ^= change.1;
        if let Ok(rules) = AccessRules::from_compact(&bytes) {
            prop_assert_eq!(rules.to_compact(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(rules) = AccessRules::from_compact(&bytes) {
            prop_assert_eq!(rules.to_compact(), bytes);
        }
    }
}
