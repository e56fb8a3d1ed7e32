//! The decision asked from outside: one question and one answer a line of JSON.
//!
//! Made for checking: whoever doubts the rules puts questions and compares with a calendar of
//! their own. Nothing but calendar and uses is asked, so no question needs a property.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::access::{AccessRules, RulesError};
use super::calendar::Calendar;
use super::decide::{Facts, Uses, decide};
use super::holidays::Holidays;
use super::local::{LocalMoment, Range};
use super::offsets::Offsets;
use super::window::WeeklyWindow;

/// A key, a property's calendar and an instant.
#[derive(Clone, Debug)]
pub struct Question {
    id: Value,
    zone: String,
    rules: AccessRules,
    holidays: Holidays,
    used: u32,
    at: DateTime<Utc>,
}

/// What the rules answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The question's.
    pub id: Value,
    /// `yes`, or the name of the reason why not.
    pub verdict: &'static str,
    /// When the calendar changes that, if within 366 × 24 hours.
    pub changes_at: Option<DateTime<Utc>>,
}

/// A question that the rules refuse.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refusal {
    /// The question's, or null when it could not even be read.
    pub id: Value,
    /// Why.
    pub error: String,
}

/// The line as it is written. All but `zone` and `at` may be missing or null.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: Value,
    zone: String,
    from: Option<String>,
    until: Option<String>,
    windows: Option<Vec<WeeklyWindow>>,
    closed_on_holidays: Option<bool>,
    holidays: Option<Holidays>,
    max_uses: Option<u32>,
    used: Option<u32>,
    at: DateTime<Utc>,
}

impl Question {
    /// Reads a line.
    ///
    /// # Errors
    /// [`Refusal`] for what is no question, and for rules that could not be written either.
    pub fn parse(line: &str) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_str(line).map_err(|error| Refusal {
            id: Value::Null,
            error: error.to_string(),
        })?;
        let id = value.get("id").cloned().unwrap_or_default();
        serde_json::from_value(value)
            .map_err(|error| error.to_string())
            .and_then(|line| Self::of(line).map_err(|error| error.to_string()))
            .map_err(|error| Refusal { id, error })
    }

    fn of(line: Line) -> Result<Self, RulesError> {
        let from = line.from.as_deref().map(LocalMoment::parse_start);
        let until = line.until.as_deref().map(LocalMoment::parse_end);
        let max_uses = line
            .max_uses
            .map(|uses| NonZeroU32::new(uses).ok_or(RulesError::NoUses));
        Ok(Self {
            id: line.id,
            zone: line.zone,
            rules: AccessRules::new(
                Range::new(from.transpose()?, until.transpose()?)?,
                line.windows.unwrap_or_default(),
                line.closed_on_holidays.unwrap_or_default(),
                max_uses.transpose()?,
            )?,
            holidays: line.holidays.unwrap_or_default(),
            used: line.used.unwrap_or_default(),
            at: line.at,
        })
    }

    /// The name of the zone to expand.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The instant asked about; the zone is to be expanded around it.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// What the rules say, in the zone expanded as `offsets`.
    #[must_use]
    pub fn answer(&self, offsets: &Offsets) -> Answer {
        let calendar = Calendar {
            offsets,
            holidays: &self.holidays,
        };
        let facts = Facts {
            uses: Uses {
                spent: self.used,
                held_here: None,
            },
            ..Facts::at(self.at)
        };
        let decision = decide(&self.rules, &calendar, &facts);
        Answer {
            id: self.id.clone(),
            verdict: decision.reason().map_or("yes", |reason| reason.name()),
            changes_at: decision.changes_at(),
        }
    }

    /// The same question refused, for a zone that nobody knows.
    #[must_use]
    pub fn refuse(&self, why: impl std::fmt::Display) -> Refusal {
        Refusal {
            id: self.id.clone(),
            error: why.to_string(),
        }
    }
}
