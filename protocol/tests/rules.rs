//! The sentences of the rules of access, one table each.

mod common;

use chrono::{DateTime, NaiveDate, Utc};
use latchkey_protocol::rules::ask::Question;
use latchkey_protocol::rules::{
    AccessRules, Calendar, Clock, Decision, Facts, Holidays, LocalMoment, MAX_WINDOWS,
    OffsetChange, Offsets, OffsetsError, Range, Reason, Reasons, RulesError, Span, Status, Uses,
    Weekdays, WeeklyWindow, changes_at, decide, status, verdict,
};
use rstest::rstest;
use serde_json::json;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

fn rules(json: serde_json::Value) -> AccessRules {
    serde_json::from_value(json).expect("rules")
}

fn refusal(json: serde_json::Value) -> String {
    serde_json::from_value::<AccessRules>(json)
        .expect_err("refused")
        .to_string()
}

fn berlin() -> Offsets {
    common::offsets("Europe/Berlin", 2024..2040)
}

fn holidays(dates: &[&str]) -> Holidays {
    serde_json::from_value(json!(dates)).expect("holidays")
}

/// The answer as `yes` or the reason, and the instant of change.
fn ask(
    rules: &AccessRules,
    offsets: &Offsets,
    holidays: &Holidays,
    instant: &str,
) -> (&'static str, Option<String>) {
    let decision = decide(
        rules,
        &Calendar { offsets, holidays },
        &Facts::at(at(instant)),
    );
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    (
        decision.reason().map_or("yes", Reason::name),
        decision.changes_at().map(text),
    )
}

fn berlin_says(json: serde_json::Value, days: &[&str], instant: &str) -> (&'static str, String) {
    let (verdict, change) = ask(&rules(json), &berlin(), &holidays(days), instant);
    (verdict, change.unwrap_or_default())
}

// Range

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

// Windows

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

// Holidays

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

// Uses

#[rstest]
#[case::left(29, Some(1), "yes")]
#[case::no_ceiling_here(29, None, "yes")]
#[case::spent(30, Some(1), "used_up")]
#[case::overspent_after_lowering(31, None, "used_up")]
#[case::ceiling_spent(29, Some(0), "no_uses_held_here")]
#[case::both(30, Some(0), "used_up")]
fn uses(#[case] spent: u32, #[case] held_here: Option<u32>, #[case] expected: &str) {
    let (offsets, uses) = (berlin(), Uses { spent, held_here });
    let calendar = Calendar {
        offsets: &offsets,
        holidays: Holidays::NONE,
    };
    let facts = Facts {
        uses,
        ..Facts::at(at("2026-06-01T10:00:00Z"))
    };
    let decision = decide(&rules(json!({"max_uses": 30})), &calendar, &facts);
    assert_eq!(decision.reason().map_or("yes", Reason::name), expected);
    assert_eq!(decision.changes_at(), None);
    // Without a number, whatever was spent says nothing.
    assert!(decide(&rules(json!({})), &calendar, &facts).is_allowed());
}

#[test]
fn uses_start_at_one() {
    assert!(refusal(json!({"max_uses": 0})).contains("starts at 1"));
    assert_eq!(
        rules(json!({"max_uses": 1})).max_uses().map(Into::into),
        Some(1u32)
    );
    assert_eq!(rules(json!({"max_uses": null})).max_uses(), None);
}

// The decision

/// One key that everything speaks against; reasons are taken away one by one.
#[test]
fn the_first_reason_that_applies_is_named() {
    let offsets = berlin();
    let holidays = holidays(&["2026-06-02"]);
    let calendar = Calendar {
        offsets: &offsets,
        holidays: &holidays,
    };
    let plain = [
        Reason::CodeTooOld,
        Reason::CodeUsedBefore,
        Reason::ClockUnsure,
        Reason::NotYetAtThisDoor,
        Reason::WrongCode,
        Reason::GrantTooOld,
        Reason::Unknown,
        Reason::WrongDoor,
        Reason::Revoked,
        Reason::KeyChanged,
        Reason::Suspended,
        Reason::Lockdown,
    ];
    let says = |rules: serde_json::Value, against: &[Reason], uses| {
        let against = against
            .iter()
            .copied()
            .collect::<Reasons>()
            .with(Reason::DoorOffline);
        let facts = Facts {
            against,
            uses,
            ..Facts::at(at("2026-06-02T10:00:00Z"))
        };
        let decision = decide(&self::rules(rules), &calendar, &facts);
        (
            decision.reason().expect("denied"),
            decision.changes_at().is_some(),
        )
    };
    let spent = Uses {
        spent: 3,
        held_here: Some(0),
    };
    let mut rules = json!({
        "range": {"from": "2026-01-01", "until": "2026-02-01"}, "max_uses": 3,
        "windows": [{"days": ["mon"], "from": "08:00", "to": "09:00"}], "closed_on_holidays": true,
    });
    for first in 0..plain.len() {
        assert_eq!(
            says(rules.clone(), &plain[first..], spent),
            (plain[first], false)
        );
    }
    assert_eq!(says(rules.clone(), &[], spent), (Reason::Expired, false));
    rules["range"] = json!({"from": "2026-07-01"});
    assert_eq!(says(rules.clone(), &[], spent), (Reason::UsedUp, false));
    let here = Uses {
        spent: 2,
        held_here: Some(0),
    };
    assert_eq!(
        says(rules.clone(), &[], here),
        (Reason::NoUsesHeldHere, false)
    );
    let left = Uses {
        spent: 2,
        held_here: Some(1),
    };
    assert_eq!(says(rules.clone(), &[], left), (Reason::TooEarly, true));
    rules["range"] = json!({});
    assert_eq!(says(rules.clone(), &[], left), (Reason::Holiday, true));
    rules["closed_on_holidays"] = json!(false);
    assert_eq!(says(rules.clone(), &[], left), (Reason::WrongDay, true));
    rules["windows"][0]["days"] = json!(["tue"]);
    assert_eq!(says(rules.clone(), &[], left), (Reason::OutsideHours, true));
    rules["windows"] = json!([]);
    assert_eq!(says(rules, &[], left), (Reason::DoorOffline, false));
}

#[test]
fn too_early_waits_for_the_first_window_of_the_range() {
    let rules = json!({
        "range": {"from": "2026-06-03T10:00", "until": "2026-06-20"},
        "windows": [{"days": ["tue"], "from": "09:00", "to": "11:00"}], "closed_on_holidays": true,
    });
    let answer = berlin_says(rules.clone(), &["2026-06-09"], "2026-06-02T07:30:00Z");
    assert_eq!(answer, ("too_early", "2026-06-16T07:00:00Z".to_owned()));
    // A window that runs when the range begins opens at once, and no window after its end does.
    let running = json!({
        "range": {"from": "2026-06-02T10:00"},
        "windows": [{"days": ["tue"], "from": "09:00", "to": "11:00"}],
    });
    let answer = berlin_says(running, &[], "2026-06-02T07:30:00Z");
    assert_eq!(answer, ("too_early", "2026-06-02T08:00:00Z".to_owned()));
    let answer = berlin_says(rules, &["2026-06-09", "2026-06-16"], "2026-06-02T07:30:00Z");
    assert_eq!(answer, ("too_early", String::new()));
}

/// 366 × 24 hours ahead of 2026-06-01T10:00:00Z is 2027-06-02T10:00:00Z.
#[rstest]
#[case::included("UTC", json!({"range": {"from": "2027-06-02T10:00"}}), "2026-06-01T10:00:00Z", "2027-06-02T10:00:00Z")]
#[case::a_second_more("UTC", json!({"range": {"from": "2027-06-02T10:00"}}), "2026-06-01T09:59:59Z", "")]
#[case::parts_of_seconds("UTC", json!({"range": {"from": "2027-06-02T10:00"}}), "2026-06-01T09:59:59.999Z", "")]
#[case::an_end("UTC", json!({"range": {"until": "2027-06-02T10:00"}}), "2026-06-01T10:00:00Z", "2027-06-02T10:00:00Z")]
#[case::an_end_a_second_more("UTC", json!({"range": {"until": "2027-06-02T10:00"}}), "2026-06-01T09:59:59Z", "")]
#[case::hours_not_days("Europe/Berlin", json!({"range": {"from": "2027-03-30T12:00"}}), "2026-03-28T11:00:00Z", "")]
fn changes_are_looked_for_366_times_24_hours_ahead_that_distance_included(
    #[case] zone: &str,
    #[case] json: serde_json::Value,
    #[case] instant: &str,
    #[case] change: &str,
) {
    let offsets = common::offsets(zone, 2024..2040);
    let answer = ask(&rules(json), &offsets, Holidays::NONE, instant).1;
    assert_eq!(answer.unwrap_or_default(), change);
}

#[test]
fn a_denial_that_no_calendar_ends_has_no_next_moment() {
    let offsets = berlin();
    let calendar = Calendar {
        offsets: &offsets,
        holidays: Holidays::NONE,
    };
    let now = at("2026-06-02T10:00:00Z");
    let night = rules(json!({"windows": [{"days": ["mon"], "from": "22:00", "to": "06:00"}]}));
    for reason in Reason::ALL.iter().filter(|reason| !reason.is_of_calendar()) {
        assert_eq!(
            changes_at(&night, &calendar, now, Err(*reason)),
            None,
            "{reason}"
        );
    }
}

// A clock that is lost

#[rstest]
#[case::unlimited(json!({}), None)]
#[case::uses(json!({"max_uses": 3}), None)]
#[case::start(json!({"range": {"from": "2026-01-01"}}), Some(Reason::ClockUnsure))]
#[case::end(json!({"range": {"until": "2026-01-01"}}), Some(Reason::ClockUnsure))]
#[case::windows(json!({"windows": [{"days": [1, 2, 3, 4, 5, 6, 7], "from": "00:00", "to": "24:00"}]}), Some(Reason::ClockUnsure))]
#[case::holidays(json!({"closed_on_holidays": true}), Some(Reason::ClockUnsure))]
fn a_door_without_a_clock_lets_in_only_keys_that_need_none(
    #[case] json: serde_json::Value,
    #[case] reason: Option<Reason>,
) {
    let offsets = berlin();
    let calendar = Calendar {
        offsets: &offsets,
        holidays: Holidays::NONE,
    };
    let facts = |against, held_here| Facts {
        clock: Clock::Unsure,
        against,
        uses: Uses {
            spent: 1,
            held_here,
        },
    };
    let rules = rules(json);
    assert_eq!(
        verdict(&rules, &calendar, &facts(Reasons::NONE, None)).err(),
        reason
    );
    let decision = decide(&rules, &calendar, &facts(Reasons::NONE, None));
    assert_eq!(decision.changes_at(), None);
    // All else still holds, and what is wrong with the credential comes before.
    let revoked = facts(Reason::Revoked.into(), None);
    let expected = reason.or(Some(Reason::Revoked));
    assert_eq!(verdict(&rules, &calendar, &revoked).err(), expected);
    let replayed = facts(Reason::CodeUsedBefore.into(), None);
    assert_eq!(
        verdict(&rules, &calendar, &replayed),
        Err(Reason::CodeUsedBefore)
    );
    if rules.max_uses().is_some() {
        let spent = verdict(&rules, &calendar, &facts(Reasons::NONE, Some(0)));
        assert_eq!(spent, Err(Reason::NoUsesHeldHere));
    }
}

// Status

#[rstest]
#[case::upcoming("2026-04-01T00:00:00Z", &[], 0, Status::Upcoming)]
#[case::active_outside_its_hours("2026-05-10T00:00:00Z", &[], 2, Status::Active)]
#[case::used_up("2026-05-10T00:00:00Z", &[], 3, Status::UsedUp)]
#[case::expired_before_used_up("2026-06-10T00:00:00Z", &[], 3, Status::Expired)]
#[case::suspended("2026-06-10T00:00:00Z", &[Reason::Suspended], 0, Status::Suspended)]
#[case::revoked("2026-04-01T00:00:00Z", &[Reason::Suspended, Reason::Revoked], 0, Status::Revoked)]
#[case::lockdown_is_no_status("2026-05-10T00:00:00Z", &[Reason::Lockdown], 0, Status::Active)]
fn statuses(
    #[case] instant: &str,
    #[case] against: &[Reason],
    #[case] spent: u32,
    #[case] expected: Status,
) {
    let offsets = berlin();
    let calendar = Calendar {
        offsets: &offsets,
        holidays: Holidays::NONE,
    };
    let rules = rules(json!({
        "range": {"from": "2026-05-01", "until": "2026-05-31"}, "max_uses": 3,
        "windows": [{"days": ["mon"], "from": "08:00", "to": "09:00"}],
    }));
    let against = against.iter().copied().collect();
    assert_eq!(
        status(&rules, &calendar, at(instant), against, spent),
        expected
    );
}

// Forms

/// Stored and sent for ever: neither may change.
#[test]
fn codes_and_names_of_reasons_are_frozen() {
    let frozen = [
        (1, "code_too_old"),
        (2, "code_used_before"),
        (3, "clock_unsure"),
        (4, "not_yet_at_this_door"),
        (5, "wrong_code"),
        (6, "grant_too_old"),
        (16, "unknown"),
        (17, "wrong_door"),
        (18, "revoked"),
        (19, "key_changed"),
        (20, "suspended"),
        (21, "lockdown"),
        (22, "expired"),
        (23, "used_up"),
        (24, "no_uses_held_here"),
        (25, "too_early"),
        (26, "holiday"),
        (27, "wrong_day"),
        (28, "outside_hours"),
        (40, "door_offline"),
    ];
    let ours: Vec<_> = Reason::ALL
        .iter()
        .map(|reason| (reason.code(), reason.name()))
        .collect();
    assert_eq!(ours, frozen);
    assert!(ours.is_sorted(), "the order is the precedence");
    for (code, name) in frozen {
        let reason = Reason::from_code(code).expect("a reason");
        assert_eq!(serde_json::to_value(reason).expect("json"), name);
        assert!(code < 64, "a set of reasons has 64 bits");
        assert_eq!(Reasons::from(reason).first(), Some(reason));
    }
    assert_eq!(Reason::from_code(0), None);
    assert_eq!(Reasons::NONE.first(), None);
}

#[test]
fn decisions_in_json() {
    let until = Decision::Allowed {
        until: Some(at("2026-06-01T10:00:00Z")),
    };
    let written = json!({"answer": "allowed", "until": "2026-06-01T10:00:00Z"});
    assert_eq!(serde_json::to_value(until).expect("json"), written);
    let denied = Decision::Denied {
        reason: Reason::Revoked,
        next: None,
    };
    let written = json!({"answer": "denied", "reason": "revoked"});
    assert_eq!(serde_json::to_value(denied).expect("json"), written);
    assert_eq!(
        serde_json::from_value::<Decision>(written).expect("a decision"),
        denied
    );
}

#[rstest]
#[case::not_known(json!({"only_if_it_rains": true}), "only_if_it_rains")]
#[case::no_such_date(json!({"range": {"from": "2026-02-30"}}), "`2026-02-30` is not a date")]
#[case::short(json!({"range": {"from": "2026-2-3"}}), "`2026-2-3` is not a date")]
#[case::blank(json!({"range": {"from": " 2026-02-03"}}), "is not a date")]
#[case::seconds(json!({"range": {"from": "2026-02-03T10:00:00"}}), "`10:00:00` is not a time")]
#[case::zone(json!({"range": {"from": "2026-02-03T10:00Z"}}), "`10:00Z` is not a time")]
#[case::too_long_ago(json!({"range": {"from": "1969-12-31"}}), "between 1970 and 2105")]
#[case::too_far(json!({"range": {"until": "2106-01-01"}}), "between 1970 and 2105")]
#[case::starts_at_24(json!({"range": {"from": "2026-02-03T24:00"}}), "24:00 can only be an end")]
fn rules_that_cannot_be_read(#[case] json: serde_json::Value, #[case] why: &str) {
    let refusal = refusal(json);
    assert!(refusal.contains(why), "{refusal}");
}

#[test]
fn the_last_day_of_our_years_can_be_included() {
    let last = rules(json!({"range": {"from": "1970-01-01", "until": "2105-12-31"}}));
    let written = json!({"range": {"from": "1970-01-01", "until": "2105-12-31"}});
    assert_eq!(serde_json::to_value(&last).expect("json"), written);
    assert_eq!(last.range().until(), Some(LocalMoment::MAX));
}

#[test]
fn offsets_survive_json_and_cbor() {
    let offsets = berlin();
    let json = serde_json::to_string(&offsets).expect("json");
    assert_eq!(
        serde_json::from_str::<Offsets>(&json).expect("offsets"),
        offsets
    );
    let mut cbor = Vec::new();
    ciborium::into_writer(&offsets, &mut cbor).expect("cbor");
    assert_eq!(
        ciborium::from_reader::<Offsets, _>(&cbor[..]).expect("offsets"),
        offsets
    );
    assert!(offsets.covers(at("2026-06-01T10:00:00Z")));
    assert!(!offsets.covers(at("2040-01-01T00:00:00Z")));
    assert_eq!(offsets.offset_at(at("2026-06-01T10:00:00Z")), 7_200);
    assert_eq!(
        offsets.local(at("2026-06-01T10:00:00Z")).to_string(),
        "2026-06-01 12:00:00"
    );
}

#[test]
fn what_is_no_expansion_of_a_zone_is_refused() {
    let change = |text, offset| OffsetChange {
        at: at(text),
        offset,
    };
    let span = Span {
        from: at("2026-01-01T00:00:00Z"),
        until: at("2036-01-01T00:00:00Z"),
    };
    let make = |changes: &[OffsetChange]| {
        Offsets::new(
            "Europe/Berlin",
            "2026a",
            span,
            3_600,
            changes.iter().copied(),
        )
    };
    let (spring, autumn) = ("2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z");
    assert!(make(&[change(spring, 7_200), change(autumn, 3_600)]).is_ok());
    let turned = make(&[change(autumn, 3_600), change(spring, 7_200)]);
    assert_eq!(turned, Err(OffsetsError::OutOfOrder));
    let twice = make(&[change(spring, 7_200), change(spring, 3_600)]);
    assert_eq!(twice, Err(OffsetsError::OutOfOrder));
    assert_eq!(
        make(&[change(spring, 86_400)]),
        Err(OffsetsError::TooFar(86_400))
    );
    let empty = Span {
        from: span.from,
        until: span.from,
    };
    let made = Offsets::new("UTC", "2026a", empty, 0, []);
    assert_eq!(made, Err(OffsetsError::EmptySpan));
    assert_eq!(
        Offsets::new("", "2026a", span, 0, []),
        Err(OffsetsError::BadName)
    );
}

#[test]
fn holidays_are_a_set_of_dates() {
    let days = holidays(&["2026-12-26", "2026-12-25", "2026-12-26"]);
    let sorted = json!(["2026-12-25", "2026-12-26"]);
    assert_eq!(serde_json::to_value(&days).expect("json"), sorted);
    let mut cbor = Vec::new();
    ciborium::into_writer(&days, &mut cbor).expect("cbor");
    assert_eq!(
        ciborium::from_reader::<Holidays, _>(&cbor[..]).expect("holidays"),
        days
    );
    assert!(serde_json::from_value::<Holidays>(json!(["Christmas"])).is_err());
}

// Questions from outside

#[rstest]
#[case::yes(
    json!({"id": 1, "zone": "Europe/Berlin", "from": "2026-06-01T08:00", "until": null, "windows": [
        {"days": [1, 5], "from": "09:00", "to": "11:00"}], "closed_on_holidays": true,
        "holidays": ["2026-06-05"], "max_uses": 2, "used": 1, "at": "2026-06-01T07:00:00Z"}),
    json!({"id": 1, "verdict": "yes", "changes_at": "2026-06-01T09:00:00Z"}),
)]
#[case::no_change(
    json!({"id": "b", "zone": "Europe/Berlin", "at": "2026-06-01T07:00:00Z"}),
    json!({"id": "b", "verdict": "yes", "changes_at": null}),
)]
#[case::used_up(
    json!({"id": null, "zone": "Europe/Berlin", "max_uses": 2, "used": 2, "at": "2026-06-01T07:00:00Z"}),
    json!({"id": null, "verdict": "used_up", "changes_at": null}),
)]
#[case::refused(
    json!({"id": "d", "zone": "Europe/Berlin", "max_uses": 0, "at": "2026-06-01T07:00:00Z"}),
    json!({"id": "d", "error": "the number of uses starts at 1"}),
)]
#[case::window(
    json!({"id": 5, "zone": "Europe/Berlin", "at": "2026-06-01T07:00:00Z",
        "windows": [{"days": [], "from": "09:00", "to": "11:00"}]}),
    json!({"id": 5, "error": "a window needs at least one weekday"}),
)]
fn a_line_is_asked_and_answered(
    #[case] line: serde_json::Value,
    #[case] expected: serde_json::Value,
) {
    let answer = match Question::parse(&line.to_string()) {
        Ok(question) => {
            assert_eq!(question.zone(), "Europe/Berlin");
            serde_json::to_value(question.answer(&berlin()))
        }
        Err(refusal) => serde_json::to_value(refusal),
    };
    assert_eq!(answer.expect("json"), expected);
}

#[test]
fn a_line_that_is_no_question_is_refused_without_an_id() {
    let refusal = Question::parse("not JSON").expect_err("refused");
    assert_eq!(refusal.id, serde_json::Value::Null);
}
