//! Readings of the property's wall clock, and the range of dates made of two of them.

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

use super::RulesError;

pub(super) const MINUTES_A_DAY: u16 = 24 * 60;

/// A reading of the property's wall clock, to the minute. It names no instant by itself: that
/// takes the zone's [`Offsets`](super::Offsets).
///
/// Years 1970 to 2105. There is one value for each reading: `24:00` is `00:00` of the next day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalMoment(u32);

impl LocalMoment {
    /// 1970-01-01T00:00.
    pub const MIN: Self = Self(0);
    /// 2105-12-31T24:00, the last one that Aliro's 32-bit seconds can say as a whole day.
    pub const MAX: Self = Self(49_673 * MINUTES_A_DAY as u32);

    /// The first moment of `date`.
    ///
    /// # Errors
    /// [`RulesError::YearOutOfReach`] outside 1970 to 2105.
    pub fn start_of(date: NaiveDate) -> Result<Self, RulesError> {
        Self::at(date, 0)
    }

    /// The end of `date`, which is the first moment of the day after it.
    ///
    /// # Errors
    /// [`RulesError::YearOutOfReach`] outside 1970 to 2105.
    pub fn end_of(date: NaiveDate) -> Result<Self, RulesError> {
        Self::at(date, MINUTES_A_DAY)
    }

    /// `minute` minutes of the clock after the first moment of `date`; 0 to 1440.
    ///
    /// # Errors
    /// [`RulesError::YearOutOfReach`] outside 1970 to 2105, [`RulesError::BadTime`] for a minute
    /// beyond 1440.
    pub fn at(date: NaiveDate, minute: u16) -> Result<Self, RulesError> {
        if minute > MINUTES_A_DAY {
            return Err(RulesError::BadTime(format!("minute {minute}")));
        }
        let days = i64::from(date.to_epoch_days());
        u32::try_from(days * i64::from(MINUTES_A_DAY) + i64::from(minute))
            .map_err(|_| RulesError::YearOutOfReach)
            .and_then(Self::from_minutes)
    }

    /// From minutes since 1970-01-01T00:00 on the same wall clock.
    ///
    /// # Errors
    /// [`RulesError::YearOutOfReach`] after 2105.
    pub fn from_minutes(minutes: u32) -> Result<Self, RulesError> {
        if minutes > Self::MAX.0 {
            return Err(RulesError::YearOutOfReach);
        }
        Ok(Self(minutes))
    }

    /// Reads a start: `YYYY-MM-DDTHH:MM`, or a date alone, which begins with its first moment.
    ///
    /// # Errors
    /// [`RulesError::BadMoment`], [`RulesError::BadTime`] or [`RulesError::YearOutOfReach`].
    pub fn parse_start(text: &str) -> Result<Self, RulesError> {
        match split(text)? {
            (date, None) => Self::start_of(date),
            (_, Some("24:00")) => Err(RulesError::StartsAtDaysEnd),
            (date, Some(time)) => Self::at(date, parse_minute(time)?),
        }
    }

    /// Reads an end: `YYYY-MM-DDTHH:MM` (`24:00` too), or a date alone, which is included whole.
    ///
    /// # Errors
    /// [`RulesError::BadMoment`], [`RulesError::BadTime`] or [`RulesError::YearOutOfReach`].
    pub fn parse_end(text: &str) -> Result<Self, RulesError> {
        match split(text)? {
            (date, None) => Self::end_of(date),
            (date, Some(time)) => Self::at(date, parse_minute(time)?),
        }
    }

    /// Minutes since 1970-01-01T00:00 on the same wall clock.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        self.0
    }

    /// Seconds since 1970-01-01T00:00 on the same wall clock: Aliro's "local time".
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0 as i64 * 60
    }

    /// As chrono's date and time without a zone.
    #[must_use]
    pub fn naive(self) -> NaiveDateTime {
        DateTime::from_timestamp(self.seconds(), 0)
            .unwrap_or_default()
            .naive_utc()
    }

    /// A start as people write it: the date alone when the day counts from its first moment.
    #[must_use]
    pub fn start_text(self) -> String {
        if self.is_midnight() {
            self.naive().date().to_string()
        } else {
            self.to_string()
        }
    }

    /// An end as people write it: the last date alone when that day is included whole.
    #[must_use]
    pub fn end_text(self) -> String {
        match self.naive().date().pred_opt() {
            // The very first day has no day before it in our years.
            Some(last) if self.is_midnight() && self > Self::MIN => last.to_string(),
            _ => self.to_string(),
        }
    }

    fn is_midnight(self) -> bool {
        self.0.is_multiple_of(u32::from(MINUTES_A_DAY))
    }
}

/// `YYYY-MM-DDTHH:MM`.
impl fmt::Display for LocalMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.naive().format("%Y-%m-%dT%H:%M"))
    }
}

impl fmt::Debug for LocalMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// From when until when on the property's wall clock, half-open; either side may be missing.
///
/// In JSON `{"from": "2026-05-01T15:00", "until": "2026-05-03"}`: a date alone means the whole
/// day, the last one included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RangeText", into = "RangeText")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Range {
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "2026-05-01T15:00"))]
    from: Option<LocalMoment>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "2026-05-03"))]
    until: Option<LocalMoment>,
}

impl Range {
    /// No limit on either side.
    pub const ALWAYS: Self = Self {
        from: None,
        until: None,
    };

    /// # Errors
    /// [`RulesError::EndNotAfterStart`] when the clock reads the end before or at the start.
    pub fn new(from: Option<LocalMoment>, until: Option<LocalMoment>) -> Result<Self, RulesError> {
        match (from, until) {
            (Some(from), Some(until)) if until <= from => Err(RulesError::EndNotAfterStart),
            _ => Ok(Self { from, until }),
        }
    }

    /// From the arrival on the first day to the departure on the last; without a time of day
    /// (minutes after midnight), the whole of that day.
    ///
    /// # Errors
    /// As [`Range::new`] and [`LocalMoment::at`].
    pub fn stay(
        first: NaiveDate,
        arrival: Option<u16>,
        last: NaiveDate,
        departure: Option<u16>,
    ) -> Result<Self, RulesError> {
        Self::new(
            Some(LocalMoment::at(first, arrival.unwrap_or(0))?),
            Some(LocalMoment::at(last, departure.unwrap_or(MINUTES_A_DAY))?),
        )
    }

    /// The first moment that belongs to the range.
    #[must_use]
    pub const fn from(&self) -> Option<LocalMoment> {
        self.from
    }

    /// The first moment that no longer belongs to the range.
    #[must_use]
    pub const fn until(&self) -> Option<LocalMoment> {
        self.until
    }

    /// Whether it limits anything.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl TryFrom<RangeText> for Range {
    type Error = RulesError;

    fn try_from(text: RangeText) -> Result<Self, RulesError> {
        Self::new(
            text.from
                .as_deref()
                .map(LocalMoment::parse_start)
                .transpose()?,
            text.until
                .as_deref()
                .map(LocalMoment::parse_end)
                .transpose()?,
        )
    }
}

impl From<Range> for RangeText {
    fn from(range: Range) -> Self {
        Self {
            from: range.from.map(LocalMoment::start_text),
            until: range.until.map(LocalMoment::end_text),
        }
    }
}

/// Minutes after midnight of a time of day `HH:MM`, `00:00` to `24:00`.
pub(super) fn parse_minute(text: &str) -> Result<u16, RulesError> {
    let bad = || RulesError::BadTime(excerpt(text));
    let &[h1, h2, b':', m1, m2] = text.as_bytes() else {
        return Err(bad());
    };
    if ![h1, h2, m1, m2].iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    let two = |tens: u8, ones: u8| u16::from(tens - b'0') * 10 + u16::from(ones - b'0');
    let (hours, minutes) = (two(h1, h2), two(m1, m2));
    let all = hours * 60 + minutes;
    if minutes > 59 || all > MINUTES_A_DAY {
        return Err(bad());
    }
    Ok(all)
}

pub(super) fn parse_date(text: &str) -> Result<NaiveDate, RulesError> {
    // chrono alone would also take signs, blanks and missing zeros.
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .filter(|date| shaped && date.year() > 0)
        .ok_or_else(|| RulesError::BadMoment(excerpt(text)))
}

fn split(text: &str) -> Result<(NaiveDate, Option<&str>), RulesError> {
    match text.split_once('T') {
        None => Ok((parse_date(text)?, None)),
        Some((date, time)) => Ok((parse_date(date)?, Some(time))),
    }
}

/// What an error repeats of somebody's text: enough to find it, never pages of it.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(24).collect()
}
