//! How our extensions of Aliro's elements are named.

/// Latchkey's vendor id in access and revocation extensions. **A test id**: until one is registered with
/// the Connectivity Standards Alliance it stands for nobody, and no product may ship with it.
pub const VENDOR_ID: u64 = 0x4C4B_0001;

/// Our access extension: uses, and rights beyond opening. Critical: a reader that ignored it would grant
/// too much.
pub const ACCESS_EXTENSION: u64 = 1;

/// Our informational extension of access elements: ranges as they were written, where the instants in
/// the schedules do not tell.
pub const RANGE_EXTENSION: u64 = 1;

/// Our revocation extension: number of the list, withdrawn passes, superseded elements.
pub const REVOCATION_EXTENSION: u64 = 1;

/// The version of all of them, but for access extensions of counted keys.
pub const EXTENSION_VERSION: u64 = 1;

/// The version of an access extension that names the count of a key's uses.
pub const COUNTED_EXTENSION_VERSION: u64 = 2;

/// The reader rule by which an element says *not on the property's holidays*. Readers of other makers do
/// not know it and refuse the element, which is right: they do not know the holidays either.
pub const HOLIDAY_RULE: u16 = 0x4C4B;
