//! The portal's things and what happens to them: each module owns its tables, as functions over a
//! [`Tx`](crate::store::Tx). Whoever changes something writes its change rows and its audit row in the same operation.

pub(crate) mod audit;
pub(crate) mod challenge;
pub(crate) mod change;
pub(crate) mod code_check;
pub(crate) mod controller;
pub(crate) mod credential;
pub(crate) mod door;
pub(crate) mod door_log;
pub(crate) mod door_state;
pub(crate) mod event;
pub(crate) mod guest;
pub(crate) mod guest_key;
pub(crate) mod housekeeping;
pub(crate) mod idempotency;
pub(crate) mod key;
pub(crate) mod key_write;
pub(crate) mod line;
pub(crate) mod link;
pub(crate) mod member;
pub(crate) mod offer;
pub(crate) mod outbox;
pub(crate) mod paging;
pub(crate) mod person;
pub(crate) mod property;
pub(crate) mod rate;
pub(crate) mod replay;
pub(crate) mod secrets;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod sync;
pub(crate) mod uses;
pub(crate) mod withdrawal;
