//! The property's time zone, expanded: which UTC offset holds from which instant on.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

use super::local::LocalMoment;

/// The most changes of offset that an expansion may hold: four a year for a century.
pub const MAX_CHANGES: usize = 400;

const DAY: i64 = 86_400;

/// A time zone as UTC offsets with their change instants, as the portal expanded it.
///
/// Phones and doors carry no zone database; this is all that they know of the zone. Before
/// `from` and after `until` of the span the first and the last offset are taken to hold on:
/// [`Offsets::covers`] tells when a new expansion is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OffsetsText", into = "OffsetsText")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Offsets {
    /// IANA name.
    zone: String,
    /// Release of the zone database, as `2026a`.
    tz_release: String,
    #[cfg_attr(feature = "openapi", schema(value_type = Span))]
    span: (i64, i64),
    /// Seconds east of UTC before the first change.
    first: i32,
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<OffsetChange>))]
    changes: Vec<(i64, i32)>,
}

/// From when until when an expansion speaks for its zone; half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Span {
    /// First instant.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub from: DateTime<Utc>,
    /// First instant of which it says nothing any more.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub until: DateTime<Utc>,
}

/// From `at` on, the wall clock is `offset` seconds ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OffsetChange {
    /// The first instant of the new offset, in whole seconds.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: DateTime<Utc>,
    /// Seconds east of UTC.
    pub offset: i32,
}

/// Why an expansion is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OffsetsError {
    /// A day or more from UTC.
    #[error("an offset of {0} seconds is a day or more")]
    TooFar(i32),
    /// The changes do not ascend.
    #[error("the changes of offset do not ascend in time")]
    OutOfOrder,
    /// More than [`MAX_CHANGES`].
    #[error("at most {MAX_CHANGES} changes of offset")]
    TooMany,
    /// The span ends before it begins.
    #[error("the span ends before it begins")]
    EmptySpan,
    /// A name longer than any zone's or release's.
    #[error("a zone's name has 1 to 64 characters, a release's 1 to 16")]
    BadName,
}

/// A time during which one offset holds.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    /// Seconds east of UTC.
    pub(super) offset: i64,
    /// The first instant after it; `i64::MAX` for the last stretch.
    pub(super) end: i64,
}

impl Offsets {
    /// The zone `zone` of release `tz_release` within `span`: `first` seconds east of UTC, then
    /// `changes` in ascending order.
    ///
    /// # Errors
    /// [`OffsetsError`], when that is no expansion of a zone.
    pub fn new(
        zone: impl Into<String>,
        tz_release: impl Into<String>,
        span: Span,
        first: i32,
        changes: impl IntoIterator<Item = OffsetChange>,
    ) -> Result<Self, OffsetsError> {
        let (zone, tz_release) = (zone.into(), tz_release.into());
        if !(1..=64).contains(&zone.len()) || !(1..=16).contains(&tz_release.len()) {
            return Err(OffsetsError::BadName);
        }
        if span.until <= span.from {
            return Err(OffsetsError::EmptySpan);
        }
        let changes: Vec<(i64, i32)> = changes
            .into_iter()
            .take(MAX_CHANGES + 1)
            .map(|change| (change.at.timestamp(), change.offset))
            .collect();
        if changes.len() > MAX_CHANGES {
            return Err(OffsetsError::TooMany);
        }
        if !changes.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(OffsetsError::OutOfOrder);
        }
        let all = std::iter::once(first).chain(changes.iter().map(|change| change.1));
        if let Some(offset) = all
            .into_iter()
            .find(|offset| i64::from(*offset).abs() >= DAY)
        {
            return Err(OffsetsError::TooFar(offset));
        }
        Ok(Self {
            zone,
            tz_release,
            span: (span.from.timestamp(), span.until.timestamp()),
            first,
            changes,
        })
    }

    /// The IANA name of the zone.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The release of the zone database that was expanded.
    #[must_use]
    pub fn tz_release(&self) -> &str {
        &self.tz_release
    }

    /// From when until when this expansion speaks for the zone.
    #[must_use]
    pub fn span(&self) -> Span {
        Span {
            from: instant(self.span.0),
            until: instant(self.span.1),
        }
    }

    /// Whether `at` lies within the span.
    #[must_use]
    pub fn covers(&self, at: DateTime<Utc>) -> bool {
        (self.span.0..self.span.1).contains(&at.timestamp())
    }

    /// Seconds east of UTC before the first change.
    #[must_use]
    pub const fn first_offset(&self) -> i32 {
        self.first
    }

    /// The changes of offset, in ascending order.
    pub fn changes(&self) -> impl Iterator<Item = OffsetChange> {
        self.changes.iter().map(|&(at, offset)| OffsetChange {
            at: instant(at),
            offset,
        })
    }

    /// Seconds east of UTC at `at`.
    #[must_use]
    pub fn offset_at(&self, at: DateTime<Utc>) -> i32 {
        self.offset_of(self.changes_until(at.timestamp()))
    }

    /// What the wall clock reads at `at`.
    #[must_use]
    pub fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        instant(self.wall(at.timestamp())).naive_utc()
    }

    /// The instant of a start: the first coming of a reading that comes twice, the moment after
    /// the gap of one that is skipped.
    #[must_use]
    pub fn start(&self, local: LocalMoment) -> DateTime<Utc> {
        instant(self.start_seconds(local.seconds()))
    }

    /// The instant of an end: the last coming of a reading that comes twice, the moment after
    /// the gap of one that is skipped.
    #[must_use]
    pub fn end(&self, local: LocalMoment) -> DateTime<Utc> {
        instant(self.end_seconds(local.seconds()))
    }

    /// The wall clock's reading at an instant, in seconds since 1970.
    pub(super) fn wall(&self, at: i64) -> i64 {
        at.saturating_add(i64::from(self.offset_of(self.changes_until(at))))
    }

    /// The stretch of one offset to which an instant belongs.
    pub(super) fn stretch(&self, at: i64) -> Stretch {
        let index = self.changes_until(at);
        Stretch {
            offset: i64::from(self.offset_of(index)),
            end: self.end_of(index),
        }
    }

    pub(super) fn start_seconds(&self, wall: i64) -> i64 {
        // Stretches that end a day or more before the reading end before it in any zone. Of the
        // rest, the first in which the clock still reads less than the reading when it ends:
        let mut index = self.changes_until(wall - DAY);
        while wall >= self.end_of(index).saturating_add(self.offset(index)) {
            index += 1;
        }
        // it holds the reading, or begins after the gap in which the reading was skipped.
        (wall - self.offset(index)).max(self.begin_of(index))
    }

    pub(super) fn end_seconds(&self, wall: i64) -> i64 {
        // The last stretch that begins when the clock reads at most the reading:
        let mut index = self.changes_until(wall + DAY);
        while index > 0 && self.begin_of(index) + self.offset(index) > wall {
            index -= 1;
        }
        // it holds the reading, or ends before the gap in which the reading was skipped.
        (wall - self.offset(index)).min(self.end_of(index))
    }

    /// How many changes have come by an instant: the number of its stretch.
    fn changes_until(&self, at: i64) -> usize {
        self.changes.partition_point(|change| change.0 <= at)
    }

    fn offset_of(&self, stretch: usize) -> i32 {
        match stretch.checked_sub(1).and_then(|at| self.changes.get(at)) {
            Some(change) => change.1,
            None => self.first,
        }
    }

    fn offset(&self, stretch: usize) -> i64 {
        i64::from(self.offset_of(stretch))
    }

    fn begin_of(&self, stretch: usize) -> i64 {
        match stretch.checked_sub(1).and_then(|at| self.changes.get(at)) {
            Some(change) => change.0,
            None => i64::MIN,
        }
    }

    fn end_of(&self, stretch: usize) -> i64 {
        self.changes
            .get(stretch)
            .map_or(i64::MAX, |change| change.0)
    }
}

/// An instant from seconds since 1970 in UTC. Ours lie within chrono's calendar; one that does
/// not, from hostile input, is as far away as it goes.
pub(super) fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or(if seconds < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OffsetsText {
    zone: String,
    tz_release: String,
    span: Span,
    first: i32,
    changes: Vec<OffsetChange>,
}

impl TryFrom<OffsetsText> for Offsets {
    type Error = OffsetsError;

    fn try_from(text: OffsetsText) -> Result<Self, OffsetsError> {
        Self::new(
            text.zone,
            text.tz_release,
            text.span,
            text.first,
            text.changes,
        )
    }
}

impl From<Offsets> for OffsetsText {
    fn from(offsets: Offsets) -> Self {
        Self {
            span: offsets.span(),
            first: offsets.first,
            changes: offsets.changes().collect(),
            zone: offsets.zone,
            tz_release: offsets.tz_release,
        }
    }
}
