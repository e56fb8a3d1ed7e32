//! The controller that decides at a door.
//!
//! It rests on its own store alone and works for days without the portal. What makes it open is
//! signed by the property's issuer and by whoever stands there; the portal and phones only carry.
//!
//! * [`Controller`]: a controller in its folder, before it runs: its keys, its code, its offer, the
//!   package that makes it a door's.
//! * [`Running`]: a controller at work. Phones come over [streams](RunConfig::stream) and through
//!   the portal, codes as [lines of text](Running::scan).
//! * [`Strike`]: what moves the lock.
//! * [`cli`]: the same as a program.
//!
//! Inside: `engine` decides, as a pure function; `door` knows, stores and carries out; `unlock`
//! speaks with phones, `link` with the portal.

#![forbid(unsafe_code)]

pub mod cli;
mod commissioning;
mod controller;
mod door;
mod engine;
mod env;
mod keys;
pub mod lines;
mod link;
mod report;
mod running;
mod scan;
mod seal;
mod status;
mod store;
mod stream;
mod strike;
mod unlock;

/// Under the name by which the tests' own modules know it.
#[cfg(test)]
extern crate self as latchkey_door;
#[cfg(test)]
#[path = "../tests/door/guest.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole")]
mod guest;
#[cfg(test)]
mod histories;
#[cfg(test)]
#[path = "../tests/door/phone.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole")]
mod phone;
#[cfg(test)]
#[path = "../tests/door/property.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole")]
mod property;

pub use commissioning::{WaitError, wait_for_installer};
pub use controller::{ClockNotSet, Controller, InstallError, Installation};
pub use door::{ClockReport, DoorError};
pub use env::Env;
pub use keys::KeyError;
pub use report::{Happening, Report, Trouble};
pub use running::{RunConfig, Running, StartError};
pub use scan::ScanAnswer;
pub use status::{Place, Status};
pub use store::{FILE, SECRET_COLUMNS, StoreError};
pub use strike::{Jammed, LoggedStrike, Release, Strike};
