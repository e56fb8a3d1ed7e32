//! The portal over real HTTP on this machine, with a clock that the tests move.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails its test, and says where"
)]

mod client;
mod door;
mod load;
mod program;
mod world;

mod abuse;
mod abuse_codes;
mod abuse_routes;
mod bundles;
mod codes;
mod commissioning;
mod crowds;
#[cfg(target_os = "linux")]
mod disk;
mod door_line;
mod door_logs;
mod events;
mod grants;
mod guest_keys;
mod guest_keys_follow;
mod guests;
mod idempotency;
mod instances;
mod keys;
mod killed;
mod lent_time;
mod lists;
mod openapi;
mod outbox;
mod problems;
mod process;
mod proxies;
mod sessions;
#[cfg(unix)]
mod signer_process;
mod signer_wire;
mod slow;
mod sync;
mod tenants;
mod time;
mod tls;
mod uses;
