//! Keys with a number of uses: the ledger and what doors hold, as pure functions.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot make its values fails by it"
)]

mod ledger;
mod model;
