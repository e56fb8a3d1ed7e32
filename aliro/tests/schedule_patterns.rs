//! Schedules against a naive calendar: every occurrence is listed by going
//! through the days of each period one by one, with none of the crate's
//! arithmetic.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aliro::document::{Now, Pattern, Recurrence, Schedule};
use proptest::prelude::*;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Day {
    number: i64,
    year: i64,
    month: i64,
    date: i64,
    /// 0 Monday.
    weekday: i64,
    /// ISO 8601 week.
    week: i64,
    /// Weeks in that week's year.
    weeks: i64,
}

const DAY: i64 = 86_400;

/// 1969 to 2109, counted on from a known day.
static CALENDAR: LazyLock<Vec<Day>> = LazyLock::new(|| {
    let mut days = Vec::new();
    let (mut year, mut month, mut date) = (1969, 1, 1);
    // 1 January 1969 was a Wednesday.
    let mut weekday = 2;
    for number in -365.. {
        if year == 2110 {
            break;
        }
        days.push(Day {
            number,
            year,
            month,
            date,
            weekday,
            week: 0,
            weeks: 0,
        });
        weekday = if weekday == 6 { 0 } else { weekday + 1 };
        date += 1;
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let length = match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if date > length {
            (month, date) = (month + 1, 1);
        }
        if month > 12 {
            (year, month) = (year + 1, 1);
        }
    }
    number_weeks(&mut days);
    days
});

/// A week's year is the one that most of its days lie in.
fn number_weeks(days: &mut [Day]) {
    let monday = days
        .iter()
        .position(|day| day.weekday == 0)
        .expect("a Monday");
    let mut weeks_of: BTreeMap<i64, i64> = BTreeMap::new();
    for week in days[monday..].chunks_mut(7) {
        let in_last_year = week
            .iter()
            .filter(|day| day.year == week[6.min(week.len() - 1)].year);
        let year = if in_last_year.count() >= 4 {
            week[week.len() - 1].year
        } else {
            week[0].year
        };
        let number = weeks_of.entry(year).or_default();
        *number += 1;
        for day in week {
            day.week = *number;
            day.weeks = year;
        }
    }
    for day in &mut days[monday..] {
        day.weeks = weeks_of[&day.weeks];
    }
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    start: u32,
    end: Option<u32>,
    duration: u32,
    mask: u32,
    pattern: u8,
    interval: u8,
    ordinal: i8,
}

impl Rule {
    fn schedule(&self) -> Schedule {
        let pattern = [
            Pattern::Daily,
            Pattern::Weekly,
            Pattern::MonthlyByDay,
            Pattern::MonthlyByDate,
            Pattern::YearlyByDay,
            Pattern::YearlyByDate,
            Pattern::YearlyByWeek,
            Pattern::YearlyByMonthWeek,
        ][usize::from(self.pattern) - 1];
        Schedule {
            start: self.start,
            end: self.end,
            recurrence: Some(
                Recurrence::new(
                    self.duration,
                    self.mask,
                    pattern,
                    self.interval,
                    self.ordinal,
                )
                .expect("a rule of the pattern"),
            ),
            utc: true,
        }
    }

    fn has_weekday(&self, day: Day) -> bool {
        self.mask & (1 << day.weekday) != 0
    }

    fn has_weekday_if_any(&self, day: Day) -> bool {
        self.mask & 0x7f == 0 || self.has_weekday(day)
    }

    fn has_month(&self, day: Day) -> bool {
        self.mask & (1 << (6 + day.month)) != 0
    }

    /// The first second of every occurrence up to a day.
    fn occurrences(&self, last_day: i64) -> Vec<i64> {
        let first = i64::from(self.start) / DAY;
        let time_of_day = i64::from(self.start) % DAY;
        let days: Vec<Day> = CALENDAR.clone();
        let period = |day: &Day| match self.pattern {
            1 => day.number,
            // Mondays lie seven days apart, so any rounding serves.
            2 => (monday(*day) + 7_000).div_euclid(7),
            3 | 4 => day.year * 12 + day.month,
            _ => day.year,
        };
        let start = days[index(first)];
        let mut found = Vec::new();
        for group in days[..=index(last_day + 366)].chunk_by(|a, b| period(a) == period(b)) {
            let passed = period(&group[0]) - period(&start);
            if passed < 0 || passed % i64::from(self.interval) != 0 {
                continue;
            }
            found.extend(self.of_period(group).iter().map(|day| day.number));
        }
        found.sort_unstable();
        found
            .into_iter()
            .filter(|day| *day <= last_day)
            .map(|day| day * DAY + time_of_day)
            .filter(|begin| *begin >= i64::from(self.start))
            .filter(|begin| self.end.is_none_or(|end| *begin <= i64::from(end)))
            .collect()
    }

    /// The days of one week, month or year that count.
    fn of_period(&self, days: &[Day]) -> Vec<Day> {
        let months = || days.chunk_by(|a, b| (a.year, a.month) == (b.year, b.month));
        match self.pattern {
            1 => days.to_vec(),
            2 => keep(days, |day| self.has_weekday(day)),
            3 => self.nth_of_each_weekday(days),
            4 if self.ordinal == 0 => keep(days, |day| self.mask & (1 << (day.date - 1)) != 0),
            4 => keep(&self.nth(days), |day| self.has_weekday_if_any(day)),
            5 => months()
                .filter(|month| self.has_month(month[0]))
                .flat_map(|month| self.nth_of_each_weekday(month))
                .collect(),
            6 => months()
                .filter(|month| self.has_month(month[0]))
                .flat_map(|month| keep(&self.nth(month), |day| self.has_weekday_if_any(day)))
                .collect(),
            7 => keep(days, |day| {
                let wanted = if self.ordinal > 0 {
                    i64::from(self.ordinal)
                } else {
                    day.weeks + 1 + i64::from(self.ordinal)
                };
                day.week == wanted
                    && self.has_weekday_if_any(day)
                    && (self.mask >> 7 == 0 || self.has_month(day))
            }),
            _ => months()
                .filter(|month| self.has_month(month[0]))
                .flat_map(|month| {
                    // A week counts where most of its seven days lie, so the
                    // first one may be short but holds at least four.
                    let weeks: Vec<&[Day]> = month
                        .chunk_by(|a, b| monday(*a) == monday(*b))
                        .filter(|week| week.len() >= 4)
                        .collect();
                    let week = pick(weeks.len(), self.ordinal).map(|index| weeks[index]);
                    keep(week.unwrap_or_default(), |day| self.has_weekday_if_any(day))
                })
                .collect(),
        }
    }

    fn nth(&self, days: &[Day]) -> Vec<Day> {
        pick(days.len(), self.ordinal)
            .map(|index| days[index])
            .into_iter()
            .collect()
    }

    fn nth_of_each_weekday(&self, month: &[Day]) -> Vec<Day> {
        (0..7)
            .filter(|weekday| self.mask & (1 << weekday) != 0)
            .flat_map(|weekday| self.nth(&keep(month, |day| day.weekday == weekday)))
            .collect()
    }
}

fn keep(days: &[Day], wanted: impl Fn(Day) -> bool) -> Vec<Day> {
    days.iter().copied().filter(|day| wanted(*day)).collect()
}

/// 1 is the first, -1 the last.
fn pick(len: usize, ordinal: i8) -> Option<usize> {
    let ordinal = isize::from(ordinal);
    let index = if ordinal > 0 {
        ordinal - 1
    } else {
        len as isize + ordinal
    };
    usize::try_from(index).ok().filter(|index| *index < len)
}

fn monday(day: Day) -> i64 {
    day.number - day.weekday
}

fn index(number: i64) -> usize {
    usize::try_from(number + 365).expect("from 1969")
}

/// Any rule that the table of patterns has.
fn rule() -> impl Strategy<Value = Rule> {
    let ordinals = |most: i8| (1..=most).prop_flat_map(|n| prop_oneof![Just(n), Just(-n)]);
    let weekdays = 1u32..0x80;
    let any_weekdays = prop_oneof![Just(0u32), 1u32..0x80];
    let months = (1u32..0x1000).prop_map(|months| months << 7);
    let shape = prop_oneof![
        Just((1u8, 0u32, 0i8)),
        weekdays.clone().prop_map(|mask| (2, mask, 0)),
        (weekdays.clone(), ordinals(5)).prop_map(|(mask, n)| (3, mask, n)),
        (1u32..0x8000_0000).prop_map(|mask| (4, mask, 0)),
        (any_weekdays.clone(), ordinals(31)).prop_map(|(mask, n)| (4, mask, n)),
        (weekdays, months.clone(), ordinals(5)).prop_map(|(days, months, n)| (5, days | months, n)),
        (any_weekdays.clone(), months.clone(), ordinals(31)).prop_map(|(days, months, n)| (
            6,
            days | months,
            n
        )),
        (
            any_weekdays.clone(),
            prop_oneof![Just(0u32), months.clone()],
            ordinals(53)
        )
            .prop_map(|(days, months, n)| (7, days | months, n)),
        (any_weekdays, months, ordinals(5)).prop_map(|(days, months, n)| (8, days | months, n)),
    ];
    let seconds = 86_400u32 * 365;
    (
        shape,
        // From 1970 to 2099, with durations that reach over midnight and more.
        0..seconds * 130,
        prop_oneof![1u32..4 * 86_400, Just(86_400), 1u32..40 * 86_400],
        prop_oneof![Just(1u8), 1u8..5, 1u8..=255],
        proptest::option::of(0..seconds * 6),
    )
        .prop_map(
            |((pattern, mask, ordinal), start, duration, interval, length)| Rule {
                start,
                end: length
                    .and_then(|length| start.checked_add(length))
                    .filter(|end| *end != 0),
                duration,
                mask,
                pattern,
                interval,
                ordinal,
            },
        )
}

fn is_active(schedule: &Schedule, at: i64) -> bool {
    // The other clock is far off, to show that it is not looked at.
    schedule.is_active(Now {
        utc: at,
        local: at + 1_000_000_000,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn active_exactly_while_a_listed_occurrence_runs(
        rule in rule(),
        years in 0i64..9,
        offsets in proptest::collection::vec(0i64..366 * 86_400, 12),
    ) {
        let start = i64::from(rule.start);
        let horizon = (start / DAY + (years + 2) * 366).min(CALENDAR[CALENDAR.len() - 1].number - 2 * 366);
        let schedule = rule.schedule();
        let begins = rule.occurrences(horizon);
        let expected = |at: i64| {
            begins.iter().any(|begin| (*begin..begin + i64::from(rule.duration)).contains(&at))
        };
        let around = begins.iter().rev().take(6).chain(begins.iter().take(6)).flat_map(|begin| {
            let end = begin + i64::from(rule.duration);
            [begin - 1, *begin, end - 1, end]
        });
        let anywhere = offsets.iter().map(|offset| start - 86_400 + years * 366 * DAY + offset);
        for at in around.chain(anywhere).filter(|at| *at < horizon * DAY) {
            prop_assert_eq!(is_active(&schedule, at), expected(at), "at {}", at);
        }
    }

    #[test]
    fn a_span_is_active_from_its_start_until_before_its_end(
        start in any::<u32>(), length in 1u32..1_000_000, offset in -10i64..1_000_010,
    ) {
        let end = start.saturating_add(length);
        let schedule = Schedule { start, end: Some(end), recurrence: None, utc: true };
        let at = i64::from(start) + offset;
        prop_assert_eq!(
            is_active(&schedule, at),
            (i64::from(start)..i64::from(end)).contains(&at)
        );
    }

    #[test]
    fn no_moment_and_no_rule_panics(rule in rule(), at in any::<i64>(), duration in 1..=u32::MAX) {
        let _ = is_active(&Rule { duration, ..rule }.schedule(), at.saturating_sub(2_000_000_000));
    }
}

#[test]
fn local_schedules_look_at_the_wall_clock() {
    let schedule = Schedule {
        start: 1_000,
        end: Some(2_000),
        recurrence: None,
        utc: false,
    };
    let at = |utc, local| schedule.is_active(Now { utc, local });
    assert!(at(0, 1_000));
    assert!(!at(1_000, 0));
    assert!(!at(1_000, 2_000));
}

#[test]
fn days_that_people_would_name() {
    let rule = |pattern, mask, ordinal, start| Rule {
        start,
        end: None,
        duration: 3600,
        mask,
        pattern,
        interval: 1,
        ordinal,
    };
    let friday = 1 << 4;
    let november = 1 << 17;
    let thursday = 1 << 3;
    let noon = 12 * 3600;
    let at = |rule: Rule, seconds| is_active(&rule.schedule(), seconds);
    // Friday, 13 November 2026, noon: 1794571200.
    let friday_13th = 1_794_571_200;
    assert!(at(rule(4, friday, 13, noon), friday_13th));
    assert!(!at(rule(4, thursday, 13, noon), friday_13th));
    // Thanksgiving 2026: Thursday, 26 November.
    let thanksgiving = friday_13th + 13 * DAY;
    assert!(at(rule(5, thursday | november, 4, noon), thanksgiving));
    assert!(at(rule(5, thursday | november, -1, noon), thanksgiving));
    assert!(!at(rule(5, thursday | november, 3, noon), thanksgiving));
    // Its ISO week is 48 of 53, and the fourth of November.
    assert!(at(rule(7, 0, 48, noon), thanksgiving));
    assert!(at(rule(7, thursday, -6, noon), thanksgiving));
    assert!(at(rule(8, november, 4, noon), thanksgiving));
    assert!(at(rule(8, november, -1, noon), thanksgiving));
}
