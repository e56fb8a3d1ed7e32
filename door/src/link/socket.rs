//! The WebSocket itself.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};
use url::Url;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A revocation list of 1 MiB, in base64, in JSON; nothing that is longer.
const LONGEST_MESSAGE: usize = 2 * 1024 * 1024;
/// Kept as long as the line stands: most messages fit, and a controller has little memory. The library would keep 128 KiB.
const READ_AT_ONCE: usize = 4 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The portal's address is none for a WebSocket.
    #[error("the portal's address is not http(s)")]
    Address,
    /// TLS could not be set up.
    #[error("TLS")]
    Tls(#[from] rustls::Error),
    /// The connection or the handshake failed.
    #[error("connection")]
    WebSocket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
}

/// Connects to the portal's door socket.
pub(super) async fn connect(portal: &Url) -> Result<Socket, ConnectError> {
    let address = socket_address(portal).ok_or(ConnectError::Address)?;
    let connector = match address.scheme() {
        "wss" => Connector::Rustls(Arc::new(tls()?)),
        _ => Connector::Plain,
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(LONGEST_MESSAGE))
        .max_frame_size(Some(LONGEST_MESSAGE))
        .read_buffer_size(READ_AT_ONCE);
    let (socket, _) =
        connect_async_tls_with_config(address.as_str(), Some(config), true, Some(connector))
            .await
            .map_err(Box::new)?;
    Ok(socket)
}

fn socket_address(portal: &Url) -> Option<Url> {
    let mut address = portal.join("/v1/door/socket").ok()?;
    let scheme = match portal.scheme() {
        "http" | "ws" => "ws",
        "https" | "wss" => "wss",
        _ => return None,
    };
    address.set_scheme(scheme).ok()?;
    Some(address)
}

/// Mozilla's roots and ring, whatever else the process has for a default.
pub(crate) fn tls() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_socket_stands_beside_the_api() {
        for (portal, socket) in [
            (
                "http://localhost:8080",
                "ws://localhost:8080/v1/door/socket",
            ),
            ("https://keys.example/", "wss://keys.example/v1/door/socket"),
        ] {
            let address = socket_address(&portal.parse().unwrap()).unwrap();
            assert_eq!(address.as_str(), socket);
        }
        assert_eq!(socket_address(&"file:///etc".parse().unwrap()), None);
    }
}
