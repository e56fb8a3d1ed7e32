//! Whether an element allows an action at a moment.

use super::access::{AccessData, AccessRule, Capabilities};
use super::policy::NO_RULES_GRANT_ALL;
use super::schedule::Now;

/// What an element says to an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A rule applies.
    Allowed,
    /// No rule has the capability.
    NoSuchCapability,
    /// No rule with the capability has an allow schedule that is active now.
    OutsideSchedules,
    /// A rule would apply but for a deny schedule that is active now.
    DeniedBySchedule,
    /// A rule with the capability depends on the time, and there is no clock.
    NeedsClock,
}

/// Decides by rules and schedules alone.
///
/// Rules are alternatives. One applies when it has the capability, one of its
/// allow schedules is active (or it has none), and none of its deny schedules
/// is. Without a clock, or in a reader that does not support schedules, `now`
/// is `None` and a rule with any schedule does not apply.
///
/// Reader rules and extensions are the caller's to satisfy, beforehand.
#[must_use]
pub fn evaluate(data: &AccessData, action: Capabilities, now: Option<Now>) -> Verdict {
    // Nobody can say what an unassigned bit would do.
    if action.0 == 0 || !Capabilities::ALL.contains(action) {
        return Verdict::NoSuchCapability;
    }
    if data.rules.is_empty() && NO_RULES_GRANT_ALL {
        return Verdict::Allowed;
    }
    data.rules
        .iter()
        .filter(|rule| rule.capabilities.contains(action))
        .map(|rule| applies(rule, data, now))
        .max_by_key(|verdict| closeness(*verdict))
        .unwrap_or(Verdict::NoSuchCapability)
}

fn applies(rule: &AccessRule, data: &AccessData, now: Option<Now>) -> Verdict {
    if rule.allow == 0 && rule.deny == 0 {
        return Verdict::Allowed;
    }
    let Some(now) = now else {
        return Verdict::NeedsClock;
    };
    let any_active = |mask: u8| {
        data.schedules
            .iter()
            .enumerate()
            .any(|(index, schedule)| mask >> index & 1 == 1 && schedule.is_active(now))
    };
    if any_active(rule.deny) {
        Verdict::DeniedBySchedule
    } else if rule.allow == 0 || any_active(rule.allow) {
        Verdict::Allowed
    } else {
        Verdict::OutsideSchedules
    }
}

/// Of several rules the one that comes closest to granting is told.
fn closeness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::NoSuchCapability => 0,
        Verdict::OutsideSchedules => 1,
        Verdict::DeniedBySchedule => 2,
        Verdict::NeedsClock => 3,
        Verdict::Allowed => 4,
    }
}
