//! The proleptic Gregorian calendar in whole days, without a clock or a zone.

/// Seconds of a day; neither Unix time nor floating time has leap seconds.
pub(crate) const DAY: i64 = 86_400;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
}

impl Civil {
    /// The date of a day counted from 1970-01-01.
    ///
    /// Counts in years that begin on 1 March, so that the leap day is the last
    /// of its year, and in 400-year eras, which are all of one length.
    pub(crate) fn from_days(days: i64) -> Self {
        let shifted = days + DAYS_TO_EPOCH;
        let era = shifted.div_euclid(DAYS_OF_ERA);
        let of_era = shifted.rem_euclid(DAYS_OF_ERA);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = (shifted_month + 2) % 12 + 1;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day }
    }

    /// Days from 1970-01-01.
    pub(crate) fn to_days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let shifted_month = (self.month + 9) % 12;
        let of_year = (153 * shifted_month + 2) / 5 + self.day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        era * DAYS_OF_ERA + of_era - DAYS_TO_EPOCH
    }

    /// 28 to 31.
    pub(crate) fn days_in_month(self) -> i64 {
        match self.month {
            2 if self.is_leap_year() => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn is_leap_year(self) -> bool {
        self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0)
    }
}

const DAYS_OF_ERA: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

/// 0 Monday to 6 Sunday; 1970-01-01 was a Thursday.
pub(crate) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

/// The Monday on or before a day.
pub(crate) fn monday(days: i64) -> i64 {
    days - weekday(days)
}

/// ISO 8601 week of a day, and how many weeks that week's year has.
pub(crate) fn iso_week(days: i64) -> (i64, i64) {
    // A week belongs to the year that holds its Thursday.
    let thursday = monday(days) + 3;
    let year = Civil::from_days(thursday).year;
    let first_thursday = first_thursday(year);
    let week = (thursday - first_thursday) / 7 + 1;
    let weeks = (self::first_thursday(year + 1) - first_thursday) / 7;
    (week, weeks)
}

fn first_thursday(year: i64) -> i64 {
    // 4 January is always in week 1.
    monday(
        Civil {
            year,
            month: 1,
            day: 4,
        }
        .to_days(),
    ) + 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_like_a_calendar_kept_by_hand() {
        let mut expected = Civil {
            year: 1600,
            month: 1,
            day: 1,
        };
        let first = expected.to_days();
        for days in first..first + 600 * 366 {
            assert_eq!(Civil::from_days(days), expected);
            assert_eq!(expected.to_days(), days);
            expected.day += 1;
            if expected.day > expected.days_in_month() {
                expected.day = 1;
                expected.month += 1;
            }
            if expected.month > 12 {
                expected.month = 1;
                expected.year += 1;
            }
        }
        assert_eq!(Civil::from_days(0).year, 1970);
    }

    #[test]
    fn iso_weeks_of_known_days() {
        let week = |year, month, day| iso_week(Civil { year, month, day }.to_days());
        assert_eq!(week(2026, 1, 1), (1, 53));
        assert_eq!(week(2027, 1, 3), (53, 53));
        assert_eq!(week(2024, 12, 30), (1, 52));
        assert_eq!(week(2021, 1, 3), (53, 53));
        assert_eq!(week(2023, 1, 1), (52, 52));
    }
}
