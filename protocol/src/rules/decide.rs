//! The decision: may this credential open this door now, and if not, why.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::access::AccessRules;
use super::calendar::{Calendar, HORIZON, Week};
use super::offsets::instant;
use super::reason::{Reason, Reasons};

/// What whoever decides knows beside rules and calendar.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The time of whoever decides.
    pub clock: Clock,
    /// All that speaks against opening and is no matter of rules: what is wrong with the
    /// credential, an unknown one, another door, withdrawal, suspension, lockdown without the
    /// right to open in it.
    pub against: Reasons,
    /// What has been spent.
    pub uses: Uses,
}

impl Facts {
    /// Nothing against it and nothing spent.
    #[must_use]
    pub fn at(instant: DateTime<Utc>) -> Self {
        Self {
            clock: Clock::Sure(instant),
            against: Reasons::NONE,
            uses: Uses::default(),
        }
    }
}

/// The time, as far as whoever decides knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Now; parts of a second are cut off.
    Sure(DateTime<Utc>),
    /// Lost. Keys that need the time are refused.
    Unsure,
}

/// Uses spent of a key that has a number of them. For other keys it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Spent over all doors, as far as is known here.
    pub spent: u32,
    /// How many this door may still give; `None` where no uses are held, at portal and phone.
    pub held_here: Option<u32>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Decision {
    /// It may open.
    Allowed {
        /// When that ends by the calendar, if within 366 × 24 hours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
        until: Option<DateTime<Utc>>,
    },
    /// It may not.
    Denied {
        /// The first reason that applies.
        reason: Reason,
        /// Beside a calendar reason: when the calendar next says yes, if within 366 × 24 hours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
        next: Option<DateTime<Utc>>,
    },
}

impl Decision {
    /// Whether it may open.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }

    /// The reason why not.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Allowed { .. } => None,
            Self::Denied { reason, .. } => Some(*reason),
        }
    }

    /// The instant at which the calendar changes it.
    #[must_use]
    pub const fn changes_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Allowed { until } => *until,
            Self::Denied { next, .. } => *next,
        }
    }

    /// Of two keys of one credential, the one that serves its holder better: a yes before a no,
    /// the yes that lasts longer, the reason that came closer to a yes, the sooner next moment.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let rank = |decision: &Self| match decision {
            Self::Allowed { until } => (1, 0, until.map_or(i64::MAX, |at| at.timestamp())),
            Self::Denied { reason, next } => (
                0,
                reason.code(),
                next.map_or(i64::MIN, |at| -at.timestamp()),
            ),
        };
        if rank(&other) > rank(&self) {
            other
        } else {
            self
        }
    }
}

/// Decides, and says when the calendar changes the answer.
#[must_use]
pub fn decide(rules: &AccessRules, calendar: &Calendar<'_>, facts: &Facts) -> Decision {
    let verdict = verdict(rules, calendar, facts);
    let change = match facts.clock {
        Clock::Sure(at) => changes_at(rules, calendar, at, verdict),
        Clock::Unsure => None,
    };
    match verdict {
        Ok(()) => Decision::Allowed { until: change },
        Err(reason) => Decision::Denied {
            reason,
            next: change,
        },
    }
}

/// The yes or no alone: no allocation, well under a microsecond.
///
/// # Errors
/// The first [`Reason`] that applies.
pub fn verdict(rules: &AccessRules, calendar: &Calendar<'_>, facts: &Facts) -> Result<(), Reason> {
    let blind = facts.clock == Clock::Unsure && rules.need_time();
    let against = facts.against.with_if(blind, Reason::ClockUnsure);
    refuse(against.first_before(Reason::Expired))?;
    let at = match facts.clock {
        Clock::Sure(at) => Some(at.timestamp()),
        Clock::Unsure => None,
    };
    if at.is_some_and(|at| is_over(rules, calendar, at)) {
        return Err(Reason::Expired);
    }
    check_uses(rules, facts.uses)?;
    if let Some(at) = at {
        if is_ahead(rules, calendar, at) {
            return Err(Reason::TooEarly);
        }
        Week::new(rules, calendar).verdict(at)?;
    }
    // What is left: an unreachable door, or a reason that only we find, handed in all the same.
    refuse(against.first())
}

/// The instant at which the calendar changes `verdict`, given at `at`: beside a yes when it ends,
/// beside a calendar denial when the answer is next yes. None for other denials, and none when it
/// lies more than 366 × 24 hours ahead.
#[must_use]
pub fn changes_at(
    rules: &AccessRules,
    calendar: &Calendar<'_>,
    at: DateTime<Utc>,
    verdict: Result<(), Reason>,
) -> Option<DateTime<Utc>> {
    let at = at.timestamp();
    let last = at.saturating_add(HORIZON);
    let week = Week::new(rules, calendar);
    let end = range_end(rules, calendar);
    match verdict {
        Ok(()) => {
            // Nothing past the end of the range needs to be walked.
            let last = end.map_or(last, |end| end.min(last));
            week.next_closed(at, last)
                .or_else(|| end.filter(|end| *end <= last))
        }
        Err(reason) if reason.is_of_calendar() => {
            let from = range_start(rules, calendar).map_or(at, |start| start.max(at));
            // The end itself no longer belongs to the range.
            let last = end.map_or(last, |end| last.min(end.saturating_sub(1)));
            if from > last {
                return None;
            }
            week.next_open(from, last)
        }
        Err(_) => None,
    }
    .map(instant)
}

/// Where a key stands, by the property's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Status {
    /// Its range has not begun.
    Upcoming,
    /// Its range runs, whatever hours it keeps.
    Active,
    /// Its range is over.
    Expired,
    /// Withdrawn.
    Revoked,
    /// All its uses are spent.
    UsedUp,
    /// Suspended for now.
    Suspended,
}

/// Where a key stands at `at`, of which `spent` uses are gone.
#[must_use]
pub fn status(
    rules: &AccessRules,
    calendar: &Calendar<'_>,
    at: DateTime<Utc>,
    against: Reasons,
    spent: u32,
) -> Status {
    let at = at.timestamp();
    let uses = Uses {
        spent,
        held_here: None,
    };
    if against.contains(Reason::Revoked) {
        Status::Revoked
    } else if against.contains(Reason::Suspended) {
        Status::Suspended
    } else if is_over(rules, calendar, at) {
        Status::Expired
    } else if check_uses(rules, uses).is_err() {
        Status::UsedUp
    } else if is_ahead(rules, calendar, at) {
        Status::Upcoming
    } else {
        Status::Active
    }
}

fn refuse(reason: Option<Reason>) -> Result<(), Reason> {
    reason.map_or(Ok(()), Err)
}

fn check_uses(rules: &AccessRules, uses: Uses) -> Result<(), Reason> {
    match rules.max_uses() {
        None => Ok(()),
        Some(max) if uses.spent >= max.get() => Err(Reason::UsedUp),
        Some(_) if uses.held_here == Some(0) => Err(Reason::NoUsesHeldHere),
        Some(_) => Ok(()),
    }
}

fn is_over(rules: &AccessRules, calendar: &Calendar<'_>, at: i64) -> bool {
    range_end(rules, calendar).is_some_and(|end| end <= at)
}

fn is_ahead(rules: &AccessRules, calendar: &Calendar<'_>, at: i64) -> bool {
    range_start(rules, calendar).is_some_and(|start| at < start)
}

fn range_start(rules: &AccessRules, calendar: &Calendar<'_>) -> Option<i64> {
    let from = rules.range().from()?;
    Some(calendar.offsets.start_seconds(from.seconds()))
}

fn range_end(rules: &AccessRules, calendar: &Calendar<'_>) -> Option<i64> {
    let until = rules.range().until()?;
    Some(calendar.offsets.end_seconds(until.seconds()))
}
