//! The phone's library: the sealed wallet, sign-in and sync with portals, unlocking, rotating codes, the
//! host's and the staff's desk. [`Phone`](phone::Phone) is where an app starts.
//!
//! Knows nothing of uniffi: `bindings` wraps it. Time and randomness are passed in (`latchkey_env`); the
//! tokio runtime is the caller's.

#![forbid(unsafe_code)]

pub mod codes;
mod context;
mod credentials;
mod desk;
pub mod error;
pub mod follow;
pub mod host;
pub mod keys;
pub mod outbox;
pub mod phone;
pub mod portal;
pub mod sign_in;
pub mod staff;
pub mod sync;
pub mod unlock;
pub mod views;
pub mod wallet;
