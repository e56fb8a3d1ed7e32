//! Holidays.

use rstest::rstest;
use serde_json::json;

use crate::berlin_says;

/// A night window, Mondays and Tuesdays 22:00 to 06:00, around Monday 2026-06-01.
#[rstest]
#[case::default_ignores(false, &["2026-06-01"], "2026-06-01T20:30:00Z", "yes", "2026-06-02T04:00:00Z")]
#[case::all_that_day(true, &["2026-06-01"], "2026-05-31T22:00:00Z", "holiday", "2026-06-02T20:00:00Z")]
#[case::before_outside_hours(true, &["2026-06-01"], "2026-06-01T10:00:00Z", "holiday", "2026-06-02T20:00:00Z")]
#[case::before_wrong_day(true, &["2026-06-04"], "2026-06-04T10:00:00Z", "holiday", "2026-06-08T20:00:00Z")]
#[case::started_on_it(true, &["2026-06-01"], "2026-06-02T03:00:00Z", "holiday", "2026-06-02T20:00:00Z")]
#[case::and_no_longer(true, &["2026-06-01"], "2026-06-02T04:00:00Z", "outside_hours", "2026-06-02T20:00:00Z")]
#[case::started_before_it(true, &["2026-06-02"], "2026-06-02T03:00:00Z", "yes", "2026-06-02T04:00:00Z")]
#[case::then_the_calendar_day(true, &["2026-06-02"], "2026-06-02T04:00:00Z", "holiday", "2026-06-08T20:00:00Z")]
fn the_day_that_counts_is_the_one_on_which_the_running_window_started(
    #[case] closed_on_holidays: bool,
    #[case] days: &[&str],
    #[case] instant: &str,
    #[case] verdict: &str,
    #[case] change: &str,
) {
    let night = json!({
        "windows": [{"days": ["mon", "tue"], "from": "22:00", "to": "06:00"}],
        "closed_on_holidays": closed_on_holidays,
    });
    assert_eq!(
        berlin_says(night, days, instant),
        (verdict, change.to_owned())
    );
}

#[rstest]
#[case::before("2026-12-24T12:00:00Z", "yes", "2026-12-24T23:00:00Z")]
#[case::on_it("2026-12-24T23:00:00Z", "holiday", "2026-12-26T23:00:00Z")]
#[case::after("2026-12-26T23:00:00Z", "yes", "2026-12-31T23:00:00Z")]
#[case::none_left("2027-01-02T12:00:00Z", "yes", "")]
fn without_windows_the_calendar_day_counts(
    #[case] instant: &str,
    #[case] verdict: &str,
    #[case] change: &str,
) {
    let days = ["2026-12-25", "2027-01-01", "2026-12-26", "2026-12-25"];
    let answer = berlin_says(json!({"closed_on_holidays": true}), &days, instant);
    assert_eq!(answer, (verdict, change.to_owned()));
}

#[test]
fn of_two_running_windows_the_one_that_no_holiday_closes_opens() {
    let rules = json!({"closed_on_holidays": true, "windows": [
        {"days": ["mon"], "from": "22:00", "to": "06:00"},
        {"days": ["tue"], "from": "00:00", "to": "24:00"},
    ]});
    // Tuesday is closed, Monday's night still runs, and ends.
    let night = berlin_says(rules.clone(), &["2026-06-02"], "2026-06-02T01:00:00Z");
    assert_eq!(night, ("yes", "2026-06-02T04:00:00Z".to_owned()));
    // Monday is closed, Tuesday's day opens all the same.
    let day = berlin_says(rules, &["2026-06-01"], "2026-06-02T01:00:00Z");
    assert_eq!(day, ("yes", "2026-06-02T22:00:00Z".to_owned()));
}
