//! Every command and every message in every state: allowed exactly where section
//! 12 of the notes on the protocol says, and what is answered elsewhere.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

#[path = "../common/mod.rs"]
mod common;

mod device;
mod device_messages;
mod reader;
