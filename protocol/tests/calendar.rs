//! The decision against an independent calendar: jiff, which holds the zone database itself and
//! is asked in its own terms, for each instant at which the answer could change.
//!
//! `cargo test` takes a sample with a seed that it prints. `CALENDAR_SEED` repeats one;
//! `CALENDAR_CASES` asks for more (1,000,000 in `cargo xtask soak`).

mod common;
mod oracle;

use std::hash::{BuildHasher, RandomState};

use latchkey_protocol::rules::{Decision, Facts, Offsets, Reason, decide, verdict};
use oracle::{Answer, Case};

/// Zones of all kinds: both hemispheres, changes at midnight, of half an hour and two hours,
/// against the sun, by Ramadan, given up, taken up and moved between 2020 and 2040, far from UTC,
/// with odd minutes, and with no change at all.
const ZONES: [&str; 64] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Lisbon",
    "Europe/Athens",
    "Europe/Istanbul",
    "Europe/Moscow",
    "Europe/Volgograd",
    "Europe/Chisinau",
    "Europe/Kyiv",
    "Atlantic/Azores",
    "Atlantic/Reykjavik",
    "Atlantic/Bermuda",
    "Atlantic/Stanley",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "America/Adak",
    "America/St_Johns",
    "America/Halifax",
    "America/Vancouver",
    "America/Whitehorse",
    "America/Havana",
    "America/Mexico_City",
    "America/Ciudad_Juarez",
    "America/Bogota",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Asuncion",
    "America/Nuuk",
    "America/Scoresbysund",
    "America/Port-au-Prince",
    "America/Caracas",
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "Africa/Cairo",
    "Africa/Juba",
    "Africa/Lagos",
    "Africa/Johannesburg",
    "Asia/Jerusalem",
    "Asia/Beirut",
    "Asia/Damascus",
    "Asia/Amman",
    "Asia/Gaza",
    "Asia/Tehran",
    "Asia/Almaty",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Australia/Eucla",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Antarctica/Casey",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Pacific/Kiritimati",
];

/// Decisions in 2020 to 2040, changes looked for up to a year beyond.
const YEARS: std::ops::Range<i16> = 2019..2043;

#[test]
fn decision_agrees_with_an_independent_calendar() {
    let cases = number("CALENDAR_CASES").unwrap_or(1_500);
    let mut random = Random::seeded();
    let zones = expanded();
    let mut seen = std::collections::BTreeMap::<&str, u64>::new();
    for number in 0..cases {
        let (zone, offsets) = &zones[random.below(zones.len())];
        let case = Case::make(&mut random, zone);
        let (ours, theirs) = (answer(&case, offsets), case.answer());
        assert_eq!(
            ours, theirs,
            "ours, then jiff's; number {number}: {case:#?}"
        );
        *seen.entry(theirs.verdict).or_default() += 1;
    }
    println!("{cases} cases, no disagreement: {seen:?}");
    for kind in [
        "yes",
        "expired",
        "used_up",
        "too_early",
        "holiday",
        "wrong_day",
        "outside_hours",
    ] {
        let share = seen.get(kind).copied().unwrap_or(0) as f64 / cases as f64;
        assert!(
            share > 0.01,
            "the sample says next to nothing of {kind}: {share}"
        );
    }
}

/// Every minute of nine days around a change of offset, read off jiff one by one: no candidate
/// instants, no jumps, so no assumption shared with what it checks.
#[test]
fn every_minute_around_a_change_agrees() {
    let cases = number("CALENDAR_CASES").unwrap_or(1_500) / 100;
    let mut random = Random::seeded();
    let zones = expanded();
    for number in 0..cases {
        let (zone, offsets) = &zones[random.below(zones.len())];
        let case = Case::make(&mut random, zone);
        let rules = case.rules();
        let holidays = case.holidays();
        let calendar = case.calendar(offsets, &holidays);
        let minutes: Vec<_> = (0..9 * 24 * 60)
            .map(|minute| case.day_before_at(4) + minute * 60)
            .map(|second| (second, case.verdict_at(second)))
            .collect();
        // The next minute of another answer, found backwards.
        let mut change: Option<i64> = None;
        for (index, &(second, theirs)) in minutes.iter().enumerate().rev() {
            let is_yes = |at: usize| minutes.get(at).map(|(_, verdict)| verdict.is_ok());
            if is_yes(index + 1).is_some_and(|next| next != theirs.is_ok()) {
                change = Some(minutes[index + 1].0);
            }
            let facts = Facts {
                uses: case.uses(),
                ..Facts::at(oracle::instant(second))
            };
            assert_eq!(
                verdict(&rules, &calendar, &facts),
                theirs,
                "{number} {second} {case:#?}"
            );
            if index % 7 == 0 && change.is_some() && theirs.err().is_none_or(Reason::is_of_calendar)
            {
                let ours = decide(&rules, &calendar, &facts).changes_at();
                assert_eq!(
                    ours,
                    change.map(oracle::instant),
                    "{number} {second} {case:#?}"
                );
            }
        }
    }
}

fn answer(case: &Case, offsets: &Offsets) -> Answer {
    let holidays = case.holidays();
    let facts = Facts {
        uses: case.uses(),
        ..Facts::at(case.at())
    };
    let decision = decide(&case.rules(), &case.calendar(offsets, &holidays), &facts);
    Answer {
        verdict: match decision {
            Decision::Allowed { .. } => "yes",
            Decision::Denied { reason, .. } => reason.name(),
        },
        changes_at: decision.changes_at().map(|at| at.timestamp()),
    }
}

fn expanded() -> Vec<(&'static str, Offsets)> {
    let expand = |zone| (zone, common::offsets(zone, YEARS));
    ZONES.into_iter().map(expand).collect()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// splitmix64: the same cases for the same seed, on every machine.
pub(crate) struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let seed = number("CALENDAR_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
        println!("CALENDAR_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as usize) as i64
    }

    /// True `percent` times of a hundred.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
