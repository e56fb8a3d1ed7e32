//! Ranges of dates, and what clock changes make of their ends.

use chrono::NaiveDate;
use latchkey_protocol::rules::{Calendar, Holidays, LocalMoment, Range, Reasons, Status, status};
use rstest::rstest;
use serde_json::json;

use crate::{at, berlin, berlin_says, common, refusal, rules};

#[rstest]
#[case::before("2026-04-30T21:59:59Z", "too_early", "2026-04-30T22:00:00Z")]
#[case::first_moment("2026-04-30T22:00:00Z", "yes", "2026-05-03T22:00:00Z")]
#[case::last_second("2026-05-03T21:59:59Z", "yes", "2026-05-03T22:00:00Z")]
#[case::half_open("2026-05-03T22:00:00Z", "expired", "")]
fn a_date_alone_means_the_whole_day_the_last_one_included(
    #[case] instant: &str,
    #[case] verdict: &str,
    #[case] change: &str,
) {
    let stay = json!({"range": {"from": "2026-05-01", "until": "2026-05-03"}});
    assert_eq!(
        berlin_says(stay, &[], instant),
        (verdict, change.to_owned())
    );
}

#[test]
fn arrival_and_departure_are_times_of_the_first_and_the_last_day() {
    let day = |day| NaiveDate::from_ymd_opt(2026, 5, day).expect("a date");
    let stay = Range::stay(day(1), Some(15 * 60), day(3), Some(11 * 60)).expect("a stay");
    let written = json!({"from": "2026-05-01T15:00", "until": "2026-05-03T11:00"});
    assert_eq!(serde_json::to_value(stay).expect("json"), written);
    let whole = Range::stay(day(1), None, day(3), None).expect("a stay");
    let written = json!({"from": "2026-05-01", "until": "2026-05-03"});
    assert_eq!(serde_json::to_value(whole).expect("json"), written);
}

#[rstest]
#[case::either_side_may_be_missing(json!({"from": "2026-05-01"}), "2027-01-01T00:00:00Z", "yes")]
#[case::either_side_may_be_missing(json!({"until": "2026-05-01"}), "2020-01-01T00:00:00Z", "yes")]
#[case::null_is_missing(json!({"from": null, "until": null}), "2020-01-01T00:00:00Z", "yes")]
fn open_ranges(#[case] range: serde_json::Value, #[case] instant: &str, #[case] verdict: &str) {
    assert_eq!(
        berlin_says(json!({"range": range}), &[], instant).0,
        verdict
    );
}

/// Berlin springs from 02:00 to 03:00 on 2026-03-29, at 01:00 UTC, and falls back from 03:00 to
/// 02:00 on 2026-10-25, at 01:00 UTC. Havana springs from 00:00 to 01:00 on 2026-03-08.
#[rstest]
#[case::skipped(
    "Europe/Berlin",
    "2026-03-29T02:30",
    "2026-03-29T01:00:00Z",
    "2026-03-29T01:00:00Z"
)]
#[case::gap_begins(
    "Europe/Berlin",
    "2026-03-29T02:00",
    "2026-03-29T01:00:00Z",
    "2026-03-29T01:00:00Z"
)]
#[case::gap_over(
    "Europe/Berlin",
    "2026-03-29T03:00",
    "2026-03-29T01:00:00Z",
    "2026-03-29T01:00:00Z"
)]
#[case::before_gap(
    "Europe/Berlin",
    "2026-03-29T01:59",
    "2026-03-29T00:59:00Z",
    "2026-03-29T00:59:00Z"
)]
#[case::twice(
    "Europe/Berlin",
    "2026-10-25T02:30",
    "2026-10-25T00:30:00Z",
    "2026-10-25T01:30:00Z"
)]
#[case::twice_from(
    "Europe/Berlin",
    "2026-10-25T02:00",
    "2026-10-25T00:00:00Z",
    "2026-10-25T01:00:00Z"
)]
#[case::once_again(
    "Europe/Berlin",
    "2026-10-25T03:00",
    "2026-10-25T02:00:00Z",
    "2026-10-25T02:00:00Z"
)]
#[case::skipped_midnight(
    "America/Havana",
    "2026-03-08T00:00",
    "2026-03-08T05:00:00Z",
    "2026-03-08T05:00:00Z"
)]
#[case::half_an_hour(
    "Australia/Lord_Howe",
    "2026-10-04T02:15",
    "2026-10-03T15:30:00Z",
    "2026-10-03T15:30:00Z"
)]
#[case::beyond_the_changes(
    "Europe/Berlin",
    "2100-07-01T12:00",
    "2100-07-01T11:00:00Z",
    "2100-07-01T11:00:00Z"
)]
fn a_skipped_moment_is_the_one_after_the_gap_and_of_two_a_start_is_the_first_an_end_the_last(
    #[case] zone: &str,
    #[case] local: &str,
    #[case] as_start: &str,
    #[case] as_end: &str,
) {
    let offsets = common::offsets(zone, 2024..2040);
    let local = LocalMoment::parse_start(local).expect("a moment");
    assert_eq!(offsets.start(local), at(as_start), "as a start");
    assert_eq!(offsets.end(local), at(as_end), "as an end");
}

#[test]
fn a_status_never_goes_back() {
    let offsets = berlin();
    let calendar = Calendar {
        offsets: &offsets,
        holidays: Holidays::NONE,
    };
    // Start and end within the hour that comes twice, and within the one that is skipped.
    for day in ["2026-10-25", "2026-03-29"] {
        let range = json!({"from": format!("{day}T02:10"), "until": format!("{day}T02:50")});
        let rules = rules(json!({"range": range}));
        let mut now = at(&format!("{day}T00:00:00Z"));
        let mut past = Vec::new();
        for _ in 0..240 {
            let status = status(&rules, &calendar, now, Reasons::NONE, 0);
            if past.last() != Some(&status) {
                past.push(status);
            }
            now += chrono::TimeDelta::minutes(1);
        }
        let active: &[Status] = match day {
            "2026-10-25" => &[Status::Upcoming, Status::Active, Status::Expired],
            _ => &[Status::Upcoming, Status::Expired],
        };
        assert_eq!(past, active, "{day}");
    }
}

#[rstest]
#[case::same(json!({"from": "2026-05-01T15:00", "until": "2026-05-01T15:00"}))]
#[case::before(json!({"from": "2026-05-03", "until": "2026-05-01"}))]
#[case::midnight(json!({"from": "2026-05-02", "until": "2026-05-01T24:00"}))]
fn a_range_that_does_not_end_after_its_start_is_refused(#[case] range: serde_json::Value) {
    assert!(refusal(json!({"range": range})).contains("the end must come after the start"));
}
