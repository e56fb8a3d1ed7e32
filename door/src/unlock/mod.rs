//! A phone at the door, over anything that carries bytes both ways: the hello, one Aliro session,
//! the commit and what came of it, then what the phone carries for the door and the door's state.

mod carriers;
mod hello;
mod lock_sync;
mod session;
mod wire;

use aliro::identifier::Interface;
use latchkey_protocol::api::events::Means;
use latchkey_protocol::hello::{INTERFACE_RELAY, INTERFACE_STREAM};

pub(crate) use carriers::Carriers;

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A stream on the spot.
    Stream,
    /// The portal, from wherever the phone is.
    Relay,
}

impl Carrier {
    /// Enters every key, so that what was said on one carrier means nothing on another.
    fn interface(self) -> Interface {
        Interface(match self {
            Self::Stream => INTERFACE_STREAM,
            Self::Relay => INTERFACE_RELAY,
        })
    }

    fn means(self) -> Means {
        match self {
            Self::Stream => Means::Stream,
            Self::Relay => Means::Relay,
        }
    }
}
