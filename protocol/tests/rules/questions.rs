//! Questions from outside.

use latchkey_protocol::rules::ask::Question;
use rstest::rstest;
use serde_json::json;

use crate::berlin;

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
