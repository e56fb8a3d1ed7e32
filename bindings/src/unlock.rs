//! Opening a door: how far it has come, and a handle that ends it.

use std::sync::Arc;
use std::time::SystemTime;

use latchkey_core::unlock as inner;

use crate::error::LatchkeyError;
use crate::phone::Phone;
use crate::reason::DenialReason;
use crate::views::{Decision, DoorRef};

/// Which way the messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum CarrierKind {
    /// A stream on the spot, to the door's own address.
    Stream,
    /// Through the portal.
    Relay,
    /// Another one.
    Other,
}

/// How far an unlock has come.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum UnlockEvent {
    /// The door is looked for.
    Looking {
        /// What the phone expects, by its keys; the door decides.
        expected: Decision,
    },
    /// A carrier is tried.
    Connecting {
        /// Which.
        carrier: CarrierKind,
    },
    /// The door was reached: it proves itself, then the phone does; where they have met, by what both remember.
    Proving {
        /// Over which carrier.
        carrier: CarrierKind,
    },
    /// It opened.
    Opened {
        /// When the key's yes ends by the calendar.
        until: Option<SystemTime>,
    },
    /// It stays closed.
    Denied {
        /// Why.
        reason: DenialReason,
        /// When the calendar next says yes.
        next: Option<SystemTime>,
    },
}

/// A door that opened.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Opened {
    /// When the key's yes ends by the calendar.
    pub until: Option<SystemTime>,
    /// Which way it went.
    pub carrier: CarrierKind,
}

/// What a listener may answer instead of nothing. It changes nothing: a door does not stay closed because
/// a screen could not be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum ListenerError {
    /// It failed.
    #[error("the listener failed: {detail}")]
    Failed {
        /// For a log.
        detail: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for ListenerError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed {
            detail: error.reason,
        }
    }
}

/// Hears how far an unlock has come, in order, from a thread of the library. Must return at once and not
/// call back.
#[uniffi::export(rust, foreign)]
pub trait UnlockListener: Send + Sync {
    /// It has come this far.
    fn on_event(&self, event: UnlockEvent) -> Result<(), ListenerError>;
}

/// Ends a call from elsewhere. One can be made beforehand and given to one call.
///
/// Cancelling a Kotlin coroutine ends the call as well; cancelling a Swift task does not.
#[derive(Debug, Default, uniffi::Object)]
pub struct CancelHandle {
    inner: inner::CancelHandle,
}

#[uniffi::export]
impl CancelHandle {
    /// Nothing is cancelled yet.
    #[uniffi::constructor]
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Cancels: the call fails with *cancelled*. Once the phone has committed, the door may open all the
    /// same.
    pub fn cancel(&self) {
        self.inner.cancel();
    }
}

#[uniffi::export(async_runtime = "tokio")]
impl Phone {
    /// Opens a door. The listener hears how far it has come; the last event and the result say the same.
    /// Takes 15 seconds at most.
    pub async fn unlock(
        &self,
        door: DoorRef,
        listener: Option<Arc<dyn UnlockListener>>,
        cancel: Option<Arc<CancelHandle>>,
    ) -> Result<Opened, LatchkeyError> {
        let mut options = inner::UnlockOptions::default();
        if let Some(handle) = cancel {
            options.cancel = handle.inner.clone();
        }
        let tell = move |event: inner::UnlockEvent| {
            if let Some(listener) = &listener {
                // Nothing to be done about a listener that fails.
                let _ = listener.on_event(event.into());
            }
        };
        let opened = self.inner.unlock(door.try_into()?, &options, &tell).await?;
        Ok(opened.into())
    }
}

impl From<inner::CarrierKind> for CarrierKind {
    fn from(kind: inner::CarrierKind) -> Self {
        match kind {
            inner::CarrierKind::Stream => Self::Stream,
            inner::CarrierKind::Relay => Self::Relay,
            _ => Self::Other,
        }
    }
}

impl From<inner::UnlockEvent> for UnlockEvent {
    fn from(event: inner::UnlockEvent) -> Self {
        match event {
            inner::UnlockEvent::Looking { expected } => Self::Looking {
                expected: expected.into(),
            },
            inner::UnlockEvent::Connecting { carrier } => Self::Connecting {
                carrier: carrier.into(),
            },
            inner::UnlockEvent::Proving { carrier } => Self::Proving {
                carrier: carrier.into(),
            },
            inner::UnlockEvent::Opened { until } => Self::Opened {
                until: until.map(SystemTime::from),
            },
            inner::UnlockEvent::Denied { reason, next } => Self::Denied {
                reason: reason.into(),
                next: next.map(SystemTime::from),
            },
        }
    }
}

impl From<inner::Opened> for Opened {
    fn from(opened: inner::Opened) -> Self {
        Self {
            until: opened.until.map(SystemTime::from),
            carrier: opened.carrier.into(),
        }
    }
}
