//! One element: access rules as Aliro's rules and schedules, and back.

use std::num::NonZeroU32;

use aliro::document::{
    AccessData, AccessExtension, AccessRule, Capabilities, Extension, Recurrence, Schedule,
};

use super::Rights;
use crate::cbor::{FormatError, Reader, Writer, array, inner};
use crate::ids::ElementId;
use crate::rules::{AccessRules, LocalMoment, Offsets, Range, Weekdays, WeeklyWindow};
use crate::vendor::{
    ACCESS_EXTENSION, EXTENSION_VERSION, HOLIDAY_RULE, RANGE_EXTENSION, VENDOR_ID,
};

/// What every key allows: to lock and to open.
const OPENING: Capabilities = Capabilities::SECURE
    .and(Capabilities::UNSECURE)
    .and(Capabilities::MOMENTARY_UNSECURE);

/// Schedules of one element.
const MAX_SCHEDULES: usize = aliro::document::policy::MAX_SCHEDULES;

/// Weekly schedules start in the first whole week of 1970: Monday, 5 January.
const FIRST_MONDAY: u32 = 4 * 86_400;
const DAY: u32 = 86_400;

/// Most bytes of an extension's data.
const MAX_EXTENSION: usize = 2048;

/// An element that this side cannot read as one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an element of ours, or of a newer Latchkey")]
pub struct NotOurs;

/// What the keys of one element share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) closed_on_holidays: bool,
    pub(super) max_uses: Option<NonZeroU32>,
    pub(super) rights: Rights,
}

impl Shared {
    pub(super) fn of(rules: &AccessRules, rights: Rights) -> Self {
        Self {
            closed_on_holidays: rules.closed_on_holidays(),
            max_uses: rules.max_uses(),
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

/// The instants between which a range lies, in seconds since 1970 as Aliro has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    /// The first instant of it; none when it has always begun.
    start: Option<u32>,
    /// The first instant after it.
    end: Option<u32>,
}

impl Bounds {
    fn of(range: &Range, offsets: &Offsets) -> Self {
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
    fn to_range(self, offsets: &Offsets) -> Option<Range> {
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
    fn schedules(self) -> impl Iterator<Item = Schedule> {
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

    fn read<'a>(denied: impl Iterator<Item = &'a Schedule>) -> Result<Self, NotOurs> {
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

/// A weekly window: a local schedule that comes every week on its days and lasts as long.
fn weekly(window: &WeeklyWindow) -> Option<Schedule> {
    let duration = u32::from(window.minutes()) * 60;
    Some(Schedule {
        start: FIRST_MONDAY + u32::from(window.from()) * 60,
        end: None,
        // Never refused: a window has a day and a minute at least.
        recurrence: Some(Recurrence::weekly(window.days().bits(), duration).ok()?),
        utc: false,
    })
}

fn window(schedule: &Schedule) -> Result<WeeklyWindow, NotOurs> {
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

/// `[1, number of uses or null, rights]`. Critical: whoever ignored it would grant too much.
fn access_extension(shared: &Shared) -> AccessExtension {
    AccessExtension {
        critical: true,
        id: ACCESS_EXTENSION,
        version: EXTENSION_VERSION,
        data: array()
            .optional(shared.max_uses.map(NonZeroU32::get), Writer::uint)
            .uint(shared.rights.bits())
            .finish(),
    }
}

fn read_shared(data: &AccessData) -> Result<Shared, NotOurs> {
    let closed_on_holidays = match data.reader_rules[..] {
        [] => false,
        [HOLIDAY_RULE] => true,
        _ => return Err(NotOurs),
    };
    let (max_uses, rights) = match ours(
        &data.access_extensions,
        |extension| extension.id,
        ACCESS_EXTENSION,
    ) {
        None => (None, Rights::NONE),
        Some(extension) => {
            let read = || -> Result<_, FormatError> {
                let mut reader = Reader::versioned(&extension.data, MAX_EXTENSION)?;
                let uses = reader.optional(Reader::uint::<u32>)?;
                let rights = reader.uint()?;
                reader.end()?;
                Ok((uses, rights))
            };
            let (uses, rights) = read().map_err(|_| NotOurs)?;
            let uses = uses.map(|uses| NonZeroU32::new(uses).ok_or(NotOurs));
            (uses.transpose()?, Rights::from_bits(rights).ok_or(NotOurs)?)
        }
    };
    Ok(Shared {
        closed_on_holidays,
        max_uses,
        rights,
    })
}

/// `[1, [[from or null, until or null], …]]`, a range for each rule, in minutes of the wall clock
/// since 1970-01-01T00:00. Informational: the instants stand in the schedules.
fn range_extension(keys: &[Times]) -> Extension {
    let minutes = |moment: Option<LocalMoment>| moment.map(LocalMoment::minutes);
    Extension {
        id: RANGE_EXTENSION,
        version: EXTENSION_VERSION,
        data: array()
            .list(keys.iter().map(|key| {
                inner()
                    .optional(minutes(key.range.from()), Writer::uint)
                    .optional(minutes(key.range.until()), Writer::uint)
            }))
            .finish(),
    }
}

fn read_ranges(data: &AccessData) -> Result<Vec<Range>, NotOurs> {
    let Some(extension) = ours(
        &data.non_access_extensions,
        |extension| extension.id,
        RANGE_EXTENSION,
    ) else {
        return Ok(Vec::new());
    };
    let read = || -> Result<_, FormatError> {
        let mut reader = Reader::versioned(&extension.data, MAX_EXTENSION)?;
        let ranges = reader.list(data.rules.len(), |item| {
            let mut range = item.nested()?;
            let mut moment = || {
                let minutes = range.optional(Reader::uint)?;
                let moment = minutes.map(LocalMoment::from_minutes).transpose();
                moment.map_err(|_| FormatError::Malformed)
            };
            let read = Range::new(moment()?, moment()?).map_err(|_| FormatError::Malformed)?;
            range.end()?;
            Ok(read)
        })?;
        reader.end()?;
        Ok(ranges)
    };
    read().map_err(|_| NotOurs)
}

fn ours<E>(
    extensions: &aliro::document::Extensions<E>,
    id_of: impl Fn(&E) -> u64,
    id: u64,
) -> Option<&E> {
    extensions
        .get(&VENDOR_ID)?
        .iter()
        .find(|extension| id_of(extension) == id)
}
