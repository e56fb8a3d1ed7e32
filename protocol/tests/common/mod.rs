//! Zones for tests, expanded from jiff's bundled database as the portal does.

use chrono::{DateTime, Utc};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use latchkey_protocol::rules::{OffsetChange, Offsets, Span};

/// The zone, from the database that is compiled in, never from the machine's.
pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).expect("a zone")
}

/// What holds in `name` between two years.
pub(crate) fn offsets(name: &str, years: std::ops::Range<i16>) -> Offsets {
    let zone = zone(name);
    let begin = new_year(years.start);
    let end = new_year(years.end);
    let first = zone.to_offset(begin).seconds();
    let mut now = first;
    let changes = zone
        .following(begin)
        .take_while(|change| change.timestamp() < end)
        .filter_map(|change| {
            // The database also lists changes of the abbreviation alone.
            let offset = change.offset().seconds();
            let changed = std::mem::replace(&mut now, offset) != offset;
            changed.then(|| OffsetChange {
                at: chrono(change.timestamp()),
                offset,
            })
        });
    let span = Span {
        from: chrono(begin),
        until: chrono(end),
    };
    let changes: Vec<OffsetChange> = changes.collect();
    Offsets::new(name, "bundled", span, first, changes).expect("an expansion")
}

pub(crate) fn chrono(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp(at.as_second(), 0).expect("in chrono's calendar")
}

fn new_year(year: i16) -> Timestamp {
    jiff::civil::date(year, 1, 1)
        .at(0, 0, 0, 0)
        .to_zoned_datetime(TimeZone::UTC)
        .expect("in jiff's calendar")
        .timestamp()
}
