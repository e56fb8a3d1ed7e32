//! The relay: a WebSocket through the portal, `GET /v1/properties/{property}/doors/{door}/relay`, one
//! binary message a piece. The portal forwards and cannot forge: Aliro runs end to end.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{SinkExt as _, StreamExt as _};
use latchkey_protocol::api::doors::Door;
use latchkey_protocol::api::problem::{Problem, ProblemType};
use latchkey_protocol::hello::INTERFACE_RELAY;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

use super::carrier::{Carrier, CarrierKind, Link};
use crate::error::{DoorFault, Error};
use crate::portal::{PortalClient, tls_config};
use crate::views::DoorRef;

/// Through this portal.
pub(super) struct RelayCarrier {
    pub(super) portal: Arc<PortalClient>,
}

#[async_trait]
impl Carrier for RelayCarrier {
    fn kind(&self) -> CarrierKind {
        CarrierKind::Relay
    }

    fn interface(&self) -> u8 {
        INTERFACE_RELAY
    }

    fn reaches(&self, door: &Door) -> bool {
        // Whether it is connected now may have changed since the last sync; the portal knows.
        door.generation.is_some()
    }

    async fn connect(&self, at: DoorRef, _: &Door) -> Result<Box<dyn Link>, Error> {
        let path = format!("/v1/properties/{}/doors/{}/relay", at.property, at.door);
        match self.upgrade(&path).await? {
            Ok(socket) => Ok(Box::new(RelayLink(socket))),
            // The portal's nonce came with the refusal.
            Err(problem) if problem.problem_type() == Some(ProblemType::UseDpopNonce) => {
                match self.upgrade(&path).await? {
                    Ok(socket) => Ok(Box::new(RelayLink(socket))),
                    Err(problem) => Err(refused(problem)),
                }
            }
            Err(problem) => Err(refused(problem)),
        }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl RelayCarrier {
    async fn upgrade(&self, path: &str) -> Result<Result<Socket, Problem>, Error> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::DoorNotReached(DoorFault::Relay(error.to_string()))
        };
        let mut request = self
            .portal
            .address
            .websocket(path)
            .into_client_request()
            .map_err(|error| failed(&error))?;
        let headers = self.portal.upgrade_headers(path).await?;
        request.headers_mut().extend(headers);
        let tls = Connector::Rustls(Arc::new(tls_config()?));
        match Box::pin(connect_async_tls_with_config(
            request,
            None,
            true,
            Some(tls),
        ))
        .await
        {
            Ok((socket, response)) => {
                self.portal.keep_nonce(response.headers());
                Ok(Ok(socket))
            }
            Err(WsError::Http(response)) => {
                self.portal.keep_nonce(response.headers());
                let body = response.body().as_deref().unwrap_or_default();
                let problem = serde_json::from_slice(body);
                Ok(Err(problem.map_err(|_| failed(&response.status()))?))
            }
            Err(error) => Err(failed(&error)),
        }
    }
}

fn refused(problem: Problem) -> Error {
    match problem.problem_type() {
        Some(ProblemType::NotSignedIn) => Error::NotSignedIn,
        _ => Error::DoorNotReached(DoorFault::Relay(problem.title)),
    }
}

struct RelayLink(Socket);

#[async_trait]
impl Link for RelayLink {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let message = Message::Binary(bytes.to_vec().into());
        self.0.send(message).await.map_err(io::Error::other)
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) if !bytes.is_empty() => return Ok(bytes.into()),
                Some(Ok(Message::Close(_))) | None => return Ok(Vec::new()),
                // Pings are answered below us.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(io::Error::other(error)),
            }
        }
    }
}
