//! Signing in: a six-digit code by e-mail, then tokens bound to the device's account key (DPoP, RFC 9449).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::bytes::Base64;
use crate::ids::{AccountId, CredentialId, DeviceId, PassId, PersonId, PropertyId};
use crate::roles::Role;

/// `POST /v1/sign-in`: asks for a code. The answer is the same whether the address is known or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignInRequest {
    /// The address that the property registered.
    pub email: String,
}

/// A code is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignInStarted {
    /// Names this sign-in in the next step; not secret by itself.
    pub sign_in: String,
    /// When the code stops counting.
    pub expires_at: DateTime<Utc>,
}

/// `POST /v1/sign-in/{sign_in}`, with a DPoP proof by the device's account key: registers the device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignInConfirm {
    /// The six digits.
    pub code: String,
    /// What the person calls this device, shown in the list of devices.
    pub device_name: String,
}

/// `POST /v1/token`, with a DPoP proof by the same key: the next pair of tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The latest refresh token. The one before it serves the same key until its successor is used.
    pub refresh_token: String,
}

/// A pair of tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tokens {
    /// Sent as `Authorization: DPoP …`.
    pub access_token: String,
    /// Always `DPoP`.
    pub token_type: String,
    /// Seconds until the access token ends.
    pub expires_in: u32,
    /// Good once, see [`RefreshRequest`].
    pub refresh_token: String,
    /// Whose tokens these are.
    pub account: AccountId,
    /// The device that was registered.
    pub device: DeviceId,
}

/// `GET /v1/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// The account.
    pub account: AccountId,
    /// The verified address.
    pub email: String,
    /// Where this person is known, by that address.
    pub memberships: Vec<Membership>,
}

/// A person record at one property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Membership {
    /// The property.
    pub property: PropertyId,
    /// Its name.
    pub property_name: String,
    /// The person there.
    pub person: PersonId,
    /// The person's name there.
    pub person_name: String,
    /// The role there.
    pub role: Role,
}

/// `POST /v1/properties/{property}/credentials/challenge`: a nonce to sign with the key that is to be registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CredentialChallenge {
    /// 32 bytes, good once.
    pub nonce: Base64,
    /// When it stops counting.
    pub expires_at: DateTime<Utc>,
}

/// What a registered key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CredentialUse {
    /// Aliro's access credential: signs AUTH1.
    Access,
    /// Signs rotating codes.
    Code,
}

/// `POST /v1/properties/{property}/credentials`: registers a key that this device holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RegisterCredential {
    /// What it does.
    #[serde(rename = "use")]
    pub usage: CredentialUse,
    /// P-256, 65 bytes uncompressed.
    pub public_key: Base64,
    /// From the challenge.
    pub nonce: Base64,
    /// ES256 (r‖s) by the key itself, see `proof::CredentialProof`.
    pub signature: Base64,
    /// Whether the key lives in hardware, as the device says.
    pub hardware: bool,
}

/// A registered key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisteredCredential {
    /// Its id.
    pub credential: CredentialId,
    /// The pass ids that this code key got, one a key with codes; they arrive by sync as well.
    #[serde(default)]
    pub passes: Vec<PassId>,
}
