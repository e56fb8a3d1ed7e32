//! What a key allows, as its author wrote it: wall-clock rules in the property's time zone.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::local::{MINUTES_A_DAY, Range};
use super::window::{Weekdays, WeeklyWindow};

/// The most windows that a key may have. A guest's long code and a grant hold fewer, and refuse
/// by themselves.
pub const MAX_WINDOWS: usize = 64;

/// Why access rules are refused when they are written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// Neither a date nor a date with a time.
    #[error("`{0}` is not a date (2026-05-01) or a local time (2026-05-01T15:00)")]
    BadMoment(String),
    /// Not a time of day.
    #[error("`{0}` is not a time of day between 00:00 and 24:00")]
    BadTime(String),
    /// A date before 1970 or after 2105.
    #[error("the year must lie between 1970 and 2105")]
    YearOutOfReach,
    /// The wall clock would read the end before, or at, the start.
    #[error("the end must come after the start")]
    EndNotAfterStart,
    /// Something starts at 24:00, which is the next day's 00:00.
    #[error("24:00 can only be an end")]
    StartsAtDaysEnd,
    /// A window that never starts.
    #[error("a window needs at least one weekday")]
    NoWeekday,
    /// Not a weekday.
    #[error("`{0}` is not a weekday: mon to sun, or 1 to 7")]
    UnknownWeekday(String),
    /// More windows than [`MAX_WINDOWS`].
    #[error("a key holds at most {MAX_WINDOWS} windows")]
    TooManyWindows,
    /// A limit of no uses at all.
    #[error("the number of uses starts at 1")]
    NoUses,
}

/// What a key allows. The default limits nothing.
///
/// Equal rules are equal values: windows are a set, those with the same hours are one with all
/// their weekdays, and they are kept in the order of their hours. That changes no answer.
///
/// In JSON every part may be missing; what is not known is refused, for a limit that somebody
/// wrote must not be dropped:
///
/// ```json
/// {
///   "range": {"from": "2026-05-01T15:00", "until": "2026-05-03"},
///   "windows": [{"days": ["tue", "fri"], "from": "09:00", "to": "11:00"}],
///   "closed_on_holidays": true,
///   "max_uses": 30
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RulesText", into = "RulesText")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccessRules {
    range: Range,
    windows: Vec<WeeklyWindow>,
    closed_on_holidays: bool,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>, minimum = 1))]
    max_uses: Option<NonZeroU32>,
    /// Whether no minute of the week is outside all windows (so for none at all, too).
    #[cfg_attr(feature = "openapi", schema(ignore))]
    gapless: Gapless,
}

/// Follows from the windows, so it says nothing of its own when rules are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Gapless(bool);

impl Default for Gapless {
    fn default() -> Self {
        Self(true)
    }
}

impl AccessRules {
    /// # Errors
    /// [`RulesError::TooManyWindows`]; all else was refused when the parts were made.
    pub fn new(
        range: Range,
        windows: impl IntoIterator<Item = WeeklyWindow>,
        closed_on_holidays: bool,
        max_uses: Option<NonZeroU32>,
    ) -> Result<Self, RulesError> {
        let windows = as_set(windows)?;
        Ok(Self {
            range,
            gapless: Gapless(cover_the_week(&windows)),
            windows,
            closed_on_holidays,
            max_uses,
        })
    }

    /// From when until when.
    #[must_use]
    pub const fn range(&self) -> &Range {
        &self.range
    }

    /// The weekly windows; none means always.
    #[must_use]
    pub fn windows(&self) -> &[WeeklyWindow] {
        &self.windows
    }

    /// Whether the property's holidays close it.
    #[must_use]
    pub const fn closed_on_holidays(&self) -> bool {
        self.closed_on_holidays
    }

    /// How many uses, counted over all doors and devices; none means any number.
    #[must_use]
    pub const fn max_uses(&self) -> Option<NonZeroU32> {
        self.max_uses
    }

    /// Whether a door has to know the time to decide: it has a range, windows or the holiday rule.
    #[must_use]
    pub fn need_time(&self) -> bool {
        !self.range.is_unlimited() || !self.windows.is_empty() || self.closed_on_holidays
    }

    /// The windows to ask at an instant: one of all day, every day where there is none.
    pub(super) fn asked_windows(&self) -> &[WeeklyWindow] {
        if self.windows.is_empty() {
            const { &[WeeklyWindow::ALWAYS] }
        } else {
            &self.windows
        }
    }

    pub(super) const fn gapless(&self) -> bool {
        self.gapless.0
    }
}

fn as_set(
    windows: impl IntoIterator<Item = WeeklyWindow>,
) -> Result<Vec<WeeklyWindow>, RulesError> {
    let mut set: Vec<WeeklyWindow> = Vec::new();
    for window in windows {
        let hours = (window.from(), window.to());
        match set.binary_search_by_key(&hours, |known| (known.from(), known.to())) {
            Ok(at) => set[at] = window.on(window.days().or(set[at].days())),
            Err(_) if set.len() == MAX_WINDOWS => return Err(RulesError::TooManyWindows),
            Err(at) => set.insert(at, window),
        }
    }
    Ok(set)
}

fn cover_the_week(windows: &[WeeklyWindow]) -> bool {
    const WEEK: u32 = 7 * MINUTES_A_DAY as u32;
    if windows.is_empty() {
        return true;
    }
    let sum: u32 = windows
        .iter()
        .map(|window| u32::from(window.minutes()) * window.days().len())
        .sum();
    if sum < WEEK {
        return false;
    }
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for window in windows {
        for day in window.days().iter() {
            let start =
                day.num_days_from_monday() * u32::from(MINUTES_A_DAY) + u32::from(window.from());
            let end = start + u32::from(window.minutes());
            spans.push((start, end.min(WEEK)));
            if end > WEEK {
                spans.push((0, end - WEEK));
            }
        }
    }
    spans.sort_unstable();
    let covered = spans.iter().fold(0, |covered, &(start, end)| {
        if start <= covered {
            covered.max(end)
        } else {
            covered
        }
    });
    covered >= WEEK
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesText {
    #[serde(default, skip_serializing_if = "Range::is_unlimited")]
    range: Range,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    windows: Vec<WeeklyWindow>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    closed_on_holidays: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_uses: Option<u32>,
}

impl TryFrom<RulesText> for AccessRules {
    type Error = RulesError;

    fn try_from(text: RulesText) -> Result<Self, RulesError> {
        let max_uses = text
            .max_uses
            .map(|uses| NonZeroU32::new(uses).ok_or(RulesError::NoUses))
            .transpose()?;
        Self::new(text.range, text.windows, text.closed_on_holidays, max_uses)
    }
}

impl From<AccessRules> for RulesText {
    fn from(rules: AccessRules) -> Self {
        Self {
            range: rules.range,
            windows: rules.windows,
            closed_on_holidays: rules.closed_on_holidays,
            max_uses: rules.max_uses.map(NonZeroU32::get),
        }
    }
}

/// Weekdays of the union of the windows: lets whole days be skipped.
pub(super) fn starting_days(windows: &[WeeklyWindow]) -> Weekdays {
    windows
        .iter()
        .fold(Weekdays::default(), |days, window| days.or(window.days()))
}
