//! MobileSecurityObject: what the issuer signs.

use std::collections::BTreeMap;

use ciborium::value::Value;

use super::cbor;
use super::error::DocumentError;
use super::fields::{self, Fields};
use super::timestamp::Timestamp;
use crate::crypto::PublicKey;

pub(crate) const VERSION: &str = "1.0";
pub(crate) const DIGEST_ALGORITHM: &str = "SHA-256";

/// CBOR tag of a text date (RFC 8949, section 3.4.1).
const TAG_DATE: u64 = 0;

/// From when until when a document holds, and its place in the issuer's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When it was signed; what AUTH1 reports as the document's version.
    pub signed: Timestamp,
    /// First moment at which it holds.
    pub valid_from: Timestamp,
    /// Last moment at which it holds.
    pub valid_until: Timestamp,
    /// When the issuer means to issue the next one.
    pub expected_update: Option<Timestamp>,
    /// The issuer's counter; see [`Iterations`](super::Iterations).
    pub iteration: Option<u64>,
}

/// The signed summary of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MobileSecurityObject {
    pub(crate) version: String,
    pub(crate) digest_algorithm: String,
    /// By namespace and digest id.
    pub(crate) digests: BTreeMap<String, BTreeMap<u64, [u8; 32]>>,
    pub(crate) device_key: Option<DeviceKey>,
    pub(crate) doc_type: String,
    pub(crate) validity: Validity,
    pub(crate) time_required: bool,
}

/// The key of DeviceKeyInfo, in either form of the COSE_Key.
///
/// It is only ever compared, so a compressed point needs no decompressing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceKey {
    x: [u8; 32],
    y: Ordinate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ordinate {
    Full([u8; 32]),
    IsOdd(bool),
}

impl MobileSecurityObject {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        const WHAT: &str = "MobileSecurityObject";
        // Unknown members are left alone: the type is extended by ISO 18013-5.
        let mut mso = Fields::new(cbor::value(bytes)?, WHAT)?;
        Ok(Self {
            version: fields::text(mso.require("1")?, WHAT)?,
            digest_algorithm: fields::text(mso.require("2")?, WHAT)?,
            digests: digests(mso.require("3")?)?,
            device_key: mso.take("4").map(DeviceKey::from_info).transpose()?,
            doc_type: fields::text(mso.require("5")?, WHAT)?,
            validity: Validity::from_value(mso.require("6")?)?,
            time_required: mso
                .require("7")?
                .as_bool()
                .ok_or(DocumentError::Malformed(WHAT))?,
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let digests = self
            .digests
            .iter()
            .map(|(namespace, digests)| {
                let digests = digests
                    .iter()
                    .map(|(id, digest)| (Value::from(*id), Value::Bytes(digest.to_vec())))
                    .collect();
                (Value::from(namespace.as_str()), Value::Map(digests))
            })
            .collect();
        let mut mso = vec![
            (Value::from("1"), Value::from(self.version.as_str())),
            (
                Value::from("2"),
                Value::from(self.digest_algorithm.as_str()),
            ),
            (Value::from("3"), Value::Map(digests)),
        ];
        if let Some(key) = &self.device_key {
            let info = Value::Map(vec![(Value::from("1"), key.to_cose())]);
            mso.push((Value::from("4"), info));
        }
        mso.push((Value::from("5"), Value::from(self.doc_type.as_str())));
        mso.push((Value::from("6"), self.validity.to_value()));
        mso.push((Value::from("7"), Value::from(self.time_required)));
        cbor::encode(&Value::Map(mso))
    }
}

fn digests(value: Value) -> Result<BTreeMap<String, BTreeMap<u64, [u8; 32]>>, DocumentError> {
    const WHAT: &str = "valueDigests";
    let mut namespaces = BTreeMap::new();
    for (namespace, digests) in Fields::new(value, WHAT)?.into_entries() {
        let mut of_namespace = BTreeMap::new();
        for (id, digest) in Fields::new(digests, WHAT)?.into_entries() {
            of_namespace.insert(fields::uint(&id, WHAT)?, fields::fixed(digest, WHAT)?);
        }
        namespaces.insert(fields::text(namespace, WHAT)?, of_namespace);
    }
    Ok(namespaces)
}

impl Validity {
    fn from_value(value: Value) -> Result<Self, DocumentError> {
        const WHAT: &str = "ValidityInfo";
        let mut info = Fields::new(value, WHAT)?;
        Ok(Self {
            signed: date(info.require("1")?)?,
            valid_from: date(info.require("2")?)?,
            valid_until: date(info.require("3")?)?,
            expected_update: info.take("4").map(date).transpose()?,
            iteration: info
                .take("5")
                .map(|iteration| fields::uint(&iteration, WHAT))
                .transpose()?,
        })
    }

    fn to_value(self) -> Value {
        let date = |time: Timestamp| Value::Tag(TAG_DATE, Box::new(Value::from(time.to_string())));
        let mut info = vec![
            (Value::from("1"), date(self.signed)),
            (Value::from("2"), date(self.valid_from)),
            (Value::from("3"), date(self.valid_until)),
        ];
        if let Some(time) = self.expected_update {
            info.push((Value::from("4"), date(time)));
        }
        if let Some(iteration) = self.iteration {
            info.push((Value::from("5"), Value::from(iteration)));
        }
        Value::Map(info)
    }
}

fn date(value: Value) -> Result<Timestamp, DocumentError> {
    const WHAT: &str = "ValidityInfo time";
    Timestamp::parse(&fields::text(fields::tagged(value, TAG_DATE, WHAT)?, WHAT)?)
}

impl DeviceKey {
    pub(crate) fn new(key: &PublicKey) -> Self {
        Self {
            x: *key.x(),
            y: Ordinate::Full(*key.y()),
        }
    }

    /// Whether this is that key.
    pub(crate) fn is(&self, key: &PublicKey) -> bool {
        let other = Self::new(key);
        let same_y = match (&self.y, &other.y) {
            (Ordinate::IsOdd(odd), Ordinate::Full(y)) => *odd == (y[31] & 1 == 1),
            (mine, theirs) => mine == theirs,
        };
        self.x == other.x && same_y
    }

    /// From DeviceKeyInfo: its COSE_Key is an EC2 key on P-256.
    fn from_info(value: Value) -> Result<Self, DocumentError> {
        const WHAT: &str = "DeviceKeyInfo";
        let mut info = Fields::new(value, WHAT)?;
        let mut key = Fields::new(info.require("1")?, WHAT)?;
        let type_is_ec2 = fields::int::<i64>(&key.require(LABEL_KTY)?, WHAT)? == KTY_EC2;
        let curve_is_p256 = fields::int::<i64>(&key.require(LABEL_CRV)?, WHAT)? == CRV_P256;
        if !(type_is_ec2 && curve_is_p256) {
            return Err(DocumentError::Malformed(WHAT));
        }
        Ok(Self {
            x: fields::fixed(key.require(LABEL_X)?, WHAT)?,
            y: match key.require(LABEL_Y)? {
                Value::Bool(odd) => Ordinate::IsOdd(odd),
                full => Ordinate::Full(fields::fixed(full, WHAT)?),
            },
        })
    }

    fn to_cose(&self) -> Value {
        let y = match &self.y {
            Ordinate::Full(y) => Value::Bytes(y.to_vec()),
            Ordinate::IsOdd(odd) => Value::from(*odd),
        };
        Value::Map(vec![
            (Value::from(LABEL_KTY), Value::from(KTY_EC2)),
            (Value::from(LABEL_CRV), Value::from(CRV_P256)),
            (Value::from(LABEL_X), Value::Bytes(self.x.to_vec())),
            (Value::from(LABEL_Y), y),
        ])
    }
}

// COSE_Key labels and values, RFC 9053 section 7.1.
const LABEL_KTY: i64 = 1;
const LABEL_CRV: i64 = -1;
const LABEL_X: i64 = -2;
const LABEL_Y: i64 = -3;
const KTY_EC2: i64 = 2;
const CRV_P256: i64 = 1;
