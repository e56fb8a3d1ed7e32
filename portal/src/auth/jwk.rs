//! A device's account key as a JSON Web Key (RFC 7517), and its thumbprint (RFC 7638).

use latchkey_protocol::bytes::Base64;
use serde::Deserialize;

/// A P-256 public key.
#[derive(Debug, Clone, Deserialize)]
pub struct Jwk {
    kty: String,
    crv: String,
    x: Base64,
    y: Base64,
    /// A private key must not be here (RFC 9449, section 4.3).
    #[serde(default)]
    d: Option<serde::de::IgnoredAny>,
}

impl Jwk {
    /// 65 bytes uncompressed, if it is a P-256 public key.
    #[must_use]
    pub fn uncompressed(&self) -> Option<[u8; 65]> {
        if self.kty != "EC" || self.crv != "P-256" || self.d.is_some() {
            return None;
        }
        let (x, y): ([u8; 32], [u8; 32]) = (self.x.to_array().ok()?, self.y.to_array().ok()?);
        let mut out = [4; 65];
        out[1..33].copy_from_slice(&x);
        out[33..].copy_from_slice(&y);
        Some(out)
    }

    /// RFC 7638: SHA-256 over the required members in lexical order, base64url.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let canonical = format!(
            r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
            self.x.to_text(),
            self.y.to_text()
        );
        Base64(super::secret::hash(canonical.as_bytes()).to_vec()).to_text()
    }
}
