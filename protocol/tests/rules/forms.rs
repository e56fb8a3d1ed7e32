//! What is stored and sent, and what cannot be read.

use latchkey_protocol::rules::{
    Decision, Holidays, LocalMoment, OffsetChange, Offsets, OffsetsError, Reason, Reasons, Span,
};
use rstest::rstest;
use serde_json::json;

use crate::{at, berlin, holidays, refusal, rules};

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
