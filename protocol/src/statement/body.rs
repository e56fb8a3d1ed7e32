//! What statements say.

use aliro::crypto::PublicKey;
use chrono::{DateTime, NaiveDate, Utc};

use super::{FormatError, MAX_STATEMENT, Reader, Writer};
use crate::cbor::{array, inner};
use crate::pass::{MAX_PASS, SignedPass};
use crate::rules::{Holidays, MAX_CHANGES, MAX_HOLIDAYS, OffsetChange, Offsets, Span};

/// What a statement says. Kinds that this build does not know are [`FormatError::UnknownKind`]: a door
/// must not go on in the series as if it had obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The property's calendar.
    Settings(PropertySettings),
    /// How the addressed doors behave.
    DoorSettings(DoorSettings),
    /// A pass, with the issuer's signature of its own.
    Pass(SignedPass),
    /// To which key doors seal what phones carry of their logs (HPKE: DHKEM P-256). Each statement of it
    /// replaces the last.
    LogKey(PublicKey),
}

/// What a door decides with of the property's settings. Each statement of it replaces the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertySettings {
    /// The property's zone, expanded.
    pub offsets: Offsets,
    /// The property's holidays.
    pub holidays: Holidays,
}

/// How a door behaves, whoever opens it. Each statement of it replaces the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoorSettings {
    /// How long the relay closes its circuit for one opening, in milliseconds.
    pub relay_pulse_ms: u32,
}

impl Default for DoorSettings {
    fn default() -> Self {
        Self {
            relay_pulse_ms: 3000,
        }
    }
}

impl Body {
    /// What it says alone, without number or addressee, as the portal asks its signer for it: `[1, kind, body]`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write(array().uint(self.kind())).finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::versioned(bytes, MAX_STATEMENT)?;
        let kind = reader.uint()?;
        let body = Self::read(kind, &mut reader)?;
        reader.end()?;
        Ok(body)
    }

    pub(super) fn kind(&self) -> u64 {
        match self {
            Self::Settings(_) => 1,
            Self::DoorSettings(_) => 2,
            Self::Pass(_) => 3,
            Self::LogKey(_) => 4,
        }
    }

    pub(super) fn write(&self, writer: Writer) -> Writer {
        match self {
            Self::Settings(settings) => writer.nested(settings.write()),
            Self::DoorSettings(settings) => writer.nested(inner().uint(settings.relay_pulse_ms)),
            Self::Pass(pass) => writer.nested(inner().bytes(&pass.to_bytes())),
            Self::LogKey(key) => writer.nested(inner().bytes(key.as_bytes())),
        }
    }

    pub(super) fn read(kind: u64, reader: &mut Reader) -> Result<Self, FormatError> {
        if !(1..=4).contains(&kind) {
            return Err(FormatError::UnknownKind(kind));
        }
        let mut items = reader.nested()?;
        let body = match kind {
            1 => Self::Settings(PropertySettings::read(&mut items)?),
            2 => Self::DoorSettings(DoorSettings {
                relay_pulse_ms: items.uint()?,
            }),
            3 => Self::Pass(SignedPass::from_bytes(&items.bytes(MAX_PASS + 64)?)?),
            _ => Self::LogKey(items.public_key()?),
        };
        items.end()?;
        Ok(body)
    }
}

impl PropertySettings {
    /// `[zone, tz release, span start, span end, first offset, [[instant, offset], …], [holiday, …]]`;
    /// instants in seconds since 1970, offsets in seconds east of UTC, holidays in days since 1970.
    fn write(&self) -> Writer {
        let offsets = &self.offsets;
        let span = offsets.span();
        inner()
            .text(offsets.zone())
            .text(offsets.tz_release())
            .int(span.from.timestamp())
            .int(span.until.timestamp())
            .int(offsets.first_offset())
            .list(
                offsets
                    .changes()
                    .map(|change| inner().int(change.at.timestamp()).int(change.offset)),
            )
            .ints(self.holidays.iter().map(|date| date.to_epoch_days()))
    }

    fn read(items: &mut Reader) -> Result<Self, FormatError> {
        let zone = items.text(64)?;
        let release = items.text(16)?;
        let span = Span {
            from: instant(items)?,
            until: instant(items)?,
        };
        let first = items.int()?;
        let changes = items.list(MAX_CHANGES, |item| {
            let mut change = item.nested()?;
            let read = OffsetChange {
                at: instant(&mut change)?,
                offset: change.int()?,
            };
            change.end()?;
            Ok(read)
        })?;
        let offsets = Offsets::new(zone, release, span, first, changes)
            .map_err(|_| FormatError::Malformed)?;
        let days: Vec<i32> = items.list(MAX_HOLIDAYS, Reader::int)?;
        if !days.is_sorted_by(|a, b| a < b) {
            return Err(FormatError::Malformed);
        }
        let dates: Option<Vec<_>> = days.into_iter().map(NaiveDate::from_epoch_days).collect();
        let holidays = Holidays::new(dates.ok_or(FormatError::Malformed)?)
            .map_err(|_| FormatError::Malformed)?;
        Ok(Self { offsets, holidays })
    }
}

fn instant(items: &mut Reader) -> Result<DateTime<Utc>, FormatError> {
    DateTime::from_timestamp(items.int()?, 0).ok_or(FormatError::Malformed)
}
