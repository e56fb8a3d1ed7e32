//! The rules of access: what a key allows, and the one function that decides for phone, portal
//! and door alike.
//!
//! [`AccessRules`] are wall-clock rules in the property's time zone. A [`Calendar`] is what of
//! the property they are read with: its zone, expanded into [`Offsets`], and its [`Holidays`].
//! [`decide`] adds the [`Facts`] of the moment and answers with a [`Decision`]; [`verdict`] is
//! its yes or no alone, for the moment at the door.
//!
//! All intervals are half-open. Nothing here reads a clock.

mod access;
pub mod ask;
mod calendar;
mod compact;
mod decide;
mod holidays;
mod local;
mod offsets;
mod reason;
mod window;
mod within;

pub use access::{AccessRules, MAX_WINDOWS, RulesError};
pub use calendar::Calendar;
pub use compact::CompactError;
pub use decide::{Clock, Decision, Facts, Status, Uses, changes_at, decide, status, verdict};
pub use holidays::{Holidays, HolidaysError, MAX_HOLIDAYS};
pub use local::{LocalMoment, Range};
pub use offsets::{MAX_CHANGES, OffsetChange, Offsets, OffsetsError, Span};
pub use reason::{Reason, Reasons};
pub use window::{Weekdays, WeeklyWindow};
pub use within::Wider;
