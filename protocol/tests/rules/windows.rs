//! Weekly windows.

use latchkey_protocol::rules::{
    AccessRules, MAX_WINDOWS, Range, RulesError, Weekdays, WeeklyWindow,
};
use rstest::rstest;
use serde_json::json;

use crate::{berlin_says, refusal, rules};

#[rstest]
#[case::no_weekday(json!({"days": [], "from": "09:00", "to": "11:00"}), "at least one weekday")]
#[case::from_at_24(json!({"days": ["mon"], "from": "24:00", "to": "11:00"}), "24:00 can only be an end")]
#[case::past_24(json!({"days": ["mon"], "from": "09:00", "to": "24:01"}), "24:01")]
#[case::minute_60(json!({"days": ["mon"], "from": "09:60", "to": "11:00"}), "09:60")]
#[case::one_digit(json!({"days": ["mon"], "from": "9:00", "to": "11:00"}), "9:00")]
#[case::seconds(json!({"days": ["mon"], "from": "09:00:00", "to": "11:00"}), "09:00:00")]
#[case::day_8(json!({"days": [8], "from": "09:00", "to": "11:00"}), "`8` is not a weekday")]
#[case::day_0(json!({"days": [0], "from": "09:00", "to": "11:00"}), "`0` is not a weekday")]
#[case::name(json!({"days": ["montag"], "from": "09:00", "to": "11:00"}), "`montag` is not")]
#[case::not_known(json!({"days": ["mon"], "from": "09:00", "to": "11:00", "until": 3}), "until")]
fn windows_that_are_refused(#[case] window: serde_json::Value, #[case] why: &str) {
    let refusal = refusal(json!({"windows": [window]}));
    assert!(refusal.contains(why), "{refusal}");
}

#[test]
fn more_windows_than_any_key_needs_are_refused() {
    let windows = |count: u16| {
        let window = |n| WeeklyWindow::new(Weekdays::ALL, n, n + 1).expect("a window");
        AccessRules::new(Range::ALWAYS, (0..count).map(window), false, None)
    };
    assert!(windows(MAX_WINDOWS as u16).is_ok());
    assert_eq!(
        windows(MAX_WINDOWS as u16 + 1),
        Err(RulesError::TooManyWindows)
    );
}

/// A cleaner comes Tuesdays 9 to 11 and Fridays 14 to 16. 2026-06-02 is a Tuesday; Berlin is two
/// hours ahead.
#[rstest]
#[case::monday("2026-06-01T08:00:00Z", "wrong_day", "2026-06-02T07:00:00Z")]
#[case::early("2026-06-02T06:59:59Z", "outside_hours", "2026-06-02T07:00:00Z")]
#[case::starts("2026-06-02T07:00:00Z", "yes", "2026-06-02T09:00:00Z")]
#[case::ends("2026-06-02T09:00:00Z", "outside_hours", "2026-06-05T12:00:00Z")]
#[case::friday("2026-06-05T12:00:00Z", "yes", "2026-06-05T14:00:00Z")]
#[case::next_week("2026-06-05T14:00:00Z", "outside_hours", "2026-06-09T07:00:00Z")]
fn any_number_of_windows(#[case] instant: &str, #[case] verdict: &str, #[case] change: &str) {
    let cleaner = json!({"windows": [
        {"days": ["fri"], "from": "14:00", "to": "16:00"},
        {"days": [2], "from": "09:00", "to": "11:00"},
    ]});
    assert_eq!(
        berlin_says(cleaner, &[], instant),
        (verdict, change.to_owned())
    );
}

/// Mondays 22:00 to 06:00. 2026-06-01 is a Monday.
#[rstest]
#[case::monday_morning("2026-06-01T02:00:00Z", "outside_hours", "2026-06-01T20:00:00Z")]
#[case::monday_night("2026-06-01T20:00:00Z", "yes", "2026-06-02T04:00:00Z")]
#[case::tuesday_morning("2026-06-02T03:59:59Z", "yes", "2026-06-02T04:00:00Z")]
#[case::no_window_starts_on_tuesday("2026-06-02T04:00:00Z", "wrong_day", "2026-06-08T20:00:00Z")]
fn an_end_at_or_before_the_start_is_on_the_next_day(
    #[case] instant: &str,
    #[case] verdict: &str,
    #[case] change: &str,
) {
    let night = json!({"windows": [{"days": ["mon"], "from": "22:00", "to": "06:00"}]});
    assert_eq!(
        berlin_says(night, &[], instant),
        (verdict, change.to_owned())
    );
}

#[test]
fn an_end_equal_to_the_start_is_24_hours() {
    let window = json!({"windows": [{"days": ["mon"], "from": "09:00", "to": "09:00"}]});
    let starts = berlin_says(window.clone(), &[], "2026-06-01T07:00:00Z");
    assert_eq!(starts, ("yes", "2026-06-02T07:00:00Z".to_owned()));
    // As wide as a window of the same hours that ends at midnight, said twice.
    let midnight = |to| rules(json!({"windows": [{"days": ["mon"], "from": "00:00", "to": to}]}));
    assert_eq!(midnight("00:00"), midnight("24:00"));
}

#[rstest]
#[case::over_midnight(json!([
    {"days": ["mon"], "from": "20:00", "to": "24:00"}, {"days": ["tue"], "from": "00:00", "to": "02:00"},
]), "2026-06-01T19:00:00Z", "2026-06-02T00:00:00Z")]
#[case::one_after_the_other(json!([
    {"days": ["mon"], "from": "20:00", "to": "21:00"}, {"days": ["mon"], "from": "21:00", "to": "22:00"},
]), "2026-06-01T18:30:00Z", "2026-06-01T20:00:00Z")]
#[case::overlapping(json!([
    {"days": ["mon"], "from": "20:00", "to": "22:00"}, {"days": ["mon"], "from": "21:00", "to": "23:00"},
]), "2026-06-01T18:30:00Z", "2026-06-01T21:00:00Z")]
// 02:00 to 03:00 is not there on 2026-03-29, a Sunday.
#[case::over_a_gap(json!([
    {"days": ["sun"], "from": "01:00", "to": "02:00"}, {"days": ["sun"], "from": "03:00", "to": "04:00"},
]), "2026-03-29T00:30:00Z", "2026-03-29T02:00:00Z")]
#[case::every_hour_of_the_week(json!([{"days": [1, 2, 3, 4, 5, 6, 7], "from": "09:00", "to": "09:00"}]),
    "2026-06-01T19:00:00Z", "")]
fn windows_that_touch_are_one_yes(
    #[case] windows: serde_json::Value,
    #[case] instant: &str,
    #[case] until: &str,
) {
    let answer = berlin_says(json!({"windows": windows}), &[], instant);
    assert_eq!(answer, ("yes", until.to_owned()));
}

/// Sundays 02:15 to 02:45, when that is skipped (2026-03-29) and when it comes twice
/// (2026-10-25).
#[rstest]
#[case::skipped("2026-03-29T00:59:00Z", "outside_hours", "2026-04-05T00:15:00Z")]
#[case::its_day_still_counts("2026-03-29T12:00:00Z", "outside_hours", "2026-04-05T00:15:00Z")]
#[case::first_coming("2026-10-25T00:15:00Z", "yes", "2026-10-25T00:45:00Z")]
#[case::between("2026-10-25T00:45:00Z", "outside_hours", "2026-10-25T01:15:00Z")]
#[case::second_coming("2026-10-25T01:15:00Z", "yes", "2026-10-25T01:45:00Z")]
fn a_skipped_hour_is_not_there_and_one_that_comes_twice_counts_twice(
    #[case] instant: &str,
    #[case] verdict: &str,
    #[case] change: &str,
) {
    let window = json!({"windows": [{"days": ["sun"], "from": "02:15", "to": "02:45"}]});
    assert_eq!(
        berlin_says(window, &[], instant),
        (verdict, change.to_owned())
    );
}

#[test]
fn windows_are_a_set() {
    let day = |day, from, to| json!({"days": [day], "from": from, "to": to});
    let written = rules(json!({"windows": [
        day("tue", "14:00", "16:00"), day("fri", "09:00", "11:00"), day("tue", "09:00", "11:00"),
        day("fri", "09:00", "11:00"),
    ]}));
    let kept = json!({"windows": [
        {"days": ["tue", "fri"], "from": "09:00", "to": "11:00"},
        {"days": ["tue"], "from": "14:00", "to": "16:00"},
    ]});
    assert_eq!(serde_json::to_value(&written).expect("json"), kept);
    assert_eq!(rules(kept), written);
}
