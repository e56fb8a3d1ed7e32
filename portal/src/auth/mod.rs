//! Who is asking, as far as the bytes of a request say it: proofs of possession (DPoP, RFC 9449) and their nonces, a
//! controller's sign-in, the headers that name somebody, the network that a request comes from. Parsers alone; what
//! they read is looked up elsewhere.

pub mod door;
pub mod dpop;
pub mod headers;
pub mod jwk;
pub mod network;
pub mod nonce;
mod object;
pub mod origin;
pub(crate) mod secret;
