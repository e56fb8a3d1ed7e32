//! Rules beside other rules: whether some lie within others, and what of them does.
//!
//! Windows are compared as the wall clock reads them, minute by minute of a week. Where holidays close the outer
//! rules, a window lies within another only if both start on the same day, since that day is the one that counts.

use super::access::{AccessRules, RulesError};
use super::local::{MINUTES_A_DAY, Range};
use super::window::{Weekdays, WeeklyWindow};

/// In what some rules reach beyond others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wider {
    /// They start earlier.
    Start,
    /// They end later.
    End,
    /// They open on weekdays or at hours at which the others do not.
    Hours,
    /// Holidays close the others and not them.
    Holidays,
    /// They have more uses.
    Uses,
}

impl AccessRules {
    /// In what these rules reach beyond `outer`: without any of it there is no instant at which they open and `outer`
    /// does not. Where that is not plain to see, they reach beyond: hours that several windows of `outer` cover only
    /// together are not looked for.
    #[must_use]
    pub fn wider_than(&self, outer: &Self) -> Vec<Wider> {
        let starts_earlier = outer
            .range()
            .from()
            .is_some_and(|outer| self.range().from().is_none_or(|own| own < outer));
        let ends_later = outer
            .range()
            .until()
            .is_some_and(|outer| self.range().until().is_none_or(|own| own > outer));
        let more_uses = outer
            .max_uses()
            .is_some_and(|outer| self.max_uses().is_none_or(|own| own > outer));
        let wider = [
            (starts_earlier, Wider::Start),
            (ends_later, Wider::End),
            (!self.keeps_hours_of(outer), Wider::Hours),
            (
                outer.closed_on_holidays() && !self.closed_on_holidays(),
                Wider::Holidays,
            ),
            (more_uses, Wider::Uses),
        ];
        let wider = wider.into_iter().filter(|(is_wider, _)| *is_wider);
        wider.map(|(_, what)| what).collect()
    }

    /// Whether they reach beyond `outer` in nothing.
    #[must_use]
    pub fn is_within(&self, outer: &Self) -> bool {
        self.wider_than(outer).is_empty()
    }

    /// What of these rules lies within `outer`: open only when both are. None when nothing does, or nothing that rules
    /// can say.
    #[must_use]
    pub fn cut_to(&self, outer: &Self) -> Option<Self> {
        if self.is_within(outer) {
            return Some(self.clone());
        }
        let from = self.range().from().max(outer.range().from());
        let until = match (self.range().until(), outer.range().until()) {
            (Some(own), Some(outer)) => Some(own.min(outer)),
            (own, outer) => own.or(outer),
        };
        let uses = match (self.max_uses(), outer.max_uses()) {
            (Some(own), Some(outer)) => Some(own.min(outer)),
            (own, outer) => own.or(outer),
        };
        let cut = || {
            let closed = self.closed_on_holidays() || outer.closed_on_holidays();
            let range = Range::new(from, until)?;
            Self::new(range, self.hours_within(outer)?, closed, uses)
        };
        let cut: Result<Self, RulesError> = cut();
        cut.ok()
    }

    fn keeps_hours_of(&self, outer: &Self) -> bool {
        if outer.gapless() && !outer.closed_on_holidays() {
            return true;
        }
        if self.windows().is_empty() {
            return outer.windows().is_empty();
        }
        self.windows().iter().all(|own| {
            own.days().iter().all(|day| {
                let mut parts = outer.parts_within(own, day);
                parts.any(|part| part.minutes() == own.minutes())
            })
        })
    }

    /// Hours at which both sets of windows run.
    fn hours_within(&self, outer: &Self) -> Result<Vec<WeeklyWindow>, RulesError> {
        if self.keeps_hours_of(outer) {
            return Ok(self.windows().to_vec());
        }
        if self.windows().is_empty() && !self.closed_on_holidays() {
            return Ok(outer.windows().to_vec());
        }
        let both: Vec<_> = self
            .asked_windows()
            .iter()
            .flat_map(|own| own.days().iter().map(move |day| (own, day)))
            .flat_map(|(own, day)| outer.parts_within(own, day))
            .collect();
        // No window at all would mean always.
        if both.is_empty() {
            return Err(RulesError::NoWeekday);
        }
        Ok(both)
    }

    /// The parts of `own`, as it starts on this day, at which a window of these rules runs. Each starts on that day, too.
    fn parts_within<'a>(
        &'a self,
        own: &'a WeeklyWindow,
        day: chrono::Weekday,
    ) -> impl Iterator<Item = WeeklyWindow> + 'a {
        let midnight = i32::from(MINUTES_A_DAY);
        let of_the_day_before = (!self.closed_on_holidays()).then_some((day.pred(), midnight));
        let starts = [Some((day, 0)), of_the_day_before];
        let windows = starts.into_iter().flatten().flat_map(|(start, earlier)| {
            let windows = self.asked_windows().iter();
            let on_the_day = windows.filter(move |window| window.days().contains(start));
            on_the_day.map(move |window| span(window, earlier))
        });
        windows.filter_map(move |(outer_from, outer_until)| {
            let (from, until) = span(own, 0);
            let (from, until) = (from.max(outer_from), until.min(outer_until));
            if from >= until {
                return None;
            }
            let minute = |at: i32| u16::try_from(at % midnight).unwrap_or_default();
            // Both start on the day or before it, so the part does; it cannot but be a window.
            WeeklyWindow::new(Weekdays::from_iter([day]), minute(from), minute(until)).ok()
        })
    }
}

/// From when until when a window runs, in minutes after midnight of the day `earlier` minutes after the one on which it
/// starts.
fn span(window: &WeeklyWindow, earlier: i32) -> (i32, i32) {
    let from = i32::from(window.from()) - earlier;
    (from, from + i32::from(window.minutes()))
}
