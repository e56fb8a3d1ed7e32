//! Whether an edit takes anything away. What only adds revokes nothing.

use latchkey_protocol::rules::AccessRules;

/// Whether there may be an instant at which `before` opened and `after` does not. Where that is not plain to see, the
/// answer is yes: it costs a sync, not a right.
pub(crate) fn takes_away(before: &AccessRules, after: &AccessRules) -> bool {
    let (old, new) = (before.range(), after.range());
    let starts_later = match (old.from(), new.from()) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => new > old,
    };
    let ends_earlier = match (old.until(), new.until()) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => new < old,
    };
    let loses_holidays = after.closed_on_holidays() && !before.closed_on_holidays();
    let loses_uses = match (before.max_uses(), after.max_uses()) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => new < old,
    };
    starts_later || ends_earlier || loses_holidays || loses_uses || loses_hours(before, after)
}

fn loses_hours(before: &AccessRules, after: &AccessRules) -> bool {
    if after.windows().is_empty() {
        // A key closed on holidays says so by the day on which its window began: without windows, by the calendar day.
        return after.closed_on_holidays() && !before.windows().is_empty();
    }
    before.windows().is_empty()
        || before.windows().iter().any(|old| {
            !after.windows().iter().any(|new| {
                new.from() == old.from()
                    && new.to() == old.to()
                    && old.days().iter().all(|day| new.days().contains(day))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> AccessRules {
        serde_json::from_str(json).unwrap()
    }

    #[rstest::rstest]
    #[case::nothing_changed("{}", "{}", false)]
    #[case::an_end_came(r"{}", r#"{"range":{"until":"2026-05-03"}}"#, true)]
    #[case::an_end_went(r#"{"range":{"until":"2026-05-03"}}"#, "{}", false)]
    #[case::a_later_end(
        r#"{"range":{"until":"2026-05-03"}}"#,
        r#"{"range":{"until":"2026-05-04"}}"#,
        false
    )]
    #[case::an_earlier_end(
        r#"{"range":{"until":"2026-05-04"}}"#,
        r#"{"range":{"until":"2026-05-03"}}"#,
        true
    )]
    #[case::a_later_start(
        r#"{"range":{"from":"2026-05-03"}}"#,
        r#"{"range":{"from":"2026-05-04"}}"#,
        true
    )]
    #[case::hours_came(
        "{}",
        r#"{"windows":[{"days":["mon"],"from":"09:00","to":"11:00"}]}"#,
        true
    )]
    #[case::a_day_more(
        r#"{"windows":[{"days":["mon"],"from":"09:00","to":"11:00"}]}"#,
        r#"{"windows":[{"days":["mon","tue"],"from":"09:00","to":"11:00"}]}"#,
        false
    )]
    #[case::a_day_less(
        r#"{"windows":[{"days":["mon","tue"],"from":"09:00","to":"11:00"}]}"#,
        r#"{"windows":[{"days":["mon"],"from":"09:00","to":"11:00"}]}"#,
        true
    )]
    #[case::holidays_came("{}", r#"{"closed_on_holidays":true}"#, true)]
    #[case::holidays_went(r#"{"closed_on_holidays":true}"#, "{}", false)]
    fn an_edit_takes_away_or_only_adds(
        #[case] before: &str,
        #[case] after: &str,
        #[case] takes: bool,
    ) {
        assert_eq!(takes_away(&rules(before), &rules(after)), takes);
    }

    mod sound {
        use chrono::{DateTime, TimeDelta, Utc};
        use latchkey_protocol::rules::{Calendar, Facts, Holidays, Offsets, Span, verdict};
        use proptest::prelude::*;

        use super::*;

        /// Rules that often differ in little: few hours, few days, ranges around two weeks of 2026.
        fn rules() -> impl Strategy<Value = AccessRules> {
            let hours = prop::sample::select(vec!["00:00", "06:00", "09:00", "17:00", "22:00"]);
            let days = prop::sample::subsequence(vec!["mon", "tue", "sat", "sun"], 1..=3);
            let window = (days, hours.clone(), hours).prop_map(
                |(days, from, to)| serde_json::json!({ "days": days, "from": from, "to": to }),
            );
            let from = prop::option::of(prop::sample::select(vec!["2026-03-02", "2026-03-04"]));
            let until =
                prop::option::of(prop::sample::select(vec!["2026-03-08T12:00", "2026-03-10"]));
            let windows = prop::collection::vec(window, 0..3);
            (from, until, windows, any::<bool>()).prop_map(|(from, until, windows, closed)| {
                let mut range = serde_json::Map::new();
                range.extend(from.map(|from| ("from".to_owned(), from.into())));
                range.extend(until.map(|until| ("until".to_owned(), until.into())));
                serde_json::from_value(serde_json::json!({
                    "range": range, "windows": windows, "closed_on_holidays": closed,
                }))
                .unwrap()
            })
        }

        proptest! {
            // One pair in fifteen only adds.
            #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]
            #[test]
            fn what_is_said_to_add_only_never_closes_an_hour(before in rules(), after in rules()) {
                prop_assume!(!takes_away(&before, &after));
                let start: DateTime<Utc> = "2026-02-28T00:00:00Z".parse().unwrap();
                let span = Span { from: start, until: start + TimeDelta::days(30) };
                let offsets = Offsets::new("UTC", "2026a", span, 0, []).unwrap();
                let holidays = ["2026-03-03", "2026-03-07"].map(|day| day.parse().unwrap());
                let holidays = Holidays::new(holidays).unwrap();
                let calendar = Calendar { offsets: &offsets, holidays: &holidays };
                for half_hours in 0..(14 * 48) {
                    let at = Facts::at(start + TimeDelta::minutes(30 * half_hours));
                    if verdict(&before, &calendar, &at).is_ok() {
                        prop_assert_eq!(verdict(&after, &calendar, &at), Ok(()), "{:?}", at);
                    }
                }
            }
        }
    }
}
