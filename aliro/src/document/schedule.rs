//! When an access rule applies.

use ciborium::value::Value;

use super::civil::DAY;
use super::error::DocumentError;
use super::fields::{self, Fields};
use super::recurrence::Recurrence;

/// A span of time, once or again and again.
///
/// Without recurrence it is one span from `start` to `end`, `end` excluded.
/// With recurrence each occurrence begins at `start`'s time of day, not before
/// `start` and not after `end`, and lasts the recurrence's duration; one that
/// has begun runs on past `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Seconds since 1970-01-01, in UTC or as a wall clock reads.
    pub start: u32,
    /// In the same unit; `None` for no end.
    pub end: Option<u32>,
    /// When it comes again.
    pub recurrence: Option<Recurrence>,
    /// Whether the times are UTC; if not, they are the reader's local time,
    /// counted as if its wall clock showed UTC.
    pub utc: bool,
}

/// A moment in both reckonings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub utc: i64,
    /// What the wall clock at the reader shows, in seconds, as if it were UTC.
    pub local: i64,
}

const FLAG_UTC: u8 = 1;

impl Schedule {
    /// Whether it is active at this moment.
    #[must_use]
    pub fn is_active(&self, now: Now) -> bool {
        let now = if self.utc { now.utc } else { now.local };
        match &self.recurrence {
            None => i64::from(self.start) <= now && self.end.is_none_or(|end| now < i64::from(end)),
            Some(recurrence) => self.occurs_around(recurrence, now),
        }
    }

    /// Whether an occurrence has begun and not yet ended.
    fn occurs_around(&self, recurrence: &Recurrence, now: i64) -> bool {
        let start = i64::from(self.start);
        let (first_day, time_of_day) = (start.div_euclid(DAY), start.rem_euclid(DAY));
        // Occurrences that could still run began in (now - duration, now].
        let earliest = start.max(now.saturating_sub(i64::from(recurrence.duration())) + 1);
        let latest = self.end.map_or(now, |end| now.min(i64::from(end)));
        // Latest first: an occurrence that runs most often began today.
        let from = (earliest - time_of_day)
            .saturating_add(DAY - 1)
            .div_euclid(DAY);
        let to = latest.saturating_sub(time_of_day).div_euclid(DAY);
        (from..=to)
            .rev()
            .any(|day| recurrence.falls_on(first_day, day))
    }

    /// Whether an `end` that is there ends something.
    pub(crate) fn is_valid(&self) -> bool {
        self.recurrence.is_some() || self.end.is_none_or(|end| end > self.start)
    }

    pub(crate) fn from_value(value: Value) -> Result<Self, DocumentError> {
        const WHAT: &str = "Schedule";
        let mut schedule = Fields::new(value, WHAT)?;
        let utc = match fields::uint::<u8>(&schedule.require(KEY_FLAGS)?, WHAT)? {
            FLAG_UTC => true,
            0 => false,
            _ => return Err(DocumentError::Malformed(WHAT)),
        };
        let decoded = Self {
            start: fields::uint(&schedule.require(KEY_START)?, WHAT)?,
            // The reference takes an end of 0 for none.
            end: schedule
                .take(KEY_END)
                .map(|end| fields::uint(&end, WHAT))
                .transpose()?
                .filter(|end| *end != 0),
            recurrence: schedule
                .take(KEY_RECURRENCE)
                .map(Recurrence::from_value)
                .transpose()?,
            utc,
        };
        schedule.done()?;
        Ok(decoded)
    }

    pub(crate) fn to_value(self) -> Value {
        let mut map = vec![(Value::from(KEY_START), Value::from(self.start))];
        if let Some(end) = self.end {
            map.push((Value::from(KEY_END), Value::from(end)));
        }
        if let Some(recurrence) = &self.recurrence {
            map.push((Value::from(KEY_RECURRENCE), recurrence.to_value()));
        }
        let flags = if self.utc { FLAG_UTC } else { 0 };
        map.push((Value::from(KEY_FLAGS), Value::from(flags)));
        Value::Map(map)
    }
}

const KEY_START: u64 = 0;
const KEY_END: u64 = 1;
const KEY_RECURRENCE: u64 = 2;
const KEY_FLAGS: u64 = 3;
