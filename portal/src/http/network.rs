//! The network that a request comes from, for handlers that limit by it.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use http::request::Parts;

use super::Shared;
use crate::auth::network::{client, network};
use crate::listen::Peer;

/// Who asks, as far as limits go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network(pub(crate) IpAddr);

impl Network {
    /// See [`network`].
    pub(crate) fn name(self) -> String {
        network(self.0)
    }
}

impl FromRequestParts<Shared> for Network {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>();
        // Whoever serves without connections (nobody does) serves one network.
        let peer = peer.map_or(IpAddr::from([0; 4]), |peer| peer.0.addr.ip());
        Ok(Self(client(peer, &parts.headers, &app.trusted_proxies)))
    }
}
