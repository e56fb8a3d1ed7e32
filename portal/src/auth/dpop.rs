//! Proof of possession (RFC 9449): a JWT that the device's account key signs for this one request.

use chrono::{DateTime, Utc};
use latchkey_protocol::bytes::Base64;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::Deserialize;

use super::jwk::Jwk;
use super::nonce::Nonces;
use super::origin::Origin;
use super::secret;

/// Longest proof that is looked at.
const MAX_PROOF: usize = 4096;

/// What the request is, as the portal sees it.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The access token that comes with it, if one does.
    pub(crate) access_token: Option<&'a str>,
}

/// A proof that verified; whether it was used before is for the store to say.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    /// Thumbprint of the key.
    pub(crate) jkt: String,
    /// SHA-256 of the proof's id.
    pub(crate) jti: secret::Hash,
    /// Until when it could come again.
    pub(crate) good_until: DateTime<Utc>,
}

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It does not fit; says what.
    Bad(&'static str),
    /// Its nonce is missing, or not of this portal, or too old.
    Nonce,
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Jwk,
    /// Extensions that must be understood (RFC 7515, section 4.1.11): none is.
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    /// Must be there (section 4.2); the nonce is what says that the proof is fresh.
    iat: i64,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    ath: Option<String>,
}

/// Checks a proof against the request that it came with (section 4.3).
pub(crate) fn verify(
    proof: &str,
    request: &Request<'_>,
    origin: &Origin,
    nonces: &Nonces,
    now: DateTime<Utc>,
) -> Result<Proof, Refused> {
    if proof.len() > MAX_PROOF {
        return Err(Refused::Bad("the proof is too long"));
    }
    let unreadable = Refused::Bad("the proof does not read");
    let (signed, signature) = proof.rsplit_once('.').ok_or(unreadable)?;
    let (header, claims) = signed.split_once('.').ok_or(unreadable)?;
    let header: Header = part(header).ok_or(unreadable)?;
    let claims: Claims = part(claims).ok_or(unreadable)?;
    if header.typ != "dpop+jwt" || header.alg != "ES256" || header.crit.is_some() {
        return Err(Refused::Bad(
            "the proof must be a dpop+jwt signed with ES256",
        ));
    }
    let key = header.jwk.uncompressed();
    let key = key.ok_or(Refused::Bad("the proof's key must be a public P-256 key"))?;
    let signature = Base64::from_text(signature).map_err(|_| unreadable)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
        .verify(signed.as_bytes(), &signature.0)
        .map_err(|_| Refused::Bad("the proof's signature does not verify"))?;
    if claims.htm != request.method || !origin.is(&claims.htu, request.path) {
        return Err(Refused::Bad("the proof is for another request (htm, htu)"));
    }
    if claims.jti.is_empty() || claims.iat < 0 {
        return Err(Refused::Bad("the proof needs an id and a time (jti, iat)"));
    }
    let ath = request
        .access_token
        .map(|token| Base64(secret::hash(token.as_bytes()).to_vec()).to_text());
    if ath.is_some() && claims.ath != ath {
        return Err(Refused::Bad("the proof is for another token (ath)"));
    }
    let good_until = claims
        .nonce
        .and_then(|nonce| nonces.good_until(&nonce, now));
    Ok(Proof {
        jkt: header.jwk.thumbprint(),
        jti: secret::hash(claims.jti.as_bytes()),
        good_until: good_until.ok_or(Refused::Nonce)?,
    })
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    serde_json::from_slice(&Base64::from_text(text).ok()?.0).ok()
}
