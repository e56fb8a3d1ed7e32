//! Ranges and windows as Aliro's schedules, and back.

use aliro::document::{Recurrence, Schedule};

use super::NotOurs;
use crate::rules::{LocalMoment, Offsets, Range, Weekdays, WeeklyWindow};

/// Weekly schedules start in the first whole week of 1970: Monday, 5 January.
const FIRST_MONDAY: u32 = 4 * 86_400;
const DAY: u32 = 86_400;

/// The instants between which a range lies, in seconds since 1970 as Aliro has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The first instant of it; none when it has always begun.
    start: Option<u32>,
    /// The first instant after it.
    end: Option<u32>,
}

impl Bounds {
    pub(super) fn of(range: &Range, offsets: &Offsets) -> Self {
        let seconds = |at: i64| u32::try_from(at.max(0)).unwrap_or(u32::MAX);
        let start = range
            .from()
            .map(|from| seconds(offsets.start(from).timestamp()));
        let end = range
            .until()
            .map(|until| seconds(offsets.end(until).timestamp()));
        Self {
            start: start.filter(|start| *start > 0),
            end,
        }
    }

    /// The range on the wall clock, to the minute and no wider, if one can be read.
    pub(super) fn to_range(self, offsets: &Offsets) -> Option<Range> {
        let reading = |at: u32| {
            let at = chrono::DateTime::from_timestamp(at.into(), 0)?;
            Some(offsets.local(at).and_utc().timestamp())
        };
        let moment = |minutes: i64| LocalMoment::from_minutes(u32::try_from(minutes).ok()?).ok();
        let from = match self.start {
            Some(start) => Some(moment((reading(start)? + 59).div_euclid(60))?),
            None => None,
        };
        let until = match self.end {
            Some(end) => Some(moment(reading(end)?.div_euclid(60))?),
            None => None,
        };
        Range::new(from, until).ok()
    }

    /// What is denied: all before it, and all after it.
    pub(super) fn schedules(self) -> impl Iterator<Item = Schedule> {
        let once = |start, end| Schedule {
            start,
            end,
            recurrence: None,
            utc: true,
        };
        let before = self.start.map(|start| once(0, Some(start)));
        let after = self.end.map(|end| once(end, None));
        before.into_iter().chain(after)
    }

    pub(super) fn read<'a>(denied: impl Iterator<Item = &'a Schedule>) -> Result<Self, NotOurs> {
        let mut bounds = Self {
            start: None,
            end: None,
        };
        for schedule in denied {
            let known = match *schedule {
                Schedule {
                    start: 0,
                    end: Some(start),
                    recurrence: None,
                    utc: true,
                } => bounds.start.replace(start),
                Schedule {
                    start: end,
                    end: None,
                    recurrence: None,
                    utc: true,
                } => bounds.end.replace(end),
                _ => return Err(NotOurs),
            };
            if known.is_some() {
                return Err(NotOurs);
            }
        }
        Ok(bounds)
    }
}

/// A weekly window: a local schedule that comes every week on its days and lasts as long.
pub(super) fn weekly(window: &WeeklyWindow) -> Option<Schedule> {
    let duration = u32::from(window.minutes()) * 60;
    Some(Schedule {
        start: FIRST_MONDAY + u32::from(window.from()) * 60,
        end: None,
        // Never refused: a window has a day and a minute at least.
        recurrence: Some(Recurrence::weekly(window.days().bits(), duration).ok()?),
        utc: false,
    })
}

pub(super) fn window(schedule: &Schedule) -> Result<WeeklyWindow, NotOurs> {
    let minutes = |seconds: u32| {
        let minutes = u16::try_from(seconds / 60).ok()?;
        seconds.is_multiple_of(60).then_some(minutes)
    };
    let recurrence = schedule.recurrence.ok_or(NotOurs)?;
    let days = u8::try_from(recurrence.mask()).map_err(|_| NotOurs)?;
    let from = schedule
        .start
        .checked_sub(FIRST_MONDAY)
        .filter(|from| *from < DAY)
        .and_then(minutes)
        .ok_or(NotOurs)?;
    let length = minutes(recurrence.duration()).ok_or(NotOurs)?;
    let to = from.checked_add(length).ok_or(NotOurs)?;
    let to = if to > 1440 { to - 1440 } else { to };
    let window = Weekdays::from_bits(days)
        .and_then(|days| WeeklyWindow::new(days, from, to))
        .map_err(|_| NotOurs)?;
    if weekly(&window).as_ref() == Some(schedule) {
        Ok(window)
    } else {
        Err(NotOurs)
    }
}
