//! Who is asking: proofs of possession (DPoP, RFC 9449), their nonces, and secrets as they are kept.

pub(crate) mod dpop;
pub(crate) mod jwk;
pub(crate) mod nonce;
pub(crate) mod origin;
pub(crate) mod secret;
