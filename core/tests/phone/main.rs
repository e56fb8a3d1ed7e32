//! The phone's library against real files, real HTTP and real sockets.

mod codes;
mod door;
mod folder;
mod hasty;
mod outbox;
mod portal;
mod sync;
mod unlock;
mod wallet;
mod wire;
mod world;
