//! What several targets need: parties whose keys are the same in every run, so that an input does
//! what it did, and whose arithmetic is done once, because it is not what is under test.
#![forbid(unsafe_code)]

mod exchange;
pub mod field;
mod key;
mod script;
pub mod sessions;
mod setup;

pub use key::{Dealt, Key};
pub use script::Script;
pub use setup::Setup;
