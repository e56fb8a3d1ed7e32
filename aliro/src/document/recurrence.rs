//! The eight patterns by which a schedule comes again.
//!
//! They are RFC 5545 recurrence rules in small:
//!
//! | pattern | RRULE | mask | ordinal |
//! |---|---|---|---|
//! | daily | `FREQ=DAILY` | 0 | 0 |
//! | weekly | `FREQ=WEEKLY;BYDAY` | weekdays | 0 |
//! | monthly by day | `FREQ=MONTHLY;BYDAY=nXX`: the n-th of each weekday | weekdays | n |
//! | monthly by date | `FREQ=MONTHLY;BYMONTHDAY` | dates | 0 |
//! | | `FREQ=MONTHLY;BYMONTHDAY=n`, on these weekdays only | weekdays or none | n |
//! | yearly by day | `FREQ=YEARLY;BYMONTH;BYDAY=nXX` | months, weekdays | n |
//! | yearly by date | `FREQ=YEARLY;BYMONTH;BYMONTHDAY=n`, on these weekdays only | months; weekdays or none | n |
//! | yearly by week | `FREQ=YEARLY;BYWEEKNO=n`, in these months and on these weekdays only | months or none; weekdays or none | n |
//! | yearly by month and week | the n-th week of each month, on these weekdays only | months; weekdays or none | n |
//!
//! Weeks begin on Monday. The week of a month is counted as ISO 8601 counts
//! the weeks of a year: it belongs to the month that holds its Thursday. Days
//! of it that lie in a neighbouring month do not count. Negative ordinals count
//! from the end. Every n-th day, week, month or year is counted from the one
//! that holds the schedule's start, which is itself no occurrence unless it
//! fits the pattern.

use ciborium::value::Value;

use super::civil::{self, Civil};
use super::error::DocumentError;
use super::fields;

/// A valid recurrence rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recurrence {
    duration: u32,
    mask: u32,
    pattern: Pattern,
    interval: u8,
    ordinal: i8,
}

/// How occurrences are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Pattern {
    /// Every day.
    Daily = 1,
    /// On weekdays.
    Weekly = 2,
    /// On the n-th of certain weekdays of a month.
    MonthlyByDay = 3,
    /// On dates of a month.
    MonthlyByDate = 4,
    /// On the n-th of certain weekdays of certain months.
    YearlyByDay = 5,
    /// On a date of certain months.
    YearlyByDate = 6,
    /// In a week of the year.
    YearlyByWeek = 7,
    /// In a week of certain months.
    YearlyByMonthWeek = 8,
}

/// Weekday bits of a mask: 0 Monday to 6 Sunday.
pub const WEEKDAYS: u32 = 0x7f;
/// Month bits of a mask: 7 January to 18 December.
pub const MONTHS: u32 = 0xfff << 7;
/// Date bits of a mask: 0 the 1st to 30 the 31st.
pub const DATES: u32 = 0x7fff_ffff;

impl Recurrence {
    /// A rule of any pattern.
    ///
    /// `duration` is in seconds, `interval` in the pattern's own unit; `mask`
    /// and `ordinal` as the module documentation says.
    ///
    /// # Errors
    /// [`DocumentError::Malformed`] for a combination that the pattern does
    /// not have, or one that could never occur.
    pub fn new(
        duration: u32,
        mask: u32,
        pattern: Pattern,
        interval: u8,
        ordinal: i8,
    ) -> Result<Self, DocumentError> {
        let rule = Self {
            duration,
            mask,
            pattern,
            interval,
            ordinal,
        };
        if duration > 0 && interval > 0 && rule.fits_pattern() {
            Ok(rule)
        } else {
            Err(DocumentError::Malformed("recurrence rule"))
        }
    }

    /// Every week on these weekdays (bit 0 Monday), for `duration` seconds.
    ///
    /// # Errors
    /// [`DocumentError::Malformed`] without a weekday or a duration.
    pub fn weekly(weekdays: u8, duration: u32) -> Result<Self, DocumentError> {
        Self::new(duration, u32::from(weekdays), Pattern::Weekly, 1, 0)
    }

    /// Seconds that each occurrence lasts; it may pass midnight.
    #[must_use]
    pub fn duration(&self) -> u32 {
        self.duration
    }

    /// Weekday, month or date bits.
    #[must_use]
    pub fn mask(&self) -> u32 {
        self.mask
    }

    /// How occurrences are found.
    #[must_use]
    pub fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// Every how many days, weeks, months or years.
    #[must_use]
    pub fn interval(&self) -> u8 {
        self.interval
    }

    /// Which one; negative from the end.
    #[must_use]
    pub fn ordinal(&self) -> i8 {
        self.ordinal
    }

    fn fits_pattern(&self) -> bool {
        let only = |bits: u32| self.mask & !bits == 0;
        let some = |bits: u32| self.mask & bits != 0;
        let ordinal_to = |most: u8| self.ordinal != 0 && self.ordinal.unsigned_abs() <= most;
        match self.pattern {
            Pattern::Daily => self.mask == 0 && self.ordinal == 0,
            Pattern::Weekly => only(WEEKDAYS) && some(WEEKDAYS) && self.ordinal == 0,
            Pattern::MonthlyByDay => only(WEEKDAYS) && some(WEEKDAYS) && ordinal_to(5),
            Pattern::MonthlyByDate if self.ordinal == 0 => only(DATES) && some(DATES),
            Pattern::MonthlyByDate => only(WEEKDAYS) && ordinal_to(31),
            Pattern::YearlyByDay => {
                only(WEEKDAYS | MONTHS) && some(WEEKDAYS) && some(MONTHS) && ordinal_to(5)
            }
            Pattern::YearlyByDate => only(WEEKDAYS | MONTHS) && some(MONTHS) && ordinal_to(31),
            Pattern::YearlyByWeek => only(WEEKDAYS | MONTHS) && ordinal_to(53),
            Pattern::YearlyByMonthWeek => only(WEEKDAYS | MONTHS) && some(MONTHS) && ordinal_to(5),
        }
    }

    /// Whether an occurrence begins on `day` when the schedule starts on
    /// `first`, both counted from 1970-01-01.
    pub(crate) fn falls_on(&self, first: i64, day: i64) -> bool {
        self.in_turn(first, day) && self.matches(day)
    }

    /// Whether the day's day, week, month or year is one that counts.
    fn in_turn(&self, first: i64, day: i64) -> bool {
        let passed = match self.pattern {
            Pattern::Daily => day - first,
            Pattern::Weekly => (civil::monday(day) - civil::monday(first)) / 7,
            Pattern::MonthlyByDay | Pattern::MonthlyByDate => {
                let months = |date: Civil| date.year * 12 + date.month;
                months(Civil::from_days(day)) - months(Civil::from_days(first))
            }
            Pattern::YearlyByDay
            | Pattern::YearlyByDate
            | Pattern::YearlyByWeek
            | Pattern::YearlyByMonthWeek => {
                Civil::from_days(day).year - Civil::from_days(first).year
            }
        };
        passed >= 0 && passed % i64::from(self.interval) == 0
    }

    fn matches(&self, day: i64) -> bool {
        let date = Civil::from_days(day);
        let weekday = civil::weekday(day);
        let on_weekday = self.mask & 1 << weekday != 0;
        let on_weekday_if_any = self.mask & WEEKDAYS == 0 || on_weekday;
        let in_month = self.mask & 1 << (date.month + 6) != 0;
        match self.pattern {
            Pattern::Daily => true,
            Pattern::Weekly => on_weekday,
            Pattern::MonthlyByDay => on_weekday && self.counts_sevens(date, date.day),
            Pattern::MonthlyByDate if self.ordinal == 0 => self.mask & 1 << (date.day - 1) != 0,
            Pattern::MonthlyByDate => on_weekday_if_any && self.is_date(date),
            Pattern::YearlyByDay => in_month && on_weekday && self.counts_sevens(date, date.day),
            Pattern::YearlyByDate => in_month && on_weekday_if_any && self.is_date(date),
            Pattern::YearlyByWeek => {
                let (week, weeks) = civil::iso_week(day);
                (self.mask & MONTHS == 0 || in_month)
                    && on_weekday_if_any
                    && self.is_nth(week, weeks)
            }
            Pattern::YearlyByMonthWeek => {
                let thursday = date.day - weekday + 3;
                in_month
                    && on_weekday_if_any
                    && (1..=date.days_in_month()).contains(&thursday)
                    && self.counts_sevens(date, thursday)
            }
        }
    }

    /// Whether the date is the ordinal's.
    fn is_date(&self, date: Civil) -> bool {
        self.is_nth(date.day, date.days_in_month())
    }

    /// Whether `day` is the n-th of its weekday in the month of `date`.
    fn counts_sevens(&self, date: Civil, day: i64) -> bool {
        let ordinal = i64::from(self.ordinal);
        if ordinal > 0 {
            (day - 1) / 7 + 1 == ordinal
        } else {
            (date.days_in_month() - day) / 7 + 1 == -ordinal
        }
    }

    /// Whether number `which` of 1 to `count` is the ordinal's.
    fn is_nth(&self, which: i64, count: i64) -> bool {
        let ordinal = i64::from(self.ordinal);
        which
            == if ordinal > 0 {
                ordinal
            } else {
                count + 1 + ordinal
            }
    }

    pub(crate) fn from_value(value: Value) -> Result<Self, DocumentError> {
        const WHAT: &str = "recurrence rule";
        let array = fields::array(value, WHAT)?;
        let [duration, mask, pattern, interval, ordinal] =
            <[Value; 5]>::try_from(array).map_err(|_| DocumentError::Malformed(WHAT))?;
        Self::new(
            fields::uint(&duration, WHAT)?,
            fields::uint(&mask, WHAT)?,
            Pattern::from_wire(fields::uint(&pattern, WHAT)?)
                .ok_or(DocumentError::Malformed(WHAT))?,
            fields::uint(&interval, WHAT)?,
            fields::int(&ordinal, WHAT)?,
        )
    }

    pub(crate) fn to_value(self) -> Value {
        Value::Array(vec![
            Value::from(self.duration),
            Value::from(self.mask),
            Value::from(self.pattern as u8),
            Value::from(self.interval),
            Value::from(self.ordinal),
        ])
    }
}

impl Pattern {
    fn from_wire(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Daily,
            2 => Self::Weekly,
            3 => Self::MonthlyByDay,
            4 => Self::MonthlyByDate,
            5 => Self::YearlyByDay,
            6 => Self::YearlyByDate,
            7 => Self::YearlyByWeek,
            8 => Self::YearlyByMonthWeek,
            _ => return None,
        })
    }
}
