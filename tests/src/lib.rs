//! A small property made of the real parts, for the whole-system tests: a portal over HTTP with its
//! SQLite file, controllers with stores of their own, phones with wallets on disk, loopback sockets
//! between them, and one virtual clock for all.

#![forbid(unsafe_code)]

pub mod gate;
pub mod guest;
pub mod house;
pub mod instances;
pub mod meddler;
pub mod scene;
pub mod time;
pub mod town;
pub mod wire;
