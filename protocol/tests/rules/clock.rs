//! A clock that is lost.

use latchkey_protocol::rules::{
    Calendar, Clock, Facts, Holidays, Reason, Reasons, Uses, decide, verdict,
};
use rstest::rstest;
use serde_json::json;

use crate::{berlin, rules};

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
