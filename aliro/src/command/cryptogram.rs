//! The fast phase's cryptogram: what a device that the reader has met sends
//! with its answer to AUTH0. Only the key that both remember opens it.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::Signaling;
use super::auth1::timestamp;
use crate::crypto::Secret;
use crate::tlv::{self, Tag, TlvError};

const SIGNALING: Tag = 0x5e;
const ACCESS_SIGNED: Tag = 0x91;
const REVOCATION_SIGNED: Tag = 0x92;

/// Bytes of the plaintext.
const PLAIN: usize = 48;

/// The cryptogram's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cryptogram {
    /// What the device offers.
    pub signaling: Signaling,
    /// When its Access Document was signed.
    pub access_signed: Option<[u8; 20]>,
    /// When its Revocation Document was signed.
    pub revocation_signed: Option<[u8; 20]>,
}

impl Cryptogram {
    /// Encrypts under a key that is good for this transaction only (hence the
    /// constant nonce).
    pub fn seal(&self, key: &Secret) -> [u8; 64] {
        let mut buffer = self.encode();
        let mut out = [0; 64];
        if let Some(key) = gcm(key)
            && key
                .seal_in_place_append_tag(zero_nonce(), Aad::empty(), &mut buffer)
                .is_ok()
            && buffer.len() == out.len()
        {
            out.copy_from_slice(&buffer);
        }
        out
    }

    /// Opens one, if it was sealed with this key and makes sense.
    pub fn open(key: &Secret, sealed: &[u8; 64]) -> Option<Self> {
        let mut buffer = *sealed;
        let plain = gcm(key)?
            .open_in_place(zero_nonce(), Aad::empty(), &mut buffer)
            .ok()?;
        Self::parse(plain).ok()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PLAIN + 16);
        tlv::push(&mut out, SIGNALING, &self.signaling.0.to_be_bytes());
        for (tag, signed) in [
            (ACCESS_SIGNED, self.access_signed),
            (REVOCATION_SIGNED, self.revocation_signed),
        ] {
            tlv::push(&mut out, tag, &signed.unwrap_or_default());
        }
        out
    }

    fn parse(plain: &[u8]) -> Result<Self, TlvError> {
        let [signaling, access, revocation] =
            tlv::pick(plain, [SIGNALING, ACCESS_SIGNED, REVOCATION_SIGNED])?;
        let signed = |tag, value: Option<&[u8]>| match value {
            // Zeros stand for a document that the device does not hold.
            Some([0, ..]) if tlv::exactly::<20>(tag, value)? == [0; 20] => Ok(None),
            value => timestamp(tag, value),
        };
        Ok(Self {
            signaling: Signaling(u16::from_be_bytes(tlv::exactly(SIGNALING, signaling)?)),
            access_signed: signed(ACCESS_SIGNED, access)?,
            revocation_signed: signed(REVOCATION_SIGNED, revocation)?,
        })
    }
}

fn gcm(key: &Secret) -> Option<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, key.expose()).ok()?;
    Some(LessSafeKey::new(key))
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
