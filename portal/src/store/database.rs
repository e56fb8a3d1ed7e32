//! Which database a portal keeps its data in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A server that says nothing for so long is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// Without an answer to what was sent, a connection ends after this.
const UNANSWERED: Duration = Duration::from_secs(15);
/// A silent connection is asked whether it still stands after this, and then again this often.
const SILENT: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Where a portal keeps its data.
#[derive(Debug, Clone)]
pub enum Database {
    /// A file in its data folder: the portal is alone.
    Sqlite,
    /// A PostgreSQL, which any number of instances may share.
    Postgres(Postgres),
}

/// The way to a PostgreSQL.
#[derive(Clone)]
pub struct Postgres {
    pub(super) config: Arc<tokio_postgres::Config>,
    pub(super) tls: MakeRustlsConnect,
}

impl std::fmt::Debug for Postgres {
    // The configuration's own text leaves its password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.config.fmt(f)
    }
}

/// Why this is no way to a database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address does not read.
    #[error(
        "the database's address does not read ({0}); it looks like postgres://user:password@host/name"
    )]
    Address(String),
    /// The file of certificates does not read.
    #[error("{file}: {error}")]
    Certificates {
        /// Which.
        file: String,
        /// Why.
        error: String,
    },
}

impl Database {
    /// A PostgreSQL by its address, as `libpq` reads it. Without an `sslmode`, TLS is required unless the server is on
    /// this machine; certificates are always verified, against those of the file (PEM) or the public authorities.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn postgres(address: &str, certificates: Option<&Path>) -> Result<Self, DatabaseError> {
        let mut config: tokio_postgres::Config = address.parse().map_err(no_address)?;
        if config.get_hosts().is_empty() {
            return Err(DatabaseError::Address("it names no host".to_owned()));
        }
        if config.get_ssl_mode() == SslMode::Prefer {
            let mode = if config.get_hosts().iter().all(is_here) {
                SslMode::Disable
            } else {
                SslMode::Require
            };
            config.ssl_mode(mode);
        }
        if config.get_application_name().is_none() {
            config.application_name("latchkey-portal");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNANSWERED);
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_idle(SILENT);
            config.keepalives_interval(ASK_AGAIN);
            config.keepalives_retries(3);
        }
        let tls = MakeRustlsConnect::new(client_config(certificates)?);
        Ok(Self::Postgres(Postgres {
            config: Arc::new(config),
            tls,
        }))
    }
}

/// Says what is wrong without the address, which may hold a password.
fn no_address(error: tokio_postgres::Error) -> DatabaseError {
    let source = std::error::Error::source(&error).map(ToString::to_string);
    DatabaseError::Address(source.unwrap_or_else(|| error.to_string()))
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|ip| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn client_config(certificates: Option<&Path>) -> Result<ClientConfig, DatabaseError> {
    let mut roots = RootCertStore::empty();
    match certificates {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let bad = |error: &dyn std::fmt::Display| DatabaseError::Certificates {
                file: file.display().to_string(),
                error: error.to_string(),
            };
            let found = CertificateDer::pem_file_iter(file).map_err(|error| bad(&error))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| bad(&error))?;
                roots.add(certificate).map_err(|error| bad(&error))?;
            }
            if roots.is_empty() {
                return Err(bad(&"there is no certificate in it"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| DatabaseError::Address(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(address: &str) -> SslMode {
        match Database::postgres(address, None).unwrap() {
            Database::Postgres(Postgres { config, .. }) => config.get_ssl_mode(),
            Database::Sqlite => panic!(),
        }
    }

    #[test]
    fn a_server_elsewhere_is_spoken_to_in_tls_unless_it_is_said_otherwise() {
        assert_eq!(mode("postgres://db.example/latchkey"), SslMode::Require);
        assert_eq!(
            mode("postgres://127.0.0.1,db.example/latchkey"),
            SslMode::Require
        );
        assert_eq!(mode("postgres://127.0.0.1:5433/latchkey"), SslMode::Disable);
        assert_eq!(mode("postgres://localhost/latchkey"), SslMode::Disable);
        assert_eq!(
            mode("postgres:///latchkey?host=/run/postgresql"),
            SslMode::Disable
        );
        assert_eq!(
            mode("postgres://localhost/latchkey?sslmode=require"),
            SslMode::Require
        );
        assert_eq!(
            mode("postgres://db.example/latchkey?sslmode=disable"),
            SslMode::Disable
        );
    }

    #[test]
    fn an_address_that_does_not_read_is_said_without_its_password() {
        for address in [
            "mysql://x",
            "postgres:///latchkey",
            "postgres://u:secret@h:port/latchkey",
            "postgres://u:secret@h/latchkey?sslmode=perhaps",
        ] {
            let error = Database::postgres(address, None).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        let file = Path::new("no such file");
        let error = Database::postgres("postgres://h/latchkey", Some(file)).unwrap_err();
        assert!(error.to_string().contains("no such file"), "{error}");
    }
}
