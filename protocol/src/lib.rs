//! Latchkey's rules, shared by phone, portal and door: access decision, roles, grants, codes, statements,
//! and the words that the three say to each other. No clock, no randomness and no I/O of its own.

#![forbid(unsafe_code)]

pub mod api;
pub mod bytes;
pub mod doorlink;
pub mod ids;
pub mod roles;
pub mod rules;
