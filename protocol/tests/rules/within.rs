//! Whether rules lie within others, and what of them does.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::rules::{
    AccessRules, Calendar, Facts, Holidays, Offsets, Span, Wider, verdict,
};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use crate::rules as read;

fn rules(json: &str) -> AccessRules {
    serde_json::from_str(json).expect("rules")
}

#[rstest]
#[case::the_same("{}", "{}", &[])]
#[case::an_end_of_none(r#"{"range":{"until":"2026-05-03"}}"#, "{}", &[])]
#[case::no_end(r"{}", r#"{"range":{"until":"2026-05-03"}}"#, &[Wider::End])]
#[case::an_earlier_end(r#"{"range":{"until":"2026-05-03"}}"#, r#"{"range":{"until":"2026-05-04"}}"#, &[])]
#[case::a_later_end(r#"{"range":{"until":"2026-05-04"}}"#, r#"{"range":{"until":"2026-05-03"}}"#, &[Wider::End])]
#[case::a_later_start(r#"{"range":{"from":"2026-05-04"}}"#, r#"{"range":{"from":"2026-05-03"}}"#, &[])]
#[case::an_earlier_start(r#"{"range":{"from":"2026-05-03"}}"#, r#"{"range":{"from":"2026-05-04"}}"#, &[Wider::Start])]
#[case::no_start("{}", r#"{"range":{"from":"2026-05-04"}}"#, &[Wider::Start])]
#[case::all_hours("{}", r#"{"windows":[{"days":["mon"],"from":"09:00","to":"11:00"}]}"#, &[Wider::Hours])]
#[case::some_hours(r#"{"windows":[{"days":["mon"],"from":"09:00","to":"11:00"}]}"#, "{}", &[])]
#[case::within_a_window(
    r#"{"windows":[{"days":["mon"],"from":"09:30","to":"10:00"}]}"#,
    r#"{"windows":[{"days":["mon","tue"],"from":"09:00","to":"11:00"}]}"#,
    &[]
)]
#[case::a_minute_over(
    r#"{"windows":[{"days":["mon"],"from":"09:30","to":"11:01"}]}"#,
    r#"{"windows":[{"days":["mon","tue"],"from":"09:00","to":"11:00"}]}"#,
    &[Wider::Hours]
)]
#[case::a_day_more(
    r#"{"windows":[{"days":["mon","tue"],"from":"09:00","to":"11:00"}]}"#,
    r#"{"windows":[{"days":["mon"],"from":"09:00","to":"11:00"}]}"#,
    &[Wider::Hours]
)]
#[case::in_the_morning_of_a_night(
    r#"{"windows":[{"days":["sat"],"from":"01:00","to":"03:00"}]}"#,
    r#"{"windows":[{"days":["fri"],"from":"22:00","to":"06:00"}]}"#,
    &[]
)]
#[case::in_the_morning_of_a_night_that_heeds_holidays(
    r#"{"windows":[{"days":["sat"],"from":"01:00","to":"03:00"}],"closed_on_holidays":true}"#,
    r#"{"windows":[{"days":["fri"],"from":"22:00","to":"06:00"}],"closed_on_holidays":true}"#,
    &[Wider::Hours]
)]
#[case::over_the_midnight_of_days_that_heed_holidays(
    r#"{"windows":[{"days":["fri"],"from":"22:00","to":"06:00"}],"closed_on_holidays":true}"#,
    r#"{"closed_on_holidays":true}"#,
    &[Wider::Hours]
)]
#[case::all_week_in_pieces("{}", r#"{"windows":[
    {"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","to":"12:00"},
    {"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"12:00","to":"24:00"}]}"#, &[])]
#[case::holidays_too("{}", r#"{"closed_on_holidays":true}"#, &[Wider::Holidays])]
#[case::not_on_holidays(r#"{"closed_on_holidays":true}"#, "{}", &[])]
#[case::more_uses(r#"{"max_uses":3}"#, r#"{"max_uses":2}"#, &[Wider::Uses])]
#[case::any_number_of_uses("{}", r#"{"max_uses":2}"#, &[Wider::Uses])]
#[case::fewer_uses(r#"{"max_uses":2}"#, r#"{"max_uses":3}"#, &[])]
#[case::in_everything(
    "{}",
    r#"{"range":{"from":"2026-05-03","until":"2026-05-04"},"closed_on_holidays":true,"max_uses":1,
        "windows":[{"days":["mon"],"from":"09:00","to":"11:00"}]}"#,
    &[Wider::Start, Wider::End, Wider::Hours, Wider::Holidays, Wider::Uses]
)]
fn what_reaches_beyond(#[case] own: &str, #[case] outer: &str, #[case] wider: &[Wider]) {
    let (own, outer) = (rules(own), rules(outer));
    assert_eq!(own.wider_than(&outer), wider);
    assert_eq!(own.is_within(&outer), wider.is_empty());
}

#[test]
fn what_is_left_of_rules_that_are_cut() {
    let guest = json!({
        "range": { "until": "2026-05-31" },
        "windows": [{ "days": ["mon", "sat"], "from": "09:00", "to": "18:00" }],
        "max_uses": 5,
    });
    let outer = json!({
        "range": { "from": "2026-05-02", "until": "2026-06-30" },
        "windows": [
            { "days": ["fri"], "from": "22:00", "to": "10:00" },
            { "days": ["mon", "tue"], "from": "08:00", "to": "12:00" },
        ],
    });
    let left = json!({
        "range": { "from": "2026-05-02", "until": "2026-05-31" },
        "windows": [
            { "days": ["sat"], "from": "09:00", "to": "10:00" },
            { "days": ["mon"], "from": "09:00", "to": "12:00" },
        ],
        "max_uses": 5,
    });
    assert_eq!(read(guest).cut_to(&read(outer)), Some(read(left)));
}

#[rstest]
#[case::over_before_it_begins(
    r#"{"range":{"from":"2026-05-03"}}"#,
    r#"{"range":{"until":"2026-05-02"}}"#
)]
#[case::other_days(
    r#"{"windows":[{"days":["mon"],"from":"09:00","to":"11:00"}]}"#,
    r#"{"windows":[{"days":["tue"],"from":"09:00","to":"11:00"}]}"#
)]
fn of_some_nothing_is_left(#[case] own: &str, #[case] outer: &str) {
    assert_eq!(rules(own).cut_to(&rules(outer)), None);
}

/// Rules that often differ in little: few hours, few days, ranges around two weeks of 2026.
fn any_rules() -> impl Strategy<Value = AccessRules> {
    let hours = prop::sample::select(vec!["00:00", "06:00", "09:00", "17:00", "22:00"]);
    let days = prop::sample::subsequence(vec!["mon", "tue", "sat", "sun"], 1..=3);
    let window = (days, hours.clone(), hours)
        .prop_map(|(days, from, to)| json!({ "days": days, "from": from, "to": to }));
    let from = prop::option::of(prop::sample::select(vec!["2026-03-02", "2026-03-04"]));
    let until = prop::option::of(prop::sample::select(vec!["2026-03-08T12:00", "2026-03-10"]));
    let windows = prop::collection::vec(window, 0..3);
    (from, until, windows, any::<bool>()).prop_map(|(from, until, windows, closed)| {
        let mut range = serde_json::Map::new();
        range.extend(from.map(|from| ("from".to_owned(), from.into())));
        range.extend(until.map(|until| ("until".to_owned(), until.into())));
        read(json!({ "range": range, "windows": windows, "closed_on_holidays": closed }))
    })
}

/// Whether the rules open, at each half hour of the two weeks, two of whose days are holidays.
fn opens(rules: &AccessRules) -> Vec<bool> {
    let start: DateTime<Utc> = "2026-02-28T00:00:00Z".parse().expect("an instant");
    let span = Span {
        from: start,
        until: start + TimeDelta::days(30),
    };
    let offsets = Offsets::new("UTC", "2026a", span, 0, []).expect("an expansion");
    let holidays = ["2026-03-03", "2026-03-07"].map(|day| day.parse().expect("a day"));
    let holidays = Holidays::new(holidays).expect("holidays");
    let calendar = Calendar {
        offsets: &offsets,
        holidays: &holidays,
    };
    (0..(14 * 48))
        .map(|half_hours| {
            let at = Facts::at(start + TimeDelta::minutes(30 * half_hours));
            verdict(rules, &calendar, &at).is_ok()
        })
        .collect()
}

proptest! {
    // One pair in ten lies within, or keeps to its days.
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]
    #[test]
    fn what_is_within_never_opens_alone(own in any_rules(), outer in any_rules()) {
        prop_assume!(own.is_within(&outer));
        for (own, outer) in opens(&own).into_iter().zip(opens(&outer)) {
            prop_assert!(!own || outer);
        }
    }

    /// Where holidays and nights play no part, nothing is lost by cutting.
    #[test]
    fn nothing_that_both_open_is_lost_within_a_day(own in any_rules(), outer in any_rules()) {
        let within_days = |rules: &AccessRules| {
            let windows = rules.windows();
            !rules.closed_on_holidays() && windows.iter().all(|window| window.from() < window.to())
        };
        prop_assume!(within_days(&own) && within_days(&outer));
        let left = own.cut_to(&outer).map_or_else(|| vec![false; 14 * 48], |left| opens(&left));
        let both = opens(&own).into_iter().zip(opens(&outer));
        for (left, (own, outer)) in left.into_iter().zip(both) {
            prop_assert_eq!(left, own && outer);
        }
    }
}

proptest! {
    #[test]
    fn what_is_left_is_within_both(own in any_rules(), outer in any_rules()) {
        let Some(left) = own.cut_to(&outer) else {
            return Ok(());
        };
        prop_assert!(left.is_within(&outer), "{:?}", left.wider_than(&outer));
        let both = opens(&own).into_iter().zip(opens(&outer));
        for (left, (own, outer)) in opens(&left).into_iter().zip(both) {
            prop_assert!(!left || (own && outer));
        }
    }
}
