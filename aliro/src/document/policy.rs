//! What the sources of the standard leave open, decided once.
//!
//! The table in the module documentation of [`document`](super) gives the
//! reasons; the code reads these names.

/// Bit 0 of an access extension's criticality when a reader that does not know
/// the extension has to refuse the element.
///
/// Sources contradict each other; a shipped reader and the newest reference
/// encoder have a clear bit for *critical*.
pub const CRITICAL: u64 = 0;

/// The other value of that bit.
pub const NOT_CRITICAL: u64 = 1;

/// How far behind the highest accepted `validityIteration` is too far.
pub const ITERATIONS_KEPT: u64 = 8;

/// Whether a document without `validityIteration` is held against a reader's
/// stored one. Known readers check the counter only when it is there.
pub const ABSENT_ITERATION_IS_TOO_OLD: bool = false;

/// Whether an element without access rules grants every capability.
pub const NO_RULES_GRANT_ALL: bool = true;

/// Schedules that a rule can name.
pub const MAX_SCHEDULES: usize = 8;

/// Access rules of one element; the standard names no limit.
pub const MAX_RULES: usize = 64;

/// Reader rule ids of one element; the standard names no limit.
pub const MAX_READER_RULES: usize = 64;

/// Extensions of one kind in one element; the standard names no limit.
pub const MAX_EXTENSIONS: usize = 64;

/// Entries of one revocation element, to add and to remove, each.
pub const MAX_REVOCATION_ENTRIES: usize = 16_384;
