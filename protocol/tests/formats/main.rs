//! Every signed and sent format: what is written reads back, a changed byte is noticed, and no bytes
//! whatever make a reader panic.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot make its values fails by it"
)]

#[path = "../test_key/mod.rs"]
mod test_key;

mod clock;
mod code;
mod commissioning;
mod grant;
mod lock_sync;
mod private;
mod revocation;
mod signed;
mod values;
