//! The network that a request comes from, for handlers that limit by it.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use http::request::Parts;

use super::Shared;
use crate::auth::network::{client, network};
use crate::listen::Peer;

/// See [`network`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) String);

impl FromRequestParts<Shared> for Network {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>();
        // Whoever serves without connections (nobody does) serves one network.
        let peer = peer.map_or(IpAddr::from([0; 4]), |peer| peer.0.addr.ip());
        let client = client(peer, &parts.headers, &app.trusted_proxies);
        Ok(Self(network(client)))
    }
}
