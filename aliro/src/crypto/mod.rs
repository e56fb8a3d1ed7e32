//! The few primitives that Aliro needs, typed: P-256 points, ECDSA signatures,
//! ephemeral key pairs. All arithmetic on secrets is `ring`'s.

mod curve;
mod entropy;

use std::fmt;

use ring::{agreement, digest, signature};
use zeroize::Zeroizing;

pub use entropy::{Entropy, Ephemeral, RingEntropy};

/// A 32-byte secret that is wiped when it goes away and never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes the secret over.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for one computation: do not keep a copy.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<Zeroizing<[u8; 32]>> for Secret {
    fn from(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A point of NIST P-256, uncompressed (`04 || x || y`), known to lie on the
/// curve: there is no way to make one that does not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 65]);

impl PublicKey {
    /// Reads `04 || x || y`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] for any other length or first byte, for
    /// coordinates that are not below the field prime, and for points that are
    /// not on the curve.
    pub fn from_uncompressed(bytes: &[u8]) -> Result<Self, CryptoError> {
        let bytes: [u8; 65] = bytes.try_into().map_err(|_| CryptoError::InvalidPoint)?;
        let (x, y) = bytes[1..].split_at(32);
        if bytes[0] != 4 || !curve::contains(x, y) {
            return Err(CryptoError::InvalidPoint);
        }
        Ok(Self(bytes))
    }

    /// A point that `ring` has just computed, which is on the curve.
    fn computed(point: &agreement::PublicKey) -> Result<Self, CryptoError> {
        let bytes = point.as_ref().try_into();
        bytes.map(Self).map_err(|_| CryptoError::InvalidPoint)
    }

    /// `04 || x || y`.
    pub fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// The x coordinate, big-endian.
    pub fn x(&self) -> &[u8; 32] {
        self.0[1..33].try_into().unwrap_or(&[0; 32])
    }

    /// The y coordinate, big-endian.
    pub fn y(&self) -> &[u8; 32] {
        self.0[33..].try_into().unwrap_or(&[0; 32])
    }

    /// The short name of a credential: the first 8 bytes of SHA-1 over the
    /// uncompressed point.
    pub fn key_slot(&self) -> [u8; 8] {
        first_8(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.0).as_ref())
    }

    /// The name of a document issuer (`kid`): the first 8 bytes of SHA-256 over
    /// `"key-identifier"` and the uncompressed point.
    pub fn key_identifier(&self) -> [u8; 8] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"key-identifier");
        context.update(&self.0);
        first_8(context.finish().as_ref())
    }

    /// SHA-1 over the uncompressed point, the authority key identifier of
    /// reader certificates.
    pub(crate) fn sha1(&self) -> [u8; 20] {
        let mut out = [0; 20];
        out.copy_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.0).as_ref());
        out
    }

    /// Checks an ECDSA/SHA-256 signature over `message`.
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`] when it does not verify.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), CryptoError> {
        signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, &self.0)
            .verify(message, &signature.0)
            .map_err(|_| CryptoError::BadSignature)
    }

    /// Checks an ECDSA/SHA-256 signature in DER, as X.509 has it.
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`] when it does not verify.
    pub fn verify_der(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(message, signature)
            .map_err(|_| CryptoError::BadSignature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}…)", hex(&self.0[1..9]))
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = CryptoError;

    fn try_from(bytes: &[u8]) -> Result<Self, CryptoError> {
        Self::from_uncompressed(bytes)
    }
}

/// An ECDSA signature as Aliro and COSE have it: `r || s`, 32 bytes each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// Reads `r || s`.
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`] for any other length than 64.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CryptoError> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| CryptoError::BadSignature)
    }

    /// Reads the DER form that secure elements return.
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`] when it is not `SEQUENCE { r, s }` in DER
    /// with positive integers of at most 32 bytes.
    pub fn from_der(bytes: &[u8]) -> Result<Self, CryptoError> {
        let mut out = [0; 64];
        let [0x30, len, body @ ..] = bytes else {
            return Err(CryptoError::BadSignature);
        };
        if *len >= 0x80 || usize::from(*len) != body.len() {
            return Err(CryptoError::BadSignature);
        }
        let rest = der_integer(body, &mut out[..32])?;
        let rest = der_integer(rest, &mut out[32..])?;
        if rest.is_empty() {
            Ok(Self(out))
        } else {
            Err(CryptoError::BadSignature)
        }
    }

    /// The DER form that X.509 asks for.
    pub fn to_der(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(70);
        for half in self.0.chunks(32) {
            let first = half.iter().position(|byte| *byte != 0).unwrap_or(31);
            let digits = &half[first..];
            let sign = usize::from(digits[0] >= 0x80);
            body.extend([0x02, (digits.len() + sign) as u8]);
            body.extend(std::iter::repeat_n(0, sign));
            body.extend(digits);
        }
        let mut out = vec![0x30, body.len() as u8];
        out.extend(body);
        out
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}…)", hex(&self.0[..8]))
    }
}

/// What can be wrong with a key or a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The bytes are not an uncompressed point of P-256.
    #[error("not a point of P-256")]
    InvalidPoint,
    /// The signature does not verify, or has not the shape of one.
    #[error("the signature does not verify")]
    BadSignature,
    /// The system's random source failed.
    #[error("no randomness")]
    NoRandomness,
}

fn first_8(digest: &[u8]) -> [u8; 8] {
    let mut out = [0; 8];
    out.copy_from_slice(&digest[..8]);
    out
}

/// Reads one positive DER INTEGER into `out`, right-aligned.
fn der_integer<'a>(input: &'a [u8], out: &mut [u8]) -> Result<&'a [u8], CryptoError> {
    let [0x02, len, rest @ ..] = input else {
        return Err(CryptoError::BadSignature);
    };
    let (digits, rest) = rest
        .split_at_checked(usize::from(*len))
        .ok_or(CryptoError::BadSignature)?;
    let magnitude = match digits {
        [0, second, ..] if *second >= 0x80 => &digits[1..],
        [first, ..] if (1..0x80).contains(first) => digits,
        [0] => digits,
        _ => return Err(CryptoError::BadSignature),
    };
    let start = out
        .len()
        .checked_sub(magnitude.len())
        .ok_or(CryptoError::BadSignature)?;
    out[start..].copy_from_slice(magnitude);
    Ok(rest)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        use fmt::Write as _;
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::{Signature as Reference, SigningKey, signature::Signer};
    use proptest::prelude::*;

    fn key(seed: [u8; 32]) -> Option<SigningKey> {
        SigningKey::from_slice(&seed).ok()
    }

    proptest! {
        #[test]
        fn der_and_raw_signatures_are_the_same_to_another_library(
            seed in any::<[u8; 32]>(), message in any::<Vec<u8>>(),
        ) {
            let Some(key) = key(seed) else { return Ok(()) };
            let reference: Reference = key.sign(&message);
            let ours = Signature::from_slice(&reference.to_bytes()).unwrap();
            prop_assert_eq!(ours.to_der(), reference.to_der().as_bytes().to_vec());
            prop_assert_eq!(Signature::from_der(&ours.to_der()), Ok(ours));
            let point = key.verifying_key().to_sec1_point(false);
            let public = PublicKey::from_uncompressed(point.as_bytes()).unwrap();
            prop_assert_eq!(public.verify(&message, &ours), Ok(()));
            prop_assert_eq!(public.verify_der(&message, &ours.to_der()), Ok(()));
        }

        #[test]
        fn der_reader_never_panics(bytes in any::<Vec<u8>>()) {
            let _ = Signature::from_der(&bytes);
        }
    }
}
