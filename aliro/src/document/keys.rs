//! Stand-in for `crate::crypto` until it is there.
#![allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 65]);
#[derive(Debug)]
pub struct CryptoError;
impl PublicKey {
    pub fn from_uncompressed(bytes: &[u8]) -> Result<Self, CryptoError> {
        let bytes: [u8; 65] = bytes.try_into().map_err(|_| CryptoError)?;
        if bytes[0] == 4 {
            Ok(Self(bytes))
        } else {
            Err(CryptoError)
        }
    }
    pub fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }
    pub fn x(&self) -> &[u8; 32] {
        self.0[1..33].try_into().unwrap_or(&[0; 32])
    }
    pub fn y(&self) -> &[u8; 32] {
        self.0[33..].try_into().unwrap_or(&[0; 32])
    }
    pub fn key_identifier(&self) -> [u8; 8] {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(b"key-identifier");
        context.update(&self.0);
        let mut out = [0; 8];
        out.copy_from_slice(&context.finish().as_ref()[..8]);
        out
    }
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), CryptoError> {
        ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, &self.0)
            .verify(message, &signature.0)
            .map_err(|_| CryptoError)
    }
    pub fn verify_der(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(message, signature)
            .map_err(|_| CryptoError)
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);
