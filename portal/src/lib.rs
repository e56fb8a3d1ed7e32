//! The server that keys are issued from: the API, the signer, the store, notifications, the doors' WebSockets.
//!
//! [`Portal::start`] runs one within a process; [`cli`] is the program around it. What reads bytes from outside is public
//! ([`auth`], [`contact`], [`cursor`], [`property_file`], [`signer_wire`], [`told`]), so that `fuzz/` reaches it.

#![forbid(unsafe_code)]

mod app;
mod audit_check;
pub mod auth;
mod begin_epoch;
pub mod cli;
pub mod contact;
mod counted;
pub mod cursor;
mod door_socket;
mod fault;
mod http;
mod instances;
mod issue;
mod listen;
mod lock_sync;
mod metrics;
mod model;
mod notify;
mod property_create;
pub mod property_file;
mod relay;
mod room;
mod running;
mod signer;
mod slow;
mod store;
mod tools;
pub mod zone;

/// What instances that share a database tell each other through it.
pub mod told {
    pub use crate::relay::{Said, Word};
    pub use crate::store::{Instance, NoInstance, Wake};
}

/// What portals and a signer that is a process of its own say to each other.
pub mod signer_wire {
    pub use crate::signer::wire::{
        Answer, FrameError, Hello, MAX_FRAME, MAX_HELLO, Request, VERSION, decode, encode, length,
    };
    pub use crate::signer::{
        Begun, BundleDraft, GrantDraft, PublicKeys, Series, SignedBundle, SignedDocument,
        SignedGrant, SignerError, Standing,
    };
}

pub use audit_check::{AuditChain, audit_chains};
pub use begin_epoch::{BegunEpoch, LostKey, begin_epochs};
pub use notify::{Mail, MailRoute, Mailbox};
pub use property_create::{CreateError, Created, create_property};
pub use room::Limits;
pub use running::{Config, Portal, StartError, Tls};
pub use signer::SignerPlace;
pub use signer::checks::Rate;
#[cfg(unix)]
pub use signer::service::{SignerConfig, SignerService};
pub use store::{Database, DatabaseError, Postgres};
