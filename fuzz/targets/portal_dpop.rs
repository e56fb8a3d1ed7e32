//! Proofs of possession: as any text, and as a header and claims of anybody's that the device's key has signed.
#![no_main]

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_portal::auth::dpop::{Refused, Request, verify};
use latchkey_portal::auth::jwk::Jwk;
use latchkey_portal::auth::nonce::{LIFE, Nonces};
use latchkey_portal::auth::origin::Origin;
use latchkey_protocol::bytes::Base64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::Value;

const REQUEST: Request<'static> = Request {
    method: "GET",
    path: "/v1/me",
    access_token: None,
};
/// The same proof must not do for these.
const OTHERS: [Request<'static>; 3] = [
    Request {
        method: "POST",
        ..REQUEST
    },
    Request {
        path: "/v1/token",
        ..REQUEST
    },
    Request {
        access_token: Some("token"),
        ..REQUEST
    },
];

struct Portal {
    origin: Origin,
    nonces: Nonces,
    now: DateTime<Utc>,
    device: EcdsaKeyPair,
}

/// Its nonce and its device's key are in the kept inputs: they are the same in every run.
static PORTAL: LazyLock<Portal> = LazyLock::new(|| {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let (secret, public) = ([0x42; 32], latchkey_fuzz::Key(0x42).public());
    let device = EcdsaKeyPair::from_private_key_and_public_key(
        algorithm,
        &secret,
        public.as_bytes(),
        &random,
    );
    Portal {
        origin: Origin::new("https://keys.example/portal".parse().expect("a URL")),
        nonces: Nonces::new(&[1; 32]),
        now: "2026-11-24T09:00:00Z".parse().expect("an instant"),
        device: device.expect("a key"),
    }
});

libfuzzer_sys::fuzz_target!(|text: &str| {
    let portal = &*PORTAL;
    if let Some((header, claims)) = text.split_once('\n') {
        as_signed(portal, header, claims);
        return;
    }
    if portal.checked(text, &REQUEST).is_ok() {
        refused_elsewhere(portal, text);
    }
    if let Some(until) = portal.nonces.good_until(text, portal.now) {
        let made = until - TimeDelta::seconds(LIFE);
        assert_eq!(portal.nonces.make(made), text, "one nonce has one text");
    }
    if portal.origin.is(text, REQUEST.path) {
        assert!(!portal.origin.is(text, "/v1/token"));
    }
    if let Ok(jwk) = serde_json::from_str::<Jwk>(text) {
        assert_eq!(jwk.thumbprint().len(), 43);
        assert!(jwk.uncompressed().is_none_or(|key| key[0] == 4));
    }
});

impl Portal {
    fn checked(
        &self,
        proof: &str,
        request: &Request<'_>,
    ) -> Result<latchkey_portal::auth::dpop::Proof, Refused> {
        verify(proof, request, &self.origin, &self.nonces, self.now)
    }

    fn signed(&self, signed: &str) -> String {
        let signature = self.device.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.expect("signed");
        format!("{signed}.{}", Base64::from(signature.as_ref()).to_text())
    }
}

fn as_signed(portal: &Portal, header: &str, claims: &str) {
    let part = |text: &str| Base64(text.as_bytes().to_vec()).to_text();
    let signed = format!("{}.{}", part(header), part(claims));
    // Most do not come so far that a signature matters, and signing takes longest.
    let unsigned = format!("{signed}.");
    let unverified = Refused::Bad("the proof's signature does not verify");
    match portal.checked(&unsigned, &REQUEST) {
        Err(refused) if refused == unverified => {}
        Err(_) => return,
        Ok(_) => panic!("nobody has signed it"),
    }
    let text = portal.signed(&signed);
    let Ok(proof) = portal.checked(&text, &REQUEST) else {
        return;
    };
    let header: Value = serde_json::from_str(header).expect("a header that was read");
    let claims: Value = serde_json::from_str(claims).expect("claims that were read");
    assert_eq!(header["typ"], "dpop+jwt");
    assert_eq!(header["alg"], "ES256");
    assert_eq!(claims["htm"], REQUEST.method);
    let nonce = claims["nonce"].as_str().expect("a nonce");
    assert_eq!(
        portal.nonces.good_until(nonce, portal.now),
        Some(proof.good_until)
    );
    let device: Jwk = serde_json::from_value(header["jwk"].clone()).expect("a key");
    assert_eq!(proof.jkt, device.thumbprint());
    refused_elsewhere(portal, &text);
}

fn refused_elsewhere(portal: &Portal, proof: &str) {
    for other in &OTHERS {
        let bound = other.access_token.is_some();
        assert!(portal.checked(proof, other).is_err() || bound);
    }
    let later = portal.now + TimeDelta::seconds(LIFE + 61);
    let late = verify(proof, &REQUEST, &portal.origin, &portal.nonces, later);
    assert_eq!(late.err(), Some(Refused::Nonce));
}
