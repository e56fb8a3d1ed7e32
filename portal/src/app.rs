//! What all handlers and background tasks share.

use ipnet::IpNet;
use latchkey_protocol::ids::PropertyId;
use tokio::sync::watch;

use crate::auth::nonce::Nonces;
use crate::auth::origin::Origin;
use crate::door_socket::Hub;
use crate::metrics::Metrics;
use crate::model::sync::CursorKey;
use crate::relay::Remote;
use crate::store::{Store, Wake};
use crate::tools::Tools;

/// One running portal.
pub(crate) struct App {
    pub(crate) tools: Tools,
    pub(crate) store: Store,
    pub(crate) origin: Origin,
    /// Proxies whose word on who asks is taken.
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) nonces: Nonces,
    pub(crate) cursors: CursorKey,
    pub(crate) doors: Hub,
    pub(crate) remote: Remote,
    pub(crate) metrics: Metrics,
    /// Turns true when the portal goes down.
    pub(crate) closing: watch::Receiver<bool>,
}

impl App {
    /// Resolves when the portal goes down.
    pub(crate) async fn closed(&self) {
        let mut closing = self.closing.clone();
        // An error means that the portal's handle is gone, which is the same.
        let _ = closing.wait_for(|closing| *closing).await;
    }
}

/// Waits for a wake that `wanted` picks; true when there was one, false when the store is gone. A listener that may
/// have missed something looks for itself.
pub(crate) async fn woken(
    wakes: &mut tokio::sync::broadcast::Receiver<Wake>,
    wanted: impl Fn(Wake) -> bool,
) -> bool {
    woken_by(wakes, wanted).await.is_some()
}

/// The same, and which it was: [`Wake::Anything`] when something may have been missed.
pub(crate) async fn woken_by(
    wakes: &mut tokio::sync::broadcast::Receiver<Wake>,
    wanted: impl Fn(Wake) -> bool,
) -> Option<Wake> {
    use tokio::sync::broadcast::error::RecvError;
    loop {
        match wakes.recv().await {
            Ok(wake) if wanted(wake) || wake == Wake::Anything => return Some(wake),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return Some(Wake::Anything),
            Err(RecvError::Closed) => return None,
        }
    }
}

/// Wakes that tell of changes for members of this property.
pub(crate) fn changed(property: PropertyId) -> impl Fn(Wake) -> bool {
    move |wake| wake == Wake::Changed(property)
}
