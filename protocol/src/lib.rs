//! Latchkey's rules, shared by phone, portal and door: access decision, roles, grants, codes, statements,
//! and the words that the three say to each other. No clock, no randomness and no I/O of its own.

#![forbid(unsafe_code)]

mod cbor;

pub mod api;
pub mod bundle;
pub mod bytes;
pub mod clock;
pub mod code;
pub mod commissioning;
pub mod doorlink;
pub mod doorlog;
pub mod doorstate;
pub mod grant;
pub mod hello;
pub mod ids;
pub mod pass;
pub mod private;
pub mod proof;
pub mod revocation;
pub mod roles;
pub mod rules;
pub mod sealing;
pub mod signing;
pub mod statement;
pub mod uses;
pub mod vendor;

pub use cbor::FormatError;
