//! The phone's long-term keys: P-256, they sign and do nothing else, in hardware where there is any.
//!
//! | use | one a | signs |
//! |---|---|---|
//! | [`KeyUse::Account`] | phone and portal | DPoP proofs (RFC 9449) |
//! | [`KeyUse::Access`] | phone and property | Aliro's AUTH1 |
//! | [`KeyUse::Code`] | phone and property | rotating codes |

mod software;

use async_trait::async_trait;

pub use software::SoftwareKeys;

/// What a key is for. No key serves two uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// The account key of a portal.
    Account,
    /// The access credential of a property.
    Access,
    /// The code key of a property.
    Code,
}

/// Where keys live. The app says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protection {
    /// A secure element or trusted environment: the private key cannot be read out.
    Hardware,
    /// Sealed in the wallet.
    Software,
}

/// Why a keystore did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceKeyError {
    /// There is no key of this label: deleted, or made invalid by the platform (a new fingerprint).
    #[error("the keystore has no key {0:?}")]
    Missing(String),
    /// The person did not confirm, or the device is locked.
    #[error("the person did not confirm")]
    NotConfirmed,
    /// The keystore failed. The text is for a log.
    #[error("the keystore failed: {0}")]
    Failed(String),
    /// The wallet that holds software keys failed.
    #[error(transparent)]
    Wallet(#[from] crate::wallet::WalletError),
}

/// Makes and uses long-term keys.
///
/// Backed by the Android keystore (StrongBox where there is one), the Secure Enclave, or
/// [`SoftwareKeys`]. A signature may take seconds: hardware is slow, and a platform may ask for a
/// fingerprint. Calls may overlap; an implementation never calls back into the library.
#[async_trait]
pub trait DeviceKeys: Send + Sync {
    /// Where these keys live.
    fn protection(&self) -> Protection;

    /// Whether an access credential signs only for somebody who is there: the platform asks for a
    /// fingerprint, or signs while the device is unlocked and not else. Every door then gets a signature;
    /// else one that has met this phone may know it again without.
    fn needs_presence(&self) -> bool;

    /// Makes a key, durable when this returns, in place of one of the same label. The public key: P-256,
    /// 65 bytes uncompressed (SEC 1, section 2.3.3).
    async fn create(&self, label: &str, usage: KeyUse) -> Result<[u8; 65], DeviceKeyError>;

    /// The public key of a label, if there is such a key.
    async fn public_key(&self, label: &str) -> Result<Option<[u8; 65]>, DeviceKeyError>;

    /// Signs a message with ECDSA over P-256 and SHA-256: r || s, 32 bytes each (platforms return DER:
    /// convert). The message is not hashed yet.
    async fn sign(&self, label: &str, message: &[u8]) -> Result<[u8; 64], DeviceKeyError>;

    /// Deletes a key, if there is one.
    async fn delete(&self, label: &str) -> Result<(), DeviceKeyError>;
}
