//! Tokens and codes: random outside, hashed inside.

use latchkey_protocol::bytes::Base64;
use ring::digest::{SHA256, digest};

/// How a secret is kept: its SHA-256. Tokens have 256 random bits, so no salt is needed.
pub(crate) type Hash = [u8; 32];

/// A new secret's text and its hash.
pub(crate) fn token(random: [u8; 32]) -> (String, Hash) {
    let text = Base64(random.to_vec()).to_text();
    let hash = hash(text.as_bytes());
    (text, hash)
}

/// SHA-256.
pub(crate) fn hash(secret: &[u8]) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, secret).as_ref());
    out
}

/// Six digits, evenly.
pub(crate) fn six_digits(random: [u8; 8]) -> String {
    // 2^64 is no multiple of a million, but the excess is 2^-44.
    format!("{:06}", u64::from_le_bytes(random) % 1_000_000)
}

/// How a code is kept: hashed with what it belongs to.
pub(crate) fn code_hash(sign_in: &str, code: &str) -> Hash {
    hash(format!("sign-in\0{sign_in}\0{code}").as_bytes())
}

/// Compares without telling by time where two values differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}
