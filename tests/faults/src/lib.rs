//! What goes wrong, at the tests' command: a process that is killed at any moment ([`Process`]), a disk that is full or
//! does not sync ([`Disk`]), and the dice that say when ([`Dice`]). What a network does wrong is in `latchkey-tests`
//! (`wire`), wrong clocks are in `latchkey-env`.

#![forbid(unsafe_code)]

mod dice;
#[cfg(target_os = "linux")]
mod disk;
mod process;

pub use dice::{Dice, kills};
#[cfg(target_os = "linux")]
pub use disk::Disk;
pub use process::Process;
