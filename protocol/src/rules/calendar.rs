//! What the calendar says of a key at an instant, and when it next says something else.
//!
//! All is done in seconds: instants since 1970 in UTC, and the wall clock's readings as if they
//! were UTC. Within one stretch of offsets the two differ by a constant.

use super::access::{AccessRules, starting_days};
use super::holidays::Holidays;
use super::offsets::Offsets;
use super::reason::Reason;

const DAY: i64 = 86_400;

/// How far ahead a change is looked for, that distance included: 366 × 24 hours.
pub(super) const HORIZON: i64 = 366 * DAY;

/// What of a property the calendar needs.
#[derive(Clone, Copy, Debug)]
pub struct Calendar<'a> {
    /// The property's time zone.
    pub offsets: &'a Offsets,
    /// The property's holidays.
    pub holidays: &'a Holidays,
}

/// One key's rules in one property's calendar.
#[derive(Clone, Copy)]
pub(super) struct Week<'a> {
    rules: &'a AccessRules,
    calendar: &'a Calendar<'a>,
}

impl<'a> Week<'a> {
    pub(super) const fn new(rules: &'a AccessRules, calendar: &'a Calendar<'a>) -> Self {
        Self { rules, calendar }
    }

    /// What windows and holidays say at an instant.
    pub(super) fn verdict(&self, at: i64) -> Result<(), Reason> {
        let wall = self.calendar.offsets.wall(at);
        let today = wall.div_euclid(DAY);
        let mut runs = false;
        let mut starts_today = false;
        for window in self.rules.asked_windows() {
            // A window lasts 24 hours at most, so none that runs is older than yesterday's.
            for day in [today, today - 1] {
                let Some((start, end)) = window.on_day(day) else {
                    continue;
                };
                starts_today |= day == today;
                if start <= wall && wall < end {
                    runs = true;
                    if !self.is_closed(day) {
                        return Ok(());
                    }
                }
            }
        }
        Err(if runs || self.is_closed(today) {
            Reason::Holiday
        } else if starts_today {
            Reason::OutsideHours
        } else {
            Reason::WrongDay
        })
    }

    /// The first instant from `from` to `last`, both included, at which a window runs.
    pub(super) fn next_open(&self, from: i64, last: i64) -> Option<i64> {
        let mut at = from;
        loop {
            let stretch = self.calendar.offsets.stretch(at);
            let stop = stretch.end.min(last.saturating_add(1));
            let open = self.first_open_reading(at + stretch.offset, stop + stretch.offset);
            if let Some(wall) = open {
                return Some(wall - stretch.offset);
            }
            if stretch.end > last {
                return None;
            }
            at = stretch.end;
        }
    }

    /// The first instant from `from` to `last`, both included, at which no window runs.
    pub(super) fn next_closed(&self, from: i64, last: i64) -> Option<i64> {
        let mut at = from;
        while at <= last {
            if self.rules.gapless() {
                at = at.max(self.before_next_holiday(at)?);
            }
            let stretch = self.calendar.offsets.stretch(at);
            match self.open_until(at + stretch.offset) {
                Some(end) => at = (end - stretch.offset).min(stretch.end),
                None => return (at <= last).then_some(at),
            }
        }
        None
    }

    /// For a key whose windows leave no minute of the week: the next instant at which a holiday
    /// can close it, which may be `at` itself.
    fn before_next_holiday(&self, at: i64) -> Option<i64> {
        if !self.rules.closed_on_holidays() {
            return None;
        }
        let today = self.calendar.offsets.wall(at).div_euclid(DAY);
        let holidays = self.calendar.holidays;
        // Yesterday's windows may still run, and what starts on a holiday is closed until it ends.
        // A clock that is set back past midnight shows the day before yesterday's, too.
        let day = holidays.after_day(today - 3)?;
        Some(if day <= today {
            at
        } else {
            self.calendar.offsets.start_seconds(day * DAY)
        })
    }

    /// The first reading of the wall clock from `from`, before `until`, at which a window runs;
    /// within one stretch.
    fn first_open_reading(&self, from: i64, until: i64) -> Option<i64> {
        let windows = self.rules.asked_windows();
        let days = starting_days(windows);
        let mut first = until;
        let mut day = from.div_euclid(DAY) - 1;
        while day * DAY < first {
            if days.contains_epoch_day(day) && !self.is_closed(day) {
                for (start, end) in windows.iter().filter_map(|window| window.on_day(day)) {
                    if end > from {
                        first = first.min(start.max(from));
                    }
                }
            }
            day += 1;
        }
        (first < until).then_some(first)
    }

    /// The latest end of the windows that run when the wall clock reads `wall`.
    fn open_until(&self, wall: i64) -> Option<i64> {
        let today = wall.div_euclid(DAY);
        let open = [!self.is_closed(today), !self.is_closed(today - 1)];
        let windows = self.rules.asked_windows().iter();
        windows
            .flat_map(|window| {
                let on = |open, day| if open { window.on_day(day) } else { None };
                [on(open[0], today), on(open[1], today - 1)]
            })
            .flatten()
            .filter(|&(start, end)| start <= wall && wall < end)
            .map(|(_, end)| end)
            .max()
    }

    fn is_closed(&self, day: i64) -> bool {
        self.rules.closed_on_holidays() && self.calendar.holidays.contains_day(day)
    }
}
