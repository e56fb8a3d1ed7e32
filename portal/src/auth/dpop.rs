//! Proof of possession (RFC 9449): a JWT that the device's account key signs for this one request.

use chrono::{DateTime, Utc};
use latchkey_protocol::bytes::Base64;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::Deserialize;

use super::jwk::Jwk;
use super::nonce::Nonces;
use super::object::Object;
use super::origin::Origin;
use super::secret;

/// Longest proof that is looked at.
const MAX_PROOF: usize = 4096;

/// What the request is, as the portal sees it.
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// From the root.
    pub path: &'a str,
    /// The access token that comes with it, if one does.
    pub access_token: Option<&'a str>,
}

/// A proof that verified; whether it was used before is for the store to say.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Thumbprint of the key.
    pub jkt: String,
    /// SHA-256 of the proof's id.
    pub jti: secret::Hash,
    /// Until when it could come again.
    pub good_until: DateTime<Utc>,
}

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It does not fit; says what.
    Bad(&'static str),
    /// Its nonce is missing, or not of this portal, or too old.
    Nonce,
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Object<Jwk>,
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
///
/// # Errors
/// [`Refused`].
pub fn verify(
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
    let key = header.jwk.0.uncompressed();
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
        jkt: header.jwk.0.thumbprint(),
        jti: secret::hash(claims.jti.as_bytes()),
        good_until: good_until.ok_or(Refused::Nonce)?,
    })
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    let Object(part) = serde_json::from_slice(&Base64::from_text(text).ok()?.0).ok()?;
    Some(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::{Value, json};

    use super::*;

    const REQUEST: Request<'static> = Request {
        method: "GET",
        path: "/v1/me",
        access_token: None,
    };

    struct Device {
        key: EcdsaKeyPair,
        origin: Origin,
        nonces: Nonces,
        now: DateTime<Utc>,
    }

    impl Device {
        fn new() -> Self {
            let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
            let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            Self {
                key: EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap(),
                origin: Origin::new("https://keys.example".parse().unwrap()),
                nonces: Nonces::new(&[1; 32]),
                now: "2026-11-24T09:00:00Z".parse().unwrap(),
            }
        }

        fn jwk(&self) -> Value {
            let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
            let text = |bytes: &[u8]| Base64::from(bytes).to_text();
            json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) })
        }

        fn header(&self) -> Value {
            json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() })
        }

        fn claims(&self) -> Value {
            json!({
                "jti": "1", "htm": "GET", "htu": "https://keys.example/v1/me", "iat": 0,
                "nonce": self.nonces.make(self.now),
            })
        }

        fn signed(&self, header: &Value, claims: &Value) -> String {
            let text = |value: &Value| Base64(value.to_string().into_bytes()).to_text();
            let signed = format!("{}.{}", text(header), text(claims));
            let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
            format!(
                "{signed}.{}",
                Base64::from(signature.unwrap().as_ref()).to_text()
            )
        }

        fn checked(&self, proof: &str) -> Result<Proof, Refused> {
            verify(proof, &REQUEST, &self.origin, &self.nonces, self.now)
        }
    }

    #[test]
    fn header_claims_and_key_are_objects() {
        let device = Device::new();
        let (header, claims) = (device.header(), device.claims());
        assert!(device.checked(&device.signed(&header, &claims)).is_ok());
        let values = |object: &Value, names: &[&str]| -> Value {
            names.iter().map(|name| object[name].clone()).collect()
        };
        let jwk = values(&header["jwk"], &["kty", "crv", "x", "y"]);
        let mut listed = header.clone();
        listed["jwk"] = jwk;
        for (header, claims) in [
            (&listed, &claims),
            (&values(&header, &["typ", "alg", "jwk"]), &claims),
            (
                &header,
                &values(&claims, &["jti", "htm", "htu", "iat", "nonce"]),
            ),
        ] {
            let refused = device.checked(&device.signed(header, claims));
            assert_eq!(
                refused.unwrap_err(),
                Refused::Bad("the proof does not read")
            );
        }
    }

    proptest! {
        #[test]
        fn no_byte_of_a_proof_can_be_changed(at in 0_usize..600, by in 1_u8..128) {
            let device = Device::new();
            let proof = device.signed(&device.header(), &device.claims());
            let mut changed = proof.clone().into_bytes();
            let at = at % changed.len();
            changed[at] ^= by;
            let changed = String::from_utf8(changed).unwrap();
            prop_assert!(device.checked(&proof).is_ok());
            prop_assert!(device.checked(&changed).is_err());
        }

        #[test]
        fn whatever_comes_is_refused_and_harms_nothing(text in ".{0,80}|[A-Za-z0-9_.-]{0,80}") {
            prop_assert!(Device::new().checked(&text).is_err());
        }
    }
}
