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
}
