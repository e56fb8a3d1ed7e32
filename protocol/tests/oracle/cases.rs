//! Cases, most of them where clocks change.

use jiff::civil::{Date, DateTime as Civil, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::{Case, Window};
use crate::{Random, common};

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
