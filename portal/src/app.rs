//! What all handlers and background tasks share.

use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::watch;

use crate::auth::nonce::Nonces;
use crate::auth::origin::Origin;
use crate::cursor::CursorKey;
use crate::door_socket::{Hub, Reports};
use crate::metrics::Metrics;
use crate::relay::Remote;
use crate::room::Room;
use crate::store::Store;
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
    pub(crate) reports: Reports,
    pub(crate) remote: Remote,
    pub(crate) metrics: Metrics,
    /// Of connections.
    pub(crate) connections: Arc<Room>,
    /// Of what is held open until something happens.
    pub(crate) waiting: Arc<Room>,
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
