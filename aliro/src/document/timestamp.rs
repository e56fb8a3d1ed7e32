//! The 20-character UTC times of validity periods.

use std::fmt;

use super::civil::{Civil, DAY};
use super::error::DocumentError;

/// `YYYY-MM-DDTHH:MM:SSZ`: whole seconds, UTC, years 0000 to 9999.
///
/// AUTH1 and the fast phase carry the same 20 bytes for the `signed` time of
/// the documents that a device holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Bytes of the text form.
    pub const LEN: usize = 20;

    const FIRST: i64 = -62_167_219_200; // 0000-01-01T00:00:00Z
    const LAST: i64 = 253_402_300_799; // 9999-12-31T23:59:59Z

    /// From seconds since 1970-01-01T00:00:00Z; `None` outside four-digit years.
    #[must_use]
    pub fn from_epoch(seconds: i64) -> Option<Self> {
        (Self::FIRST..=Self::LAST)
            .contains(&seconds)
            .then_some(Self(seconds))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn epoch(self) -> i64 {
        self.0
    }

    /// Reads the 20 characters, nothing shorter, longer or with a fraction.
    ///
    /// # Errors
    /// [`DocumentError::Malformed`], also for dates that no calendar has.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        const MALFORMED: DocumentError = DocumentError::Malformed("timestamp");
        let bytes = text.as_bytes();
        if bytes.len() != Self::LEN {
            return Err(MALFORMED);
        }
        let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if punctuation.iter().any(|&(at, sign)| bytes[at] != sign) || bytes[19] != b'Z' {
            return Err(MALFORMED);
        }
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().try_fold(0, |sum: i64, digit| {
                digit
                    .is_ascii_digit()
                    .then(|| sum * 10 + i64::from(digit - b'0'))
            })
        };
        let part = |from, to, range: std::ops::RangeInclusive<i64>| {
            number(from, to)
                .filter(|value| range.contains(value))
                .ok_or(MALFORMED)
        };
        let date = Civil {
            year: part(0, 4, 0..=9999)?,
            month: part(5, 7, 1..=12)?,
            day: part(8, 10, 1..=31)?,
        };
        if date.day > date.days_in_month() {
            return Err(MALFORMED);
        }
        let seconds =
            part(11, 13, 0..=23)? * 3600 + part(14, 16, 0..=59)? * 60 + part(17, 19, 0..=59)?;
        Ok(Self(date.to_days() * DAY + seconds))
    }

    /// The text form as AUTH1 carries it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes.copy_from_slice(self.to_string().as_bytes());
        bytes
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = Civil::from_days(self.0.div_euclid(DAY));
        let seconds = self.0.rem_euclid(DAY);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            date.year,
            date.month,
            date.day,
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_known_times() {
        let epoch = |text| Timestamp::parse(text).map(Timestamp::epoch);
        assert_eq!(epoch("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(epoch("2026-02-01T08:00:00Z"), Ok(1_769_932_800));
        assert_eq!(epoch("9999-12-31T23:59:59Z"), Ok(Timestamp::LAST));
        assert_eq!(epoch("0000-01-01T00:00:00Z"), Ok(Timestamp::FIRST));
    }

    #[test]
    fn refuses_what_is_not_exactly_the_form() {
        for text in [
            "2026-02-01T08:00:00z",
            "2026-02-01 08:00:00Z",
            "2026-02-01T08:00:00",
            "2026-02-01T08:00:00.0Z",
            "2026-02-29T08:00:00Z",
            "2026-13-01T08:00:00Z",
            "2026-02-01T24:00:00Z",
            "2026-02-01T08:00:60Z",
            "+026-02-01T08:00:00Z",
            "２26-02-01T08:00:0Z",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_seconds_are_one(seconds in Timestamp::FIRST..=Timestamp::LAST) {
            let stamp = Timestamp::from_epoch(seconds).expect("in range");
            prop_assert_eq!(Timestamp::parse(&stamp.to_string()), Ok(stamp));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,24}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
