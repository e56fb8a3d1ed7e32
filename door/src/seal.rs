//! How the keys of remembered phones are sealed in the store.
//!
//! ```text
//! format (1 byte, 01) || nonce (12, random) || AES-256-GCM(credential (65) || persistent key (32)) || tag (16)
//! ```
//!
//! The key comes by HKDF (RFC 5869) from the controller's own private key, and the associated data name
//! the format, the reader and the credential: a row that was moved, or carried to another controller, does not
//! open. That private key stands in the same file, for want of a keystore: whoever has the whole file opens
//! what is sealed in it.

use aliro::crypto::PublicKey;
use aliro::document::key_hash;
use aliro::identifier::ReaderIdentifier;
use aliro::keys::PersistentKey;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use zeroize::Zeroizing;

use crate::keys::KeyError;

const FORMAT: u8 = 1;

/// Seals with a key of this controller alone.
pub(crate) struct PhoneSeal(LessSafeKey);

impl PhoneSeal {
    pub(crate) fn derived_from(private: &[u8]) -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(private)
            .expand(&[b"latchkey/door/remembered-phones"], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut_slice()))
            .and_then(|()| UnboundKey::new(&AES_256_GCM, key.as_slice()))
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| KeyError::Damaged)
    }

    pub(crate) fn seal(
        &self,
        reader: &ReaderIdentifier,
        credential: &PublicKey,
        key: &PersistentKey,
        nonce: [u8; NONCE_LEN],
    ) -> Result<Vec<u8>, KeyError> {
        // Reserved to the end at once: growing would leave copies of the key behind in memory.
        let mut out = Vec::with_capacity(1 + NONCE_LEN + 65 + 32 + AES_256_GCM.tag_len());
        out.push(FORMAT);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(credential.as_bytes());
        out.extend_from_slice(key.expose());
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place(reader, &key_hash(credential))),
                &mut out[1 + NONCE_LEN..],
            )
            .map_err(|_| KeyError::Damaged)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// The credential and its key, where they were sealed for this place.
    pub(crate) fn open(
        &self,
        reader: &ReaderIdentifier,
        credential: &[u8; 32],
        sealed: &[u8],
    ) -> Option<(PublicKey, PersistentKey)> {
        let (&format, rest) = sealed.split_first()?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>()?;
        if format != FORMAT {
            return None;
        }
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        let plain = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(place(reader, credential)),
                plain.as_mut_slice(),
            )
            .ok()?;
        let (public, key) = plain.split_first_chunk::<65>()?;
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(key.get(..32).filter(|_| key.len() == 32)?);
        let public = PublicKey::from_uncompressed(public).ok()?;
        Some((public, PersistentKey::from(secret)))
    }
}

fn place(reader: &ReaderIdentifier, credential: &[u8; 32]) -> Vec<u8> {
    let mut out = b"latchkey/door/remembered-phone\0".to_vec();
    out.push(FORMAT);
    out.extend_from_slice(&reader.to_bytes());
    out.extend_from_slice(credential);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{OwnKeys, new_keys};

    #[test]
    fn a_remembered_phone_opens_in_its_place_at_its_controller_alone() {
        let env = crate::Env::system();
        let keys = || OwnKeys::from_stored(&new_keys(&env).unwrap()).unwrap();
        let (own, other) = (keys(), keys());
        let (phone, neighbour) = (*own.reader(), *other.reader());
        let door = ReaderIdentifier::new([1; 16], [2; 16]);
        let elsewhere = ReaderIdentifier::new([1; 16], [3; 16]);
        let key = PersistentKey::new([7; 32]);
        let sealed = own
            .phone_seal()
            .seal(&door, &phone, &key, env.random())
            .unwrap();
        let name = key_hash(&phone);
        let (found, opened) = own.phone_seal().open(&door, &name, &sealed).unwrap();
        assert_eq!((found, opened.expose()), (phone, &[7; 32]));
        assert!(!sealed.windows(32).any(|bytes| bytes == [7; 32]));
        assert!(!sealed.windows(32).any(|bytes| bytes == phone.x()));

        let opens = |seal: &PhoneSeal, reader, name, sealed: &[u8]| {
            seal.open(&reader, &name, sealed).is_some()
        };
        assert!(
            !opens(other.phone_seal(), door, name, &sealed),
            "carried off"
        );
        assert!(!opens(own.phone_seal(), elsewhere, name, &sealed), "moved");
        let swapped = key_hash(&neighbour);
        assert!(!opens(own.phone_seal(), door, swapped, &sealed), "swapped");
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(!opens(own.phone_seal(), door, name, &altered), "byte {at}");
            assert!(
                !opens(own.phone_seal(), door, name, &sealed[..at]),
                "cut at {at}"
            );
        }
    }
}
