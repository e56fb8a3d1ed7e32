//! The property's holidays.

use std::fmt;

use chrono::{DateTime, NaiveDate};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RulesError;
use super::local::parse_date;

/// The most holidays that a property may have: every day of ten years, and some.
pub const MAX_HOLIDAYS: usize = 4_000;

/// The property's list of dates on which keys that heed holidays are closed.
///
/// In JSON a list of dates, in CBOR a list of days since 1970-01-01, both in ascending order;
/// read in any order, doubles once.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Holidays(Vec<i32>);

impl Holidays {
    /// None.
    pub const NONE: &'static Self = &Self(Vec::new());

    /// # Errors
    /// [`HolidaysError::TooMany`] above [`MAX_HOLIDAYS`].
    pub fn new(dates: impl IntoIterator<Item = NaiveDate>) -> Result<Self, HolidaysError> {
        Self::from_days(dates.into_iter().map(|date| date.to_epoch_days()))
    }

    /// The dates in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = NaiveDate> {
        self.0.iter().filter_map(|day| date(*day))
    }

    /// Whether `date` is one.
    #[must_use]
    pub fn contains(&self, date: NaiveDate) -> bool {
        self.contains_day(i64::from(date.to_epoch_days()))
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains_day(&self, day: i64) -> bool {
        self.0
            .binary_search_by_key(&day, |known| i64::from(*known))
            .is_ok()
    }

    /// The first holiday after `day`, in days since 1970-01-01.
    pub(super) fn after_day(&self, day: i64) -> Option<i64> {
        let at = self.0.partition_point(|known| i64::from(*known) <= day);
        self.0.get(at).map(|day| i64::from(*day))
    }

    fn from_days(days: impl IntoIterator<Item = i32>) -> Result<Self, HolidaysError> {
        let mut days: Vec<i32> = days.into_iter().collect();
        days.sort_unstable();
        days.dedup();
        if days.len() > MAX_HOLIDAYS {
            return Err(HolidaysError::TooMany);
        }
        match days.iter().all(|day| date(*day).is_some()) {
            true => Ok(Self(days)),
            false => Err(HolidaysError::NoSuchDate),
        }
    }
}

/// Why a list of holidays is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HolidaysError {
    /// More dates than [`MAX_HOLIDAYS`].
    #[error("at most {MAX_HOLIDAYS} holidays")]
    TooMany,
    /// A day that no calendar holds.
    #[error("a holiday lies outside the calendar")]
    NoSuchDate,
    /// Not `YYYY-MM-DD`.
    #[error(transparent)]
    Date(#[from] RulesError),
}

impl fmt::Debug for Holidays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Holidays {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.iter().map(|date| date.to_string()))
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Holidays {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let texts = Vec::<String>::deserialize(deserializer)?;
            let dates: Result<Vec<NaiveDate>, RulesError> =
                texts.iter().map(|text| parse_date(text)).collect();
            dates.map_err(HolidaysError::from).and_then(Self::new)
        } else {
            Self::from_days(Vec::<i32>::deserialize(deserializer)?)
        }
        .map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Holidays {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        Vec::<NaiveDateText>::schema()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Holidays {}

/// `YYYY-MM-DD`
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Date)]
#[expect(dead_code, reason = "only its schema is used")]
struct NaiveDateText(String);

fn date(day: i32) -> Option<NaiveDate> {
    DateTime::from_timestamp(i64::from(day) * 86_400, 0).map(|at| at.date_naive())
}
