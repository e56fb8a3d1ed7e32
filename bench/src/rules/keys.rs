//! A door's 5,000 keys: 70 % that open now, and every reason why one may not; half of all with two windows
//! and closed on holidays.

use std::collections::HashMap;
use std::num::NonZeroU32;

use chrono::{Datelike as _, NaiveDate, TimeDelta};
use latchkey_protocol::ids::PassId;
use latchkey_protocol::rules::{
    AccessRules, Calendar, Clock, Facts, Holidays, LocalMoment, Offsets, Range, Reason, Reasons,
    Uses, WeeklyWindow, verdict,
};
use serde_json::json;

use super::{now, offsets};

const KEYS: usize = 5_000;
/// Of ten keys, those that open.
const OPEN_OF_TEN: usize = 7;

/// The keys and the calendar that they are read with.
pub(super) struct Property {
    offsets: Offsets,
    holidays: Holidays,
    keys: HashMap<PassId, AccessRules>,
    /// In no order that a processor could guess.
    asked: Vec<Asked>,
}

/// Somebody before the door.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) credential: PassId,
    pub(super) facts: Facts,
}

/// A key, and the moment at which it is shown.
struct Shown {
    rules: AccessRules,
    facts: Facts,
}

impl Property {
    pub(super) fn new() -> Self {
        let (offsets, holidays) = (offsets(), holidays());
        let mut keys = HashMap::new();
        let mut asked = Vec::new();
        for (number, shown) in mix().into_iter().enumerate() {
            let credential = credential(number);
            keys.insert(credential, shown.rules);
            let facts = shown.facts;
            asked.push(Asked { credential, facts });
        }
        asked.sort_unstable_by_key(|asked| asked.credential);
        let property = Self {
            offsets,
            holidays,
            keys,
            asked,
        };
        property.check();
        property
    }

    /// The next in turn.
    pub(super) fn asked(&self, turn: &mut usize) -> &Asked {
        *turn = (*turn + 1) % KEYS;
        &self.asked[*turn]
    }

    pub(super) fn all_asked(&self) -> &[Asked] {
        &self.asked
    }

    pub(super) fn found(&self, credential: PassId) -> &AccessRules {
        &self.keys[&credential]
    }

    pub(super) fn calendar(&self) -> Calendar<'_> {
        Calendar {
            offsets: &self.offsets,
            holidays: &self.holidays,
        }
    }

    /// What the rules say.
    pub(super) fn verdict(&self, asked: &Asked) -> Result<(), Reason> {
        verdict(self.found(asked.credential), &self.calendar(), &asked.facts)
    }

    /// That the mix is what it is said to be.
    fn check(&self) {
        let is_open = |asked: &&Asked| self.verdict(asked).is_ok();
        let open = self.asked.iter().filter(is_open).count();
        assert_eq!(open, KEYS / 10 * OPEN_OF_TEN, "keys that open");
        for reason in Reason::ALL {
            let says = |asked: &Asked| self.verdict(asked) == Err(*reason);
            assert!(self.asked.iter().any(says), "nobody hears {reason}");
        }
        let heeds = |rules: &&AccessRules| rules.windows().len() == 2 && rules.closed_on_holidays();
        let bound = self.keys.values().filter(heeds).count();
        assert_eq!(bound, KEYS / 2, "keys with two windows and holidays");
    }
}

/// All keys.
fn mix() -> Vec<Shown> {
    let open = KEYS / 10 * OPEN_OF_TEN;
    let denied = (open..KEYS).map(|number| {
        let turn = number - open;
        let reason = Reason::ALL[turn % Reason::ALL.len()];
        denied(reason, (turn / Reason::ALL.len()).is_multiple_of(2))
    });
    let mut all: Vec<Shown> = denied.collect();
    let bound = all.iter().filter(|shown| shown.rules.closed_on_holidays());
    let missing = KEYS / 2 - bound.count();
    all.extend((0..open).map(|number| opening(number < missing)));
    all
}

fn opening(bound: bool) -> Shown {
    let windows = if bound { MORNINGS } else { &[] };
    Shown {
        rules: rules(Range::new(None, None), windows, None),
        facts: Facts::at(now()),
    }
}

/// Tuesdays, and Fridays about eight.
const MORNINGS: &[(&str, &str, &str)] = &[("tue", "09:00", "11:00"), ("fri", "07:00", "12:00")];

/// One that hears this reason; bound by windows and holidays if it has to be, or is to be.
fn denied(reason: Reason, bound: bool) -> Shown {
    let mut facts = Facts::at(now());
    let (mut range, mut max_uses) = (Range::new(None, None), None);
    let mut windows = if bound { MORNINGS } else { &[] };
    match reason {
        Reason::Expired => {
            range = Range::new(
                None,
                Some(LocalMoment::parse_end("2027-01-14").expect("a day")),
            );
        }
        Reason::TooEarly => {
            let from = LocalMoment::parse_start("2027-01-16").expect("a day");
            range = Range::new(Some(from), None);
        }
        Reason::UsedUp => {
            max_uses = NonZeroU32::new(30);
            facts.uses.spent = 30;
        }
        Reason::NoUsesHeldHere => {
            max_uses = NonZeroU32::new(30);
            facts.uses = Uses {
                spent: 3,
                held_here: Some(0),
            };
        }
        Reason::Holiday => {
            facts.clock = Clock::Sure(now() + TimeDelta::days(7));
            windows = MORNINGS;
        }
        Reason::WrongDay => windows = &[("mon", "07:00", "12:00"), ("tue", "08:00", "13:00")],
        Reason::OutsideHours => windows = &[("tue", "09:00", "11:00"), ("fri", "14:00", "16:00")],
        Reason::ClockUnsure => {
            facts.clock = Clock::Unsure;
            windows = MORNINGS;
        }
        // What is wrong with the credential itself is no matter of rules.
        _ => facts.against = Reasons::NONE.with(reason),
    }
    Shown {
        rules: rules(range, windows, max_uses),
        facts,
    }
}

fn rules<E: std::fmt::Debug>(
    range: Result<Range, E>,
    windows: &[(&str, &str, &str)],
    max_uses: Option<NonZeroU32>,
) -> AccessRules {
    let window = |(day, from, to): &(&str, &str, &str)| -> WeeklyWindow {
        let text = json!({ "days": [day], "from": from, "to": to });
        serde_json::from_value(text).expect("a window")
    };
    let closed_on_holidays = !windows.is_empty();
    let range = range.expect("a range");
    let windows = windows.iter().map(window);
    AccessRules::new(range, windows, closed_on_holidays, max_uses).expect("rules")
}

/// Eleven a year for ten years, one of them a week after the moment of all measurements.
fn holidays() -> Holidays {
    let first = (now() + TimeDelta::days(7)).date_naive();
    let of_year = |year: i32| {
        let months = (1..=10).filter_map(move |month| NaiveDate::from_ymd_opt(year, month, 28));
        months.chain(first.with_year(year))
    };
    Holidays::new((2027..2037).flat_map(of_year)).expect("holidays")
}

/// As random as ids are, and the same in each run.
fn credential(number: usize) -> PassId {
    let mut id = [0; 8];
    let digest = ring::digest::digest(&ring::digest::SHA256, &number.to_be_bytes());
    id.copy_from_slice(&digest.as_ref()[..8]);
    PassId(id)
}
