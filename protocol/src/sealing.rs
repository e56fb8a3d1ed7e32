//! What is sealed to one reader: HPKE (RFC 9180) in its base mode, with DHKEM(P-256, HKDF-SHA256),
//! HKDF-SHA256 and AES-128-GCM. It hides; who made it, a signature inside or around it says.
//!
//! `info` begins with an ASCII prefix of its own and names whom and what it is for, so that what was sealed
//! for one purpose opens for no other.

use aliro::crypto::PublicKey;
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use zeroize::Zeroizing;

/// How many bytes longer a sealed text is than what it hides, the encapsulated key aside.
pub const TAG: usize = 16;

/// The private half of a sealing key.
#[derive(Clone)]
pub struct SealingKey(<DhP256HkdfSha256 as hpke::Kem>::PrivateKey);

/// A sealed text.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// HPKE's encapsulated key: another fresh public key for each.
    pub encapsulated: PublicKey,
    /// [`TAG`] bytes longer than what it hides.
    pub ciphertext: Vec<u8>,
}

/// The stored bytes are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no sealing key")]
pub struct NotAKey;

/// Not sealed to this key, or for something else, or changed on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not open")]
pub struct DoesNotOpen;

/// The recipient's key cannot be sealed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be sealed to this key")]
pub struct NotSealable;

impl SealingKey {
    /// The key that 32 secret, evenly random bytes make (RFC 9180, section 7.1.3).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(DhP256HkdfSha256::derive_keypair(seed).0)
    }

    /// From its scalar.
    ///
    /// # Errors
    /// [`NotAKey`].
    pub fn from_bytes(scalar: &[u8]) -> Result<Self, NotAKey> {
        <DhP256HkdfSha256 as hpke::Kem>::PrivateKey::from_bytes(scalar)
            .map(Self)
            .map_err(|_| NotAKey)
    }

    /// The scalar, 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.to_bytes().to_vec())
    }

    /// What others seal to.
    ///
    /// # Errors
    /// [`NotAKey`] for a scalar that makes no point, which there is none of.
    pub fn public(&self) -> Result<PublicKey, NotAKey> {
        let public = DhP256HkdfSha256::sk_to_pk(&self.0).to_bytes();
        PublicKey::from_uncompressed(&public).map_err(|_| NotAKey)
    }

    /// What was sealed to this key under this `info`.
    ///
    /// # Errors
    /// [`DoesNotOpen`].
    pub fn open(&self, info: &[u8], sealed: &Sealed) -> Result<Vec<u8>, DoesNotOpen> {
        let encapsulated = <DhP256HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(
            sealed.encapsulated.as_bytes(),
        )
        .map_err(|_| DoesNotOpen)?;
        hpke::single_shot_open::<AesGcm128, HkdfSha256, DhP256HkdfSha256>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            info,
            &sealed.ciphertext,
            &[],
        )
        .map_err(|_| DoesNotOpen)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// Seals to a key. `seed` is from secure randomness, and used for nothing else, ever.
///
/// # Errors
/// [`NotSealable`].
pub fn seal(
    recipient: &PublicKey,
    info: &[u8],
    plain: &[u8],
    seed: [u8; 32],
) -> Result<Sealed, NotSealable> {
    let recipient = <DhP256HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(recipient.as_bytes())
        .map_err(|_| NotSealable)?;
    let (encapsulated, ciphertext) =
        hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, DhP256HkdfSha256>(
            &OpModeS::Base,
            &recipient,
            info,
            plain,
            &[],
            &mut Seed(Zeroizing::new(seed)),
        )
        .map_err(|_| NotSealable)?;
    Ok(Sealed {
        encapsulated: PublicKey::from_uncompressed(&encapsulated.to_bytes())
            .map_err(|_| NotSealable)?,
        ciphertext,
    })
}

impl Sealed {
    /// Encapsulated key, then ciphertext.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.encapsulated.as_bytes()[..], &self.ciphertext].concat()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`DoesNotOpen`] for bytes that nothing could be in.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DoesNotOpen> {
        let (encapsulated, ciphertext) = bytes.split_first_chunk::<65>().ok_or(DoesNotOpen)?;
        Ok(Self {
            encapsulated: PublicKey::from_uncompressed(encapsulated).map_err(|_| DoesNotOpen)?,
            ciphertext: ciphertext.to_vec(),
        })
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.ciphertext.len())
    }
}

/// The randomness that was passed in, as the `hpke` crate wants it: it draws one seed for the ephemeral
/// key, and nothing else.
struct Seed(Zeroizing<[u8; 32]>);

impl TryRng for Seed {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        for (out, seed) in out.iter_mut().zip(self.0.iter().cycle()) {
            *out = *seed;
        }
        Ok(())
    }
}

impl TryCryptoRng for Seed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_for_its_purpose_alone() {
        let key = SealingKey::from_seed(&[1; 32]);
        let other = SealingKey::from_seed(&[2; 32]);
        let sealed = seal(&key.public().unwrap(), b"for this", b"a secret", [3; 32]).unwrap();
        assert_eq!(key.open(b"for this", &sealed), Ok(b"a secret".to_vec()));
        assert_eq!(key.open(b"for that", &sealed), Err(DoesNotOpen));
        assert_eq!(other.open(b"for this", &sealed), Err(DoesNotOpen));
        assert_eq!(Sealed::from_bytes(&sealed.to_bytes()), Ok(sealed.clone()));
        let again = seal(&key.public().unwrap(), b"for this", b"a secret", [4; 32]).unwrap();
        assert_ne!(again.ciphertext, sealed.ciphertext);

        let read = SealingKey::from_bytes(&key.to_bytes()).unwrap();
        assert_eq!(read.open(b"for this", &sealed), Ok(b"a secret".to_vec()));
        assert!(SealingKey::from_bytes(&[0; 32]).is_err());
        assert!(Sealed::from_bytes(&[4; 100]).is_err());
    }

    /// RFC 9180, appendix A.3.1: keys from their seeds, the encapsulated key, and the first encryption's
    /// suite.
    #[test]
    fn it_is_the_suite_of_rfc_9180_a_3() {
        let bytes = |text: &str| -> [u8; 32] { hex::decode(text).unwrap().try_into().unwrap() };
        let receiver = SealingKey::from_seed(&bytes(
            "668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550",
        ));
        assert_eq!(
            hex::encode(receiver.to_bytes().as_slice()),
            "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2"
        );
        let info = hex::decode("4f6465206f6e2061204772656369616e2055726e").unwrap();
        let seed = bytes("4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e");
        let sealed = seal(&receiver.public().unwrap(), &info, b"", seed).unwrap();
        assert_eq!(
            hex::encode(sealed.encapsulated.as_bytes()),
            "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9853\
             6d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4"
        );
    }
}
