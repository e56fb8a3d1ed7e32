//! An access decision told in jiff's terms, and the cases to try it on.

mod cases;

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use jiff::civil::{Date, DateTime as Civil, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use latchkey_protocol::rules::{
    AccessRules, Calendar, Holidays, LocalMoment, Offsets, Range, Reason, Uses, WeeklyWindow,
};

/// A key, a property's calendar and an instant.
#[derive(Debug)]
pub(crate) struct Case {
    zone: TimeZone,
    from: Option<Civil>,
    /// The first moment after the range.
    until: Option<Civil>,
    windows: Vec<Window>,
    closed_on_holidays: bool,
    holidays: Vec<Date>,
    max_uses: Option<u32>,
    used: u32,
    at: Timestamp,
}

#[derive(Debug, Clone)]
struct Window {
    days: Vec<Weekday>,
    from: i64,
    to: i64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) verdict: &'static str,
    pub(crate) changes_at: Option<i64>,
}

impl Case {
    /// The answer by the sentences of the design, without anything of the crate.
    pub(crate) fn answer(&self) -> Answer {
        let verdict = self.verdict(self.at);
        let changes_at = match verdict {
            Err(Reason::Expired | Reason::UsedUp) => None,
            _ => self.next_change(verdict.is_ok()),
        };
        Answer {
            verdict: verdict.err().map_or("yes", Reason::name),
            changes_at: changes_at.map(Timestamp::as_second),
        }
    }

    pub(crate) fn verdict_at(&self, second: i64) -> Result<(), Reason> {
        self.verdict(Timestamp::from_second(second).expect("near"))
    }

    fn verdict(&self, at: Timestamp) -> Result<(), Reason> {
        if self
            .until
            .is_some_and(|until| at >= self.last_coming(until))
        {
            return Err(Reason::Expired);
        }
        if self.max_uses.is_some_and(|max| self.used >= max) {
            return Err(Reason::UsedUp);
        }
        if self.from.is_some_and(|from| at < self.first_coming(from)) {
            return Err(Reason::TooEarly);
        }
        let reading = self.reading(at);
        let today = reading.date();
        let closed = |day: &Date| self.closed_on_holidays && self.holidays.contains(day);
        if self.windows.is_empty() {
            return if closed(&today) {
                Err(Reason::Holiday)
            } else {
                Ok(())
            };
        }
        let running = self.days_of_running(reading);
        if running.iter().any(|day| !closed(day)) {
            Ok(())
        } else if !running.is_empty() || closed(&today) {
            Err(Reason::Holiday)
        } else if self
            .windows
            .iter()
            .any(|window| window.days.contains(&today.weekday()))
        {
            Err(Reason::OutsideHours)
        } else {
            Err(Reason::WrongDay)
        }
    }

    /// On which days the windows started that run at a reading of the wall clock.
    fn days_of_running(&self, reading: Civil) -> Vec<Date> {
        let today = reading.date();
        let days = [today.yesterday().expect("near"), today];
        let mut running = Vec::new();
        for window in &self.windows {
            for day in days {
                let start = day.at(0, 0, 0, 0) + window.from.minutes();
                let next_day = if window.to <= window.from { 1 } else { 0 };
                let end = day.at(0, 0, 0, 0) + (window.to + next_day * 1440).minutes();
                if window.days.contains(&day.weekday()) && start <= reading && reading < end {
                    running.push(day);
                }
            }
        }
        running
    }

    fn next_change(&self, is_yes: bool) -> Option<Timestamp> {
        let horizon = self.at + SignedDuration::from_hours(366 * 24);
        let mut begin = self.at;
        while begin <= horizon {
            let end = begin + SignedDuration::from_hours(5 * 24);
            let mut instants = self.turning_points(begin, end);
            instants.retain(|at| self.at < *at && *at <= horizon);
            instants.sort();
            let change = |at: &Timestamp| self.verdict(*at).is_ok() != is_yes;
            if let Some(found) = instants.into_iter().find(change) {
                return Some(found);
            }
            begin = end;
        }
        None
    }

    /// Every instant from `begin` to `end` at which the answer could change.
    fn turning_points(&self, begin: Timestamp, end: Timestamp) -> Vec<Timestamp> {
        let mut points: Vec<Timestamp> = self
            .zone
            .following(begin)
            .map(|change| change.timestamp())
            .take_while(|at| *at <= end)
            .collect();
        points.extend(self.from.map(|from| self.first_coming(from)));
        points.extend(self.until.map(|until| self.last_coming(until)));
        let times: Vec<i64> = self
            .windows
            .iter()
            .flat_map(|window| [window.from, window.to])
            .chain([0])
            .collect();
        let mut day = self.reading(begin).date().yesterday().expect("near");
        let last = self.reading(end).date().tomorrow().expect("near");
        while day <= last {
            for time in &times {
                let reading = day.at(0, 0, 0, 0) + time.minutes();
                points.extend(self.comings(reading));
            }
            day = day.tomorrow().expect("near");
        }
        // Exactly [begin, end], or a point of the next stretch would be found before one of this.
        points.retain(|at| begin <= *at && *at <= end);
        points
    }

    fn first_coming(&self, reading: Civil) -> Timestamp {
        let first = self.comings(reading).into_iter().min();
        first.unwrap_or_else(|| self.after_gap(reading))
    }

    fn last_coming(&self, reading: Civil) -> Timestamp {
        let last = self.comings(reading).into_iter().max();
        last.unwrap_or_else(|| self.after_gap(reading))
    }

    /// The instants at which the clock reads `reading`: none, one or two.
    ///
    /// Tried with every offset of those days, and read back. jiff's own answer (1.0.1,
    /// `to_ambiguous_timestamp`) is not asked, for it sees a fold where only the name of the offset
    /// changes, as in Nuuk on 2023-10-29.
    fn comings(&self, reading: Civil) -> Vec<Timestamp> {
        let (begin, end) = two_days_around(reading);
        let changes = self.zone.following(begin);
        changes
            .take_while(|change| change.timestamp() <= end)
            .map(|change| change.offset())
            .chain([self.zone.to_offset(begin)])
            .map(|offset| offset.to_timestamp(reading).expect("near"))
            .filter(|at| self.reading(*at) == reading)
            .collect()
    }

    /// The change that skipped a reading.
    fn after_gap(&self, reading: Civil) -> Timestamp {
        let skips = |at: &Timestamp| {
            let before = self.reading(*at - SignedDuration::from_secs(1));
            before < reading && reading < self.reading(*at)
        };
        let (begin, _) = two_days_around(reading);
        let mut changes = self.zone.following(begin).map(|change| change.timestamp());
        changes.find(skips).expect("a change that skips it")
    }

    fn reading(&self, at: Timestamp) -> Civil {
        self.zone.to_datetime(at)
    }
}

/// The same case in the crate's terms.
impl Case {
    pub(crate) fn rules(&self) -> AccessRules {
        // As text where a text says it, so that reading is tried, too.
        let moment = |reading: Civil| reading.strftime("%Y-%m-%dT%H:%M").to_string();
        let from = self
            .from
            .map(|from| LocalMoment::parse_start(&moment(from)));
        let until = self.until.map(|until| {
            let yesterday = until - 1.minute();
            if until.hour() == 0 && until.minute() == 0 && until.day() % 2 == 0 {
                LocalMoment::parse_end(&yesterday.date().to_string())
            } else {
                LocalMoment::parse_end(&moment(until))
            }
        });
        let range = Range::new(
            from.transpose().expect("a start"),
            until.transpose().expect("an end"),
        )
        .expect("a range");
        let windows: Vec<serde_json::Value> = self
            .windows
            .iter()
            .map(|window| {
                let days: Vec<i8> = window
                    .days
                    .iter()
                    .map(|day| day.to_monday_one_offset())
                    .collect();
                let text = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
                serde_json::json!({"days": days, "from": text(window.from), "to": text(window.to)})
            })
            .collect();
        let windows: Vec<WeeklyWindow> = serde_json::from_value(windows.into()).expect("windows");
        let max_uses = self
            .max_uses
            .map(|max| NonZeroU32::new(max).expect("from 1"));
        AccessRules::new(range, windows, self.closed_on_holidays, max_uses).expect("rules")
    }

    pub(crate) fn holidays(&self) -> Holidays {
        let dates: Vec<String> = self.holidays.iter().map(Date::to_string).collect();
        serde_json::from_value(dates.into()).expect("holidays")
    }

    pub(crate) fn calendar<'a>(
        &self,
        offsets: &'a Offsets,
        holidays: &'a Holidays,
    ) -> Calendar<'a> {
        Calendar { offsets, holidays }
    }

    pub(crate) fn uses(&self) -> Uses {
        Uses {
            spent: self.used,
            held_here: None,
        }
    }

    pub(crate) fn at(&self) -> DateTime<Utc> {
        instant(self.at.as_second())
    }

    /// The second of `at`'s minute, `days` days before.
    pub(crate) fn day_before_at(&self, days: i64) -> i64 {
        self.at.as_second().div_euclid(60) * 60 - days * 86_400
    }
}

fn two_days_around(reading: Civil) -> (Timestamp, Timestamp) {
    let as_if_utc = jiff::tz::Offset::UTC.to_timestamp(reading).expect("near");
    let days = SignedDuration::from_hours(48);
    (as_if_utc - days, as_if_utc + days)
}

pub(crate) fn instant(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).expect("near")
}
