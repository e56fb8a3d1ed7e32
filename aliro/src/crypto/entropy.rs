//! Randomness and ephemeral key pairs, passed in so that known answers can be
//! reproduced with fixed keys.

use ring::{
    agreement,
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use super::{CryptoError, PublicKey};

/// Where an engine takes its randomness from. [`RingEntropy`] is the one to
/// use; tests substitute fixed values.
pub trait Entropy: Send + Sync {
    /// Fills `out` with unpredictable bytes.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`] when the source failed.
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError>;

    /// Makes a fresh P-256 key pair.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`] when the source failed.
    fn ephemeral(&self) -> Result<Box<dyn Ephemeral>, CryptoError>;
}

/// A key pair for one transaction. Agreeing consumes it.
pub trait Ephemeral: Send {
    /// The public half.
    fn public_key(&self) -> PublicKey;

    /// ECDH with `peer`: the x coordinate of the shared point.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] when the library refuses the peer's point.
    fn agree(self: Box<Self>, peer: &PublicKey) -> Result<Zeroizing<[u8; 32]>, CryptoError>;
}

/// The system's random source through `ring`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RingEntropy;

impl RingEntropy {
    /// The system's random source.
    pub fn new() -> Self {
        Self
    }
}

impl Entropy for RingEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        SystemRandom::new()
            .fill(out)
            .map_err(|_| CryptoError::NoRandomness)
    }

    fn ephemeral(&self) -> Result<Box<dyn Ephemeral>, CryptoError> {
        let private =
            agreement::EphemeralPrivateKey::generate(&agreement::ECDH_P256, &SystemRandom::new())
                .map_err(|_| CryptoError::NoRandomness)?;
        let public = private
            .compute_public_key()
            .map_err(|_| CryptoError::NoRandomness)?;
        let public = PublicKey::computed(&public)?;
        Ok(Box::new(RingEphemeral { private, public }))
    }
}

struct RingEphemeral {
    private: agreement::EphemeralPrivateKey,
    public: PublicKey,
}

impl Ephemeral for RingEphemeral {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn agree(self: Box<Self>, peer: &PublicKey) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, peer.as_bytes());
        agreement::agree_ephemeral(self.private, &peer, |shared| {
            let mut out = Zeroizing::new([0; 32]);
            out.copy_from_slice(shared);
            out
        })
        .map_err(|_| CryptoError::InvalidPoint)
    }
}
