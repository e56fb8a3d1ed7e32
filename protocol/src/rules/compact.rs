//! Access rules in few bytes, for statements inside QR codes.
//!
//! | bytes | when | meaning |
//! |---|---|---|
//! | 1 | always | flags: bit 0 has a start, 1 has an end, 2 closed on holidays, 3 has a number of uses; 4 to 7 are zero |
//! | 4 | flag bit 0 | start: minutes of the wall clock since 1970-01-01T00:00 |
//! | 4 | flag bit 1 | end, likewise |
//! | 4 | flag bit 3 | number of uses, from 1 |
//! | 4 each | to the end | a weekly window: bits 31 to 29 are zero, 28 to 22 the weekdays (Monday is bit 22), 21 to 11 its start (0 to 1439), 10 to 0 its end (1 to 1440), both in minutes after midnight |
//!
//! Numbers are big-endian. Windows ascend by start, then end, and no two have the same hours. So
//! there is one encoding for each value, and every other is refused: what is signed once cannot
//! be written differently.

use std::num::NonZeroU32;

use super::access::{AccessRules, RulesError};
use super::local::{LocalMoment, Range};
use super::window::{Weekdays, WeeklyWindow};

const HAS_START: u8 = 1;
const HAS_END: u8 = 1 << 1;
const CLOSED_ON_HOLIDAYS: u8 = 1 << 2;
const HAS_USES: u8 = 1 << 3;
const KNOWN: u8 = HAS_START | HAS_END | CLOSED_ON_HOLIDAYS | HAS_USES;

const ELEVEN_BITS: u32 = 0x7FF;

/// Why bytes are no access rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompactError {
    /// They end within a field.
    #[error("the bytes end too early")]
    Truncated,
    /// Bits that must be zero are not: rules of a later version, which must not be ignored.
    #[error("unknown flags")]
    UnknownFlags,
    /// Not the one encoding of these rules.
    #[error("not the canonical encoding")]
    NotCanonical,
    /// Rules that are refused in any form.
    #[error(transparent)]
    Rules(#[from] RulesError),
}

impl AccessRules {
    /// The one compact encoding of these rules: 1 to 13 bytes and 4 for each window.
    #[must_use]
    pub fn to_compact(&self) -> Vec<u8> {
        let range = self.range();
        let mut flags = 0;
        let mut bytes = vec![0];
        let mut put = |flag, number: u32| {
            flags |= flag;
            bytes.extend_from_slice(&number.to_be_bytes());
        };
        if let Some(from) = range.from() {
            put(HAS_START, from.minutes());
        }
        if let Some(until) = range.until() {
            put(HAS_END, until.minutes());
        }
        if let Some(uses) = self.max_uses() {
            put(HAS_USES, uses.get());
        }
        for window in self.windows() {
            put(0, pack(window));
        }
        if self.closed_on_holidays() {
            flags |= CLOSED_ON_HOLIDAYS;
        }
        bytes[0] = flags;
        bytes
    }

    /// Reads the compact encoding.
    ///
    /// # Errors
    /// [`CompactError`] for any bytes that [`AccessRules::to_compact`] does not make.
    pub fn from_compact(bytes: &[u8]) -> Result<Self, CompactError> {
        let (&flags, mut rest) = bytes.split_first().ok_or(CompactError::Truncated)?;
        if flags & !KNOWN != 0 {
            return Err(CompactError::UnknownFlags);
        }
        let mut number = |flag| (flags & flag != 0).then(|| take(&mut rest)).transpose();
        let from = number(HAS_START)?;
        let until = number(HAS_END)?;
        let uses = number(HAS_USES)?;
        let mut windows: Vec<WeeklyWindow> = Vec::new();
        while !rest.is_empty() {
            let window = unpack(take(&mut rest)?)?;
            let hours = |window: &WeeklyWindow| (window.from(), window.to());
            if windows
                .last()
                .is_some_and(|last| hours(last) >= hours(&window))
            {
                return Err(CompactError::NotCanonical);
            }
            windows.push(window);
        }
        let range = Range::new(
            from.map(LocalMoment::from_minutes).transpose()?,
            until.map(LocalMoment::from_minutes).transpose()?,
        )?;
        let max_uses = uses
            .map(|uses| NonZeroU32::new(uses).ok_or(RulesError::NoUses))
            .transpose()?;
        Ok(Self::new(
            range,
            windows,
            flags & CLOSED_ON_HOLIDAYS != 0,
            max_uses,
        )?)
    }
}

fn pack(window: &WeeklyWindow) -> u32 {
    u32::from(window.days().bits()) << 22 | u32::from(window.from()) << 11 | u32::from(window.to())
}

fn unpack(packed: u32) -> Result<WeeklyWindow, CompactError> {
    let minute = |bits: u32| (bits & ELEVEN_BITS) as u16;
    let days = u8::try_from(packed >> 22).map_err(|_| CompactError::UnknownFlags)?;
    let days = Weekdays::from_bits(days).map_err(|_| CompactError::UnknownFlags)?;
    let window = WeeklyWindow::new(days, minute(packed >> 11), minute(packed))?;
    // An end at 0 is read as 1440, which has its own encoding.
    if pack(&window) != packed {
        return Err(CompactError::NotCanonical);
    }
    Ok(window)
}

fn take(rest: &mut &[u8]) -> Result<u32, CompactError> {
    let (number, tail) = rest.split_first_chunk().ok_or(CompactError::Truncated)?;
    *rest = tail;
    Ok(u32::from_be_bytes(*number))
}
