//! Weekly windows: on which weekdays a door opens, from when to when.

use std::fmt;

use chrono::Weekday;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RulesError;
use super::local::{MINUTES_A_DAY, excerpt, parse_minute};

/// A set of weekdays. In JSON a list of `"mon"` to `"sun"`; ISO numbers, 1 for Monday, are read
/// too.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weekdays(u8);

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAYS: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

impl Weekdays {
    /// Monday to Sunday.
    pub const ALL: Self = Self(0b111_1111);

    /// From bits, 0 for Monday to 6 for Sunday, as in Aliro's weekly recurrence.
    ///
    /// # Errors
    /// [`RulesError::UnknownWeekday`] for bit 7.
    pub fn from_bits(bits: u8) -> Result<Self, RulesError> {
        if bits > Self::ALL.0 {
            return Err(RulesError::UnknownWeekday(format!("{bits:#b}")));
        }
        Ok(Self(bits))
    }

    /// Bits, 0 for Monday to 6 for Sunday.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether `day` is among them.
    #[must_use]
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & bit(day) != 0
    }

    /// The days, Monday first.
    pub fn iter(self) -> impl Iterator<Item = Weekday> {
        DAYS.into_iter().filter(move |day| self.contains(*day))
    }

    /// How many.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the weekday of a day, counted from 1970-01-01 (a Thursday), is among them.
    pub(super) const fn contains_epoch_day(self, day: i64) -> bool {
        (self.0 >> (day + 3).rem_euclid(7)) & 1 != 0
    }
}

impl FromIterator<Weekday> for Weekdays {
    fn from_iter<I: IntoIterator<Item = Weekday>>(days: I) -> Self {
        Self(days.into_iter().fold(0, |bits, day| bits | bit(day)))
    }
}

impl fmt::Debug for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

fn bit(day: Weekday) -> u8 {
    1 << day.num_days_from_monday()
}

impl Serialize for Weekdays {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            self.iter()
                .map(|day| NAMES[day.num_days_from_monday() as usize]),
        )
    }
}

impl<'de> Deserialize<'de> for Weekdays {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Named {
            Number(u8),
            Name(String),
        }
        let mut bits = 0;
        for day in Vec::<Named>::deserialize(deserializer)? {
            let index = match &day {
                Named::Number(number @ 1..=7) => Some(usize::from(number - 1)),
                Named::Number(_) => None,
                Named::Name(name) => NAMES.iter().position(|known| known == name),
            };
            bits |= 1u8
                << index.ok_or_else(|| {
                    serde::de::Error::custom(RulesError::UnknownWeekday(match &day {
                        Named::Number(number) => number.to_string(),
                        Named::Name(name) => excerpt(name),
                    }))
                })?;
        }
        Ok(Self(bits))
    }
}

/// From when to when, on which weekdays; half-open, and belonging to the day on which it starts.
///
/// An end at or before the start is on the next day (the same time: 24 hours). There is one value
/// for each meaning: an end at `00:00` is `24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "WindowText", into = "WindowText")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WeeklyWindow {
    // This order of the fields is the order of windows in a key.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "09:00"))]
    from: u16,
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "11:00"))]
    to: u16,
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, example = json!(["tue", "fri"])))]
    days: Weekdays,
}

impl WeeklyWindow {
    /// All day, every day: what a key without windows has.
    pub(super) const ALWAYS: Self = Self {
        from: 0,
        to: MINUTES_A_DAY,
        days: Weekdays::ALL,
    };

    /// `from` and `to` in minutes after midnight; `to` may be 1440, which is 24:00.
    ///
    /// # Errors
    /// [`RulesError::NoWeekday`], [`RulesError::StartsAtDaysEnd`] for `from` 1440,
    /// [`RulesError::BadTime`] beyond it.
    pub fn new(days: Weekdays, from: u16, to: u16) -> Result<Self, RulesError> {
        if days.is_empty() {
            return Err(RulesError::NoWeekday);
        }
        if from == MINUTES_A_DAY {
            return Err(RulesError::StartsAtDaysEnd);
        }
        if from > MINUTES_A_DAY || to > MINUTES_A_DAY {
            return Err(RulesError::BadTime(format!("minute {}", from.max(to))));
        }
        let to = if to == 0 { MINUTES_A_DAY } else { to };
        Ok(Self { from, to, days })
    }

    /// As people write it: `HH:MM`, the end also `24:00`.
    ///
    /// # Errors
    /// As [`WeeklyWindow::new`].
    pub fn parse(days: Weekdays, from: &str, to: &str) -> Result<Self, RulesError> {
        Self::new(days, parse_minute(from)?, parse_minute(to)?)
    }

    /// The weekdays on which it starts.
    #[must_use]
    pub const fn days(&self) -> Weekdays {
        self.days
    }

    /// Its start in minutes after midnight, 0 to 1439.
    #[must_use]
    pub const fn from(&self) -> u16 {
        self.from
    }

    /// Its end in minutes after midnight, 1 to 1440; at or before the start it is on the next day.
    #[must_use]
    pub const fn to(&self) -> u16 {
        self.to
    }

    /// How many minutes of the wall clock it lasts, 1 to 1440.
    #[must_use]
    pub const fn minutes(&self) -> u16 {
        if self.to > self.from {
            self.to - self.from
        } else {
            self.to + MINUTES_A_DAY - self.from
        }
    }

    pub(super) const fn on(self, days: Weekdays) -> Self {
        Self { days, ..self }
    }

    /// When it starts and ends on the wall, in seconds since 1970, if it starts on that day.
    pub(super) fn on_day(&self, day: i64) -> Option<(i64, i64)> {
        if !self.days.contains_epoch_day(day) {
            return None;
        }
        let start = day * 86_400 + i64::from(self.from) * 60;
        Some((start, start + i64::from(self.minutes()) * 60))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowText {
    days: Weekdays,
    from: String,
    to: String,
}

impl TryFrom<WindowText> for WeeklyWindow {
    type Error = RulesError;

    fn try_from(text: WindowText) -> Result<Self, RulesError> {
        Self::parse(text.days, &text.from, &text.to)
    }
}

impl From<WeeklyWindow> for WindowText {
    fn from(window: WeeklyWindow) -> Self {
        let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        Self {
            days: window.days,
            from: text(window.from),
            to: text(window.to),
        }
    }
}
