//! An access decision told in jiff's terms, and the cases to try it on.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use jiff::civil::{Date, DateTime as Civil, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use latchkey_protocol::rules::{
    AccessRules, Calendar, Holidays, LocalMoment, Offsets, Range, Reason, Uses, WeeklyWindow,
};

use crate::{Random, common};

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

/// Cases, most of them where clocks change.
impl Case {
    pub(crate) fn make(random: &mut Random, zone: &str) -> Self {
        let zone = common::zone(zone);
        let middle = middle(random, &zone);
        let at = middle
            + SignedDuration::from_secs(match random.below(3) {
                0 => random.between(-7_200, 7_200),
                1 => random.between(-86_400, 86_400),
                _ => random.between(-4 * 86_400, 4 * 86_400),
            });
        let at = if random.chance(30) { middle } else { at };
        let (from, until) = range(random, zone.to_datetime(middle));
        let windows = match random.below(10) {
            0..3 => 0,
            3..6 => 1,
            6..8 => 2,
            _ => random.below(7),
        };
        let max_uses = random.chance(30).then(|| random.between(1, 3) as u32);
        let case = Self {
            windows: (0..windows)
                .map(|_| window(random, zone.to_datetime(middle)))
                .collect(),
            closed_on_holidays: random.chance(60),
            holidays: holidays(random, zone.to_datetime(at).date()),
            used: random.below(4) as u32,
            max_uses,
            zone,
            from,
            until,
            at,
        };
        if random.chance(4) {
            return case.opening_at_the_horizon(random);
        }
        case
    }

    /// Begins as far ahead as changes are looked for, give or take a second.
    fn opening_at_the_horizon(self, random: &mut Random) -> Self {
        let minute = Timestamp::from_second(self.day_before_at(0)).expect("near");
        let horizon = minute + SignedDuration::from_hours(366 * 24);
        Self {
            from: Some(self.reading(horizon)),
            until: None,
            used: 0,
            at: minute + SignedDuration::from_secs(random.between(-1, 1)),
            ..self
        }
    }
}

/// A change of offset, or any instant, in 2020 to 2040.
fn middle(random: &mut Random, zone: &TimeZone) -> Timestamp {
    const YEARS_2020_TO_2040: std::ops::RangeInclusive<i64> = 1_577_836_800..=2_240_611_199;
    let any = random.between(*YEARS_2020_TO_2040.start(), *YEARS_2020_TO_2040.end());
    let any = Timestamp::from_second(any).expect("near");
    if random.chance(20) {
        return any;
    }
    let change = zone.preceding(any).next().map(|change| change.timestamp());
    change
        .filter(|at| YEARS_2020_TO_2040.contains(&at.as_second()))
        .unwrap_or(any)
}

/// A start and an end on one of which the clocks may change, to the minute or as whole days.
fn range(random: &mut Random, near: Civil) -> (Option<Civil>, Option<Civil>) {
    let mut side = |percent: usize, days: i64| {
        if !random.chance(percent) {
            return None;
        }
        let reading = minute_near(random, near) + random.between(-days, days).days();
        Some(match random.chance(30) {
            true => reading.date().at(0, 0, 0, 0),
            false => reading,
        })
    };
    let from = side(45, 2).map(|from| {
        if from.day() % 3 == 0 {
            from - 40.days()
        } else {
            from
        }
    });
    let until = side(45, 3).map(|until| {
        if until.day() % 3 == 0 {
            until + 70.days()
        } else {
            until
        }
    });
    match (from, until) {
        (Some(from), Some(until)) if until <= from => (Some(from), Some(from + 90.minutes())),
        sides => sides,
    }
}

fn minute_near(random: &mut Random, near: Civil) -> Civil {
    let minute = near.date().at(near.hour(), near.minute(), 0, 0);
    minute
        + match random.below(4) {
            0 => 0,
            1 => random.between(-8, 8) * 15,
            _ => random.between(-200, 200),
        }
        .minutes()
}

fn window(random: &mut Random, near: Civil) -> Window {
    let time = |random: &mut Random| match random.below(3) {
        0 => random.between(0, 23) * 60,
        1 => random.between(0, 1_439),
        _ => {
            let near = minute_near(random, near);
            i64::from(near.hour()) * 60 + i64::from(near.minute())
        }
    };
    let from = if random.chance(20) { 0 } else { time(random) };
    let to = match random.below(10) {
        0..2 => 1_440,
        2 => from,
        _ => time(random),
    };
    let monday = jiff::civil::date(2024, 1, 1);
    let all: Vec<Weekday> = (0..7)
        .map(|day: i64| (monday + day.days()).weekday())
        .collect();
    let mut days: Vec<Weekday> = match random.below(4) {
        0 => all,
        1 => vec![near.date().weekday()],
        _ => all.into_iter().filter(|_| random.chance(40)).collect(),
    };
    if days.is_empty() {
        days.push(near.date().weekday());
    }
    Window { days, from, to }
}

fn holidays(random: &mut Random, near: Date) -> Vec<Date> {
    let mut days: Vec<Date> = (-2..3i64)
        .filter(|_| random.chance(25))
        .map(|day| near + day.days())
        .collect();
    for _ in 0..random.below(6) {
        days.push(near + random.between(-10, 380).days());
    }
    if random.chance(2) {
        // Closed for a year and about a day: the next yes lies at the horizon.
        let length = 364 + random.below(5) as i64;
        days.extend((0..length).map(|day| near + day.days()));
    }
    days
}
