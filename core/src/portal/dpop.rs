//! Proofs of possession of the account key (RFC 9449): a JWT, signed with ES256, for one request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use ring::digest;
use serde_json::json;

use crate::keys::{DeviceKeyError, DeviceKeys};

/// What a proof is for.
pub(super) struct Proof<'a> {
    pub(super) method: &'a str,
    /// Without query and fragment.
    pub(super) url: &'a str,
    /// The token that goes with it, if one does.
    pub(super) access_token: Option<&'a str>,
    /// The portal's latest nonce.
    pub(super) nonce: Option<&'a str>,
    /// Names the proof; random.
    pub(super) id: [u8; 16],
    /// By the portal's clock.
    pub(super) at: DateTime<Utc>,
}

impl Proof<'_> {
    /// The `DPoP` header's value.
    pub(super) async fn sign(
        &self,
        keys: &dyn DeviceKeys,
        label: &str,
    ) -> Result<String, DeviceKeyError> {
        let public = keys
            .public_key(label)
            .await?
            .ok_or_else(|| DeviceKeyError::Missing(label.to_owned()))?;
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(&public) });
        let signed = format!("{}.{}", encoded(&header), encoded(&self.claims()));
        let signature = keys.sign(label, signed.as_bytes()).await?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn claims(&self) -> serde_json::Value {
        let mut claims = json!({
            "jti": URL_SAFE_NO_PAD.encode(self.id),
            "htm": self.method,
            "htu": self.url,
            "iat": self.at.timestamp(),
        });
        if let Some(nonce) = self.nonce {
            claims["nonce"] = nonce.into();
        }
        if let Some(token) = self.access_token {
            let hash = digest::digest(&digest::SHA256, token.as_bytes());
            claims["ath"] = URL_SAFE_NO_PAD.encode(hash).into();
        }
        claims
    }
}

fn jwk(public: &[u8; 65]) -> serde_json::Value {
    let (x, y) = public[1..].split_at(32);
    json!({
        "kty": "EC",
        "crv": "P-256",
        "x": URL_SAFE_NO_PAD.encode(x),
        "y": URL_SAFE_NO_PAD.encode(y),
    })
}

fn encoded(value: &serde_json::Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
