//! What portals and a signer that is a process of its own say to each other (`docs/protocol.md`, *portal and signer*):
//! frames of a length and JSON. Both begin with a [`Hello`]; then each [`Request`] has one [`Answer`].

use latchkey_protocol::bundle::Content;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::doorlog::Receipt;
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::ids::{DoorId, Generation, PropertyId};
use latchkey_protocol::pass::Pass;
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::statement::{Addressee, Body};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{
    Begun, BundleDraft, GrantDraft, PublicKeys, Series, SignedBundle, SignedGrant, SignerError,
    Standing,
};

/// The version of this conversation. Both ends are of one release: there are no older ones to speak with.
pub const VERSION: u32 = 1;

/// Most bytes of a frame. The longest that is ever asked for is a bundle of 1 MiB, in Base64.
pub const MAX_FRAME: usize = 4 * 1024 * 1024;

/// Most bytes of the first frame: strangers do not take up memory.
pub const MAX_HELLO: usize = 256;

/// The first frame of either end. It is read in all versions, so that the other is told apart from nonsense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version that this end speaks.
    #[serde(rename = "latchkey-signer")]
    pub version: u32,
}

/// What a portal asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "each is a call of the trait, and says so there"
)]
pub enum Request {
    Create {
        property: PropertyId,
    },
    Standing {
        property: PropertyId,
    },
    BeginEpoch {
        property: PropertyId,
    },
    Statement {
        property: PropertyId,
        addressee: Addressee,
        number: u64,
        #[serde(with = "packed")]
        body: Body,
    },
    Pass {
        property: PropertyId,
        #[serde(with = "packed")]
        pass: Pass,
    },
    Time {
        property: PropertyId,
        door: DoorId,
        #[serde(with = "packed")]
        nonce: [u8; 16],
    },
    Grant {
        property: PropertyId,
        draft: GrantDraft,
    },
    RevocationList {
        property: PropertyId,
        version: u64,
        list: Revocations,
        signed_after: Option<i64>,
    },
    Bundle {
        property: PropertyId,
        draft: BundleDraft,
    },
    LogReceipt {
        receipt: Receipt,
    },
    Certificate {
        property: PropertyId,
        door: DoorId,
        generation: Generation,
        #[serde(with = "packed")]
        reader_key: aliro::crypto::PublicKey,
    },
    Confirm {
        property: PropertyId,
        series: Series,
        number: u64,
    },
    KeepList {
        property: PropertyId,
        #[serde(with = "packed")]
        document: Vec<u8>,
    },
}

/// What the signer answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// To [`Request::Create`].
    Keys(PublicKeys),
    /// To [`Request::Standing`].
    Standing(Standing),
    /// To [`Request::BeginEpoch`].
    Begun(Begun),
    /// To [`Request::Grant`].
    Grant(SignedGrant),
    /// To [`Request::RevocationList`].
    List {
        /// Its number.
        number: ListNumber,
        /// Its date, seconds since 1970.
        signed: i64,
        /// The document.
        #[serde(with = "packed")]
        document: Vec<u8>,
    },
    /// To [`Request::Bundle`].
    Bundle(SignedBundle),
    /// To all others that are answered with one thing signed.
    Signed(#[serde(with = "packed")] Vec<u8>),
    /// To [`Request::Confirm`] and [`Request::KeepList`].
    Done,
    /// Nothing was signed.
    Refused(SignerError),
}

impl Request {
    /// Whether only operators may ask it: what makes keys, and what begins numbers anew.
    #[must_use]
    pub const fn is_for_operators(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::BeginEpoch { .. })
    }
}

/// Why there is no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than any that is sent.
    #[error("a frame of {0} bytes is longer than {MAX_FRAME}")]
    TooLong(usize),
    /// Not what belongs here.
    #[error("{0}")]
    Malformed(String),
}

/// The bytes of a frame: its length, big-endian, and JSON.
///
/// # Errors
/// [`FrameError`] for what is too long, or cannot be said.
pub fn encode(value: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value).map_err(malformed)?;
    let length = frame.len() - 4;
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    let head = u32::try_from(length).map_err(|_| FrameError::TooLong(length))?;
    frame[..4].copy_from_slice(&head.to_be_bytes());
    Ok(frame)
}

/// How long the rest of a frame is.
///
/// # Errors
/// [`FrameError::TooLong`], before any of it is read.
pub fn length(head: [u8; 4]) -> Result<usize, FrameError> {
    match usize::try_from(u32::from_be_bytes(head)) {
        Ok(length) if length <= MAX_FRAME => Ok(length),
        length => Err(FrameError::TooLong(length.unwrap_or(usize::MAX))),
    }
}

/// What a frame says, without its length.
///
/// # Errors
/// [`FrameError::Malformed`].
pub fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(json).map_err(malformed)
}

fn malformed(error: serde_json::Error) -> FrameError {
    FrameError::Malformed(error.to_string())
}

/// Values that have a binary form travel in it, as Base64.
pub(super) mod packed {
    use aliro::crypto::PublicKey;
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::{Base64, Body, Content, Pass};

    /// A value with a binary form.
    pub(crate) trait Packed: Sized {
        fn pack(&self) -> Result<Vec<u8>, String>;
        fn unpack(bytes: Vec<u8>) -> Result<Self, String>;
    }

    impl Packed for Vec<u8> {
        fn pack(&self) -> Result<Vec<u8>, String> {
            Ok(self.clone())
        }

        fn unpack(bytes: Vec<u8>) -> Result<Self, String> {
            Ok(bytes)
        }
    }

    impl<const N: usize> Packed for [u8; N] {
        fn pack(&self) -> Result<Vec<u8>, String> {
            Ok(self.to_vec())
        }

        fn unpack(bytes: Vec<u8>) -> Result<Self, String> {
            bytes.try_into().map_err(|_| format!("not {N} bytes"))
        }
    }

    impl Packed for PublicKey {
        fn pack(&self) -> Result<Vec<u8>, String> {
            Ok(self.as_bytes().to_vec())
        }

        fn unpack(bytes: Vec<u8>) -> Result<Self, String> {
            Self::from_uncompressed(&bytes).map_err(|error| error.to_string())
        }
    }

    impl Packed for Body {
        fn pack(&self) -> Result<Vec<u8>, String> {
            Ok(self.to_bytes())
        }

        fn unpack(bytes: Vec<u8>) -> Result<Self, String> {
            Self::from_bytes(&bytes).map_err(|error| error.to_string())
        }
    }

    impl Packed for Pass {
        fn pack(&self) -> Result<Vec<u8>, String> {
            self.payload().map_err(|error| error.to_string())
        }

        fn unpack(bytes: Vec<u8>) -> Result<Self, String> {
            Self::from_payload(&bytes).map_err(|error| error.to_string())
        }
    }

    impl Packed for Content {
        fn pack(&self) -> Result<Vec<u8>, String> {
            Ok(self.to_bytes())
        }

        fn unpack(bytes: Vec<u8>) -> Result<Self, String> {
            Self::from_bytes(&bytes).map_err(|error| error.to_string())
        }
    }

    pub(crate) fn serialize<T: Packed, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        Base64(value.pack().map_err(S::Error::custom)?).serialize(to)
    }

    pub(crate) fn deserialize<'de, T: Packed, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        T::unpack(Base64::deserialize(from)?.0).map_err(D::Error::custom)
    }

    /// The same of a value that may be missing.
    pub(crate) mod optional {
        use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

        use super::Base64;

        pub(crate) fn serialize<S: Serializer>(
            value: &Option<Vec<u8>>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            value.clone().map(Base64).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Vec<u8>>, D::Error> {
            let value = Option::<Base64>::deserialize(from)?;
            Ok(value.map(|bytes| bytes.0))
        }
    }
}
