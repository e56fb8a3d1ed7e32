//! Proofs of possession over a nonce of the portal's: a door signs in, a phone or a page registers a key.
//! Fixed-length parts and no CBOR, so that a browser makes them with nothing but concatenation.

use aliro::crypto::{PublicKey, Signature};

use crate::ids::{AccountId, DoorId, Generation, LinkId, PropertyId};
use crate::signing::{BadSignature, Purpose, input};

/// Bytes of the portal's nonce, used once.
pub const NONCE_LEN: usize = 32;

/// A door says which controller it is, over the portal's nonce, with its door key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorSignIn {
    /// The property it was commissioned for.
    pub property: PropertyId,
    /// Itself.
    pub door: DoorId,
    /// Its controller.
    pub generation: Generation,
    /// The portal's nonce of this connection.
    pub nonce: [u8; NONCE_LEN],
}

impl DoorSignIn {
    /// `prefix || property (16) || door (12) || generation (4, big-endian) || nonce (32)`.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        let generation = self.generation.0.to_be_bytes();
        input(
            Purpose::DoorSignIn,
            &[&self.property.0, &self.door.0, &generation, &self.nonce],
        )
    }

    /// Checks a door's answer.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not verify.
    pub fn verify(&self, door_key: &PublicKey, signature: &Signature) -> Result<(), BadSignature> {
        door_key
            .verify(&self.to_be_signed(), signature)
            .map_err(|_| BadSignature)
    }
}

/// What a key that is being registered is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// It answers doors (Aliro's AUTH1).
    AccessCredential,
    /// It signs rotating codes.
    CodeKey,
}

/// On whose behalf a key is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Registrant {
    /// A signed-in phone.
    Account(AccountId),
    /// A guest's page, which has a link and no account.
    Link(LinkId),
}

/// Whoever registers a key holds it: the key signs what it is registered for, over the portal's nonce.
/// The key itself is covered too, since ECDSA lets anybody find another key for a given signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialProof {
    /// The property the key is for.
    pub property: PropertyId,
    /// What it will do.
    pub kind: KeyKind,
    /// Whose it becomes.
    pub registrant: Registrant,
    /// The portal's nonce, used once.
    pub nonce: [u8; NONCE_LEN],
    /// The key.
    pub key: PublicKey,
}

impl CredentialProof {
    /// `prefix || property (16) || kind (1: 1 access credential, 2 code key) || registrant (1: 1 account,
    /// 2 link) || its id (16) || nonce (32) || key (65)`.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        let kind = match self.kind {
            KeyKind::AccessCredential => 1,
            KeyKind::CodeKey => 2,
        };
        let (registrant, id) = match &self.registrant {
            Registrant::Account(account) => (1, account.as_bytes()),
            Registrant::Link(link) => (2, link.as_bytes()),
        };
        let parts: [&[u8]; 6] = [
            &self.property.0,
            &[kind],
            &[registrant],
            id,
            &self.nonce,
            self.key.as_bytes(),
        ];
        input(Purpose::CredentialProof, &parts)
    }

    /// Checks that the key itself made the signature.
    ///
    /// # Errors
    /// [`BadSignature`] when it did not.
    pub fn verify(&self, signature: &Signature) -> Result<(), BadSignature> {
        self.key
            .verify(&self.to_be_signed(), signature)
            .map_err(|_| BadSignature)
    }
}
