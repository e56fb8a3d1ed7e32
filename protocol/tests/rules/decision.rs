//! Uses, the order of reasons, the next moment, and the status.

use latchkey_protocol::rules::{
    Calendar, Facts, Holidays, Reason, Reasons, Status, Uses, changes_at, decide, status,
};
use rstest::rstest;
use serde_json::json;

use crate::{ask, at, berlin, berlin_says, common, holidays, refusal, rules};

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
        let decision = decide(&crate::rules(rules), &calendar, &facts);
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
