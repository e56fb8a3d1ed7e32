//! The HTTP client: TLS by rustls with ring and the bundled roots of webpki-roots.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

/// One client for all portals; it pools connections. No time limits inside: they run on the clock that
/// is passed in.
pub(crate) fn client() -> Result<reqwest::Client, Error> {
    // Handed over ready-made: reqwest's own choice (the platform's verifier) needs, on Android, an
    // initialisation that an app may have forgotten, and panics without it.
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config()?)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("latchkey/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::Offline(error.to_string()))
}

/// TLS as all our connections use it.
pub(crate) fn tls_config() -> Result<ClientConfig, Error> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Offline(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
