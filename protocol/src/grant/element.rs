//! One element: access rules as Aliro's rules and schedules, and back.

use std::num::NonZeroU32;

use aliro::document::{AccessData, AccessRule, Capabilities, Schedule};

use super::Rights;
use super::extension::{access_extension, range_extension, read_ranges, read_shared};
use super::schedule::{Bounds, weekly, window};
use crate::ids::{BudgetId, ElementId};
use crate::rules::{AccessRules, Offsets, Range, WeeklyWindow};
use crate::vendor::{HOLIDAY_RULE, VENDOR_ID};

/// What every key allows: to lock and to open.
const OPENING: Capabilities = Capabilities::SECURE
    .and(Capabilities::UNSECURE)
    .and(Capabilities::MOMENTARY_UNSECURE);

/// Schedules of one element.
const MAX_SCHEDULES: usize = aliro::document::policy::MAX_SCHEDULES;

/// An element that this side cannot read as one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an element of ours, or of a newer Latchkey")]
pub struct NotOurs;

/// What the keys of one element share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) closed_on_holidays: bool,
    pub(super) max_uses: Option<NonZeroU32>,
    /// What counts them; nothing without a number of uses.
    pub(super) budget: Option<BudgetId>,
    pub(super) rights: Rights,
}

impl Shared {
    pub(super) fn of(rules: &AccessRules, budget: Option<BudgetId>, rights: Rights) -> Self {
        Self {
            closed_on_holidays: rules.closed_on_holidays(),
            max_uses: rules.max_uses(),
            budget: budget.filter(|_| rules.max_uses().is_some()),
            rights,
        }
    }

    /// Whether it takes our access extension to say it.
    pub(super) fn is_extended(&self) -> bool {
        self.max_uses.is_some() || !self.rights.is_empty()
    }
}

/// Range and windows of one key, or as many of its windows as one element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) range: Range,
    pub(super) windows: Vec<WeeklyWindow>,
}

impl Times {
    /// The times of a key, in as few portions as one element each can hold.
    pub(super) fn portions(rules: &AccessRules, offsets: &Offsets) -> Vec<Self> {
        let range = *rules.range();
        let bounds = Bounds::of(&range, offsets);
        let room = MAX_SCHEDULES - bounds.schedules().count();
        let portion = |windows: &[WeeklyWindow]| Self {
            range,
            windows: windows.to_vec(),
        };
        if rules.windows().is_empty() {
            return vec![portion(&[])];
        }
        rules.windows().chunks(room).map(portion).collect()
    }
}

/// The element of these keys, or none when their schedules do not fit.
pub(super) fn encode(
    id: ElementId,
    keys: &[Times],
    shared: &Shared,
    offsets: &Offsets,
) -> Option<AccessData> {
    let mut schedules = Vec::new();
    let mut rules = Vec::new();
    for key in keys {
        let bounds = Bounds::of(&key.range, offsets);
        let windows: Option<Vec<_>> = key.windows.iter().map(weekly).collect();
        rules.push(AccessRule {
            capabilities: OPENING,
            allow: mask(&mut schedules, windows?)?,
            deny: mask(&mut schedules, bounds.schedules())?,
        });
    }
    let mut data = AccessData {
        id: id.as_bytes().to_vec(),
        rules,
        schedules,
        ..AccessData::default()
    };
    if shared.closed_on_holidays {
        data.reader_rules.push(HOLIDAY_RULE);
    }
    if shared.is_extended() {
        data.access_extensions
            .insert(VENDOR_ID, vec![access_extension(shared)]);
    }
    // Mostly the range can be read from the schedules. Not so when it starts or ends at a reading
    // that the wall clock skips, or before 1970 in UTC.
    let exact = |key: &Times| {
        Bounds::of(&key.range, offsets).to_range(offsets).as_ref() == Some(&key.range)
    };
    if !keys.iter().all(exact) {
        data.non_access_extensions
            .insert(VENDOR_ID, vec![range_extension(keys)]);
    }
    Some(data)
}

/// The keys of an element, in its order.
pub(super) fn decode(
    data: &AccessData,
    offsets: &Offsets,
) -> Result<(ElementId, Vec<Times>, Shared), NotOurs> {
    let id = ElementId::from_slice(&data.id).map_err(|_| NotOurs)?;
    let shared = read_shared(data)?;
    if data.rules.is_empty() {
        return Err(NotOurs);
    }
    let said = read_ranges(data)?;
    let mut keys = Vec::with_capacity(data.rules.len());
    for (at, rule) in data.rules.iter().enumerate() {
        if !rule.capabilities.contains(OPENING) {
            return Err(NotOurs);
        }
        let bounds = Bounds::read(chosen(data, rule.deny))?;
        let windows = chosen(data, rule.allow).map(window);
        // What the extension says of the range counts where it means the instants that were
        // signed; under newer offsets it may not, and then the instants do.
        let said = said
            .get(at)
            .copied()
            .filter(|range| Bounds::of(range, offsets) == bounds);
        keys.push(Times {
            range: said.or_else(|| bounds.to_range(offsets)).ok_or(NotOurs)?,
            windows: windows.collect::<Result<_, _>>()?,
        });
    }
    Ok((id, keys, shared))
}

/// The bits that name these schedules, or none when there are too many.
fn mask(schedules: &mut Vec<Schedule>, wanted: impl IntoIterator<Item = Schedule>) -> Option<u8> {
    let mut mask = 0;
    for schedule in wanted {
        mask |= bit(schedules, schedule)?;
    }
    Some(mask)
}

/// The bit that names a schedule, which is added unless it is there.
fn bit(schedules: &mut Vec<Schedule>, schedule: Schedule) -> Option<u8> {
    let at = schedules
        .iter()
        .position(|known| *known == schedule)
        .unwrap_or(schedules.len());
    if at == MAX_SCHEDULES {
        return None;
    }
    if at == schedules.len() {
        schedules.push(schedule);
    }
    Some(1 << at)
}

fn chosen(data: &AccessData, mask: u8) -> impl Iterator<Item = &Schedule> {
    let numbered = data.schedules.iter().enumerate();
    numbered
        .filter(move |(at, _)| mask >> at & 1 == 1)
        .map(|(_, schedule)| schedule)
}
