//! Listening: plain, or with TLS of our own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::counted::{Counted, Held};
use crate::http::{Shared, metrics_router, router};
use crate::running::Tls;
use crate::slow::{Limited, Progress};

/// A client has this long for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Certificate or key do not read.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file.
    #[error("{file}: {error}")]
    File {
        /// Which.
        file: String,
        /// Why.
        error: String,
    },
    /// They do not go together.
    #[error("certificate and key: {0}")]
    Pair(#[from] rustls::Error),
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) addr: SocketAddr,
    pub(crate) progress: Progress,
}

impl<L: Listener<Addr = SocketAddr>> Connected<IncomingStream<'_, Limited<L>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Limited<L>>) -> Self {
        Self {
            addr: *stream.remote_addr(),
            progress: stream.io().progress().clone(),
        }
    }
}

/// Serves counters until the portal goes down: for whoever runs it, nobody else.
pub(crate) async fn serve_metrics(app: Shared, listener: TcpListener) {
    let closing = Arc::clone(&app);
    let closed = async move { closing.closed().await };
    let listener = Limited::new(listener, Arc::clone(&app.tools.clock));
    let service = metrics_router(app).into_make_service();
    let served = axum::serve(listener, service).with_graceful_shutdown(closed);
    if let Err(error) = served.await {
        tracing::error!(%error, "serving counters ended");
    }
}

/// Serves until the portal goes down.
pub(crate) async fn serve(app: Shared, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let closing = Arc::clone(&app);
    let closed = async move { closing.closed().await };
    let clock = Arc::clone(&app.tools.clock);
    let counted = Counted::plain(
        listener,
        Arc::clone(&app.connections),
        app.trusted_proxies.clone(),
        Arc::clone(&clock),
    );
    let service = router(app).into_make_service_with_connect_info::<Peer>();
    let served = match tls {
        None => {
            let listener = Limited::new(counted, clock);
            axum::serve(listener, service)
                .with_graceful_shutdown(closed)
                .await
        }
        Some(acceptor) => {
            let listener = TlsListener::start(counted.wordless(), acceptor, Arc::clone(&clock));
            let listener = Limited::new(listener, clock);
            axum::serve(listener, service)
                .with_graceful_shutdown(closed)
                .await
        }
    };
    if let Err(error) = served {
        tracing::error!(%error, "serving ended");
    }
}

/// Reads certificate and key.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, TlsError> {
    let bad = |file: &std::path::Path, error: &dyn std::fmt::Display| TlsError::File {
        file: file.display().to_string(),
        error: error.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(&tls.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(&tls.cert, &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| bad(&tls.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Connections whose handshake is done; a slow one holds up no other.
struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<Held<TcpStream>>, SocketAddr)>,
    addr: std::io::Result<SocketAddr>,
}

impl TlsListener {
    fn start(
        listener: Counted<TcpListener>,
        acceptor: TlsAcceptor,
        clock: latchkey_env::SharedClock,
    ) -> Self {
        let addr = Listener::local_addr(&listener);
        let (done, ready) = mpsc::channel(64);
        tokio::spawn(async move {
            let mut listener = listener;
            loop {
                let (stream, peer) = tokio::select! {
                    accepted = Listener::accept(&mut listener) => accepted,
                    () = done.closed() => return,
                };
                let (acceptor, done, clock) = (acceptor.clone(), done.clone(), clock.clone());
                tokio::spawn(async move {
                    let handshake = acceptor.accept(stream);
                    if let Ok(Ok(stream)) =
                        latchkey_env::timeout(&*clock, HANDSHAKE, handshake).await
                    {
                        // Without a receiver the portal goes down.
                        let _ = done.send((stream, peer)).await;
                    }
                });
            }
        });
        Self { ready, addr }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<Held<TcpStream>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        match &self.addr {
            Ok(addr) => Ok(*addr),
            Err(error) => Err(std::io::Error::new(error.kind(), error.to_string())),
        }
    }
}
