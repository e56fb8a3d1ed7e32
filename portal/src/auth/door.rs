//! A controller's sign-in, its first message on the door socket: which one it says it is, and its signature over the
//! portal's nonce.

use aliro::crypto::{PublicKey, Signature};
use latchkey_protocol::doorlink::{FromDoor, VERSIONS};
use latchkey_protocol::ids::{DoorId, Generation, PropertyId};
use latchkey_protocol::proof::{DoorSignIn, NONCE_LEN};

/// Which controller somebody says to be. Proved only once [`Claim::is_proved`] says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The property.
    pub property: PropertyId,
    /// The door.
    pub door: DoorId,
    /// The controller that stands there.
    pub generation: Generation,
    /// The first of ours that the controller speaks as well.
    pub version: u16,
    signature: Signature,
}

/// Why a message is no sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It is something else.
    NotASignIn,
    /// There is no version that both speak.
    Version,
    /// What stands for a signature is none.
    Signature,
}

impl Claim {
    /// Reads the message.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn read(text: &str) -> Result<Self, Unfit> {
        let Ok(FromDoor::SignIn {
            property,
            door,
            generation,
            versions,
            signature,
        }) = serde_json::from_str(text)
        else {
            return Err(Unfit::NotASignIn);
        };
        let common = VERSIONS.iter().find(|version| versions.contains(version));
        let version = *common.ok_or(Unfit::Version)?;
        let signature = Signature::from_slice(&signature.0).map_err(|_| Unfit::Signature)?;
        Ok(Self {
            property,
            door,
            generation,
            version,
            signature,
        })
    }

    /// Whether the controller with this reader key says so, over this nonce.
    #[must_use]
    pub fn is_proved(&self, reader_key: &PublicKey, nonce: [u8; NONCE_LEN]) -> bool {
        let proof = DoorSignIn {
            property: self.property,
            door: self.door,
            generation: self.generation,
            nonce,
        };
        proof.verify(reader_key, &self.signature).is_ok()
    }
}
