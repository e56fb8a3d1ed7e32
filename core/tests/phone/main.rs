//! The phone's library against real files, real HTTP and real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it, in its helpers too"
)]

mod codes;
mod door;
mod fast;
mod fixtures;
mod folder;
mod hasty;
mod lock_sync;
mod outbox;
mod portal;
mod relay;
mod sync;
mod unlock;
mod wallet;
mod wire;
mod world;
